// The disk fails, or the process dies, at every single call of a transaction: afterwards everything is old or
// everything is new, and the next run finds nothing in its way.

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitFiles } from '../../src/transaction/commit-files.ts';
import { settle } from '../../src/transaction/open-repository.ts';
import { type Bench, openBench } from './bundle-child.ts';
import {
  changesOf,
  options,
  readTree,
  type ScenarioName,
  scenarios,
  type Tree,
  worldFor,
  writeTree,
} from './disk-scenarios.ts';

let bench: Bench;

beforeAll(async () => {
  bench = await openBench();
});

afterAll(async () => {
  await rm(bench.folder, { recursive: true, force: true });
});

type SweepLine = {
  readonly name: ScenarioName;
  readonly at: number;
  readonly code: string;
  readonly tree: Tree;
  readonly leftovers: readonly string[];
  readonly isPast: boolean;
};

async function sweep(errno: string, how: { stays: boolean; reads: boolean }): Promise<SweepLine[]> {
  const { stdout, stderr, code } = await bench.run(
    'sweep',
    bench.folder,
    errno,
    String(how.stays),
    String(how.reads),
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SweepLine);
}

function sortTree(tree: Tree): Tree {
  return Object.fromEntries(Object.entries(tree).sort());
}

/** Old, new, or (only where Clef itself says so) something between. */
function judge(line: SweepLine): string {
  const { before, after } = scenarios[line.name];
  const text = JSON.stringify(line.tree);
  if (text === JSON.stringify(sortTree(after))) return 'new';
  return text === JSON.stringify(sortTree(before)) ? 'old' : 'mixed';
}

describe('an error at every call', () => {
  for (const errno of ['ENOSPC', 'EIO', 'EACCES']) {
    it(`F-03, F-05, F-08: one ${errno} at any changing call leaves all old or all new`, async () => {
      const lines = await sweep(errno, { stays: false, reads: false });
      expect(lines.length).toBeGreaterThan(60);
      for (const line of lines) {
        expect([line.name, line.at, judge(line)]).not.toContain('mixed');
        expect(line.code).not.toContain('BUG');
        if (line.code === 'done')
          expect([line.name, line.at, judge(line)]).toEqual([line.name, line.at, 'new']);
      }
    });
  }

  it('F-03: a disk that stays full is reported, and where that leaves old and new files, as half written', async () => {
    const lines = await sweep('ENOSPC', { stays: true, reads: false });
    for (const line of lines.filter((candidate) => !candidate.isPast)) {
      const verdict = judge(line);
      expect(line.code).not.toContain('BUG');
      if (line.code === 'done') expect([line.name, line.at, verdict]).toEqual([line.name, line.at, 'new']);
      if (verdict === 'mixed') expect(line.code).toBe('half_written');
      // One file is never half a file: every file is an old or a new one.
      const { before, after } = scenarios[line.name] as { before: Tree; after: Tree };
      for (const [path, text] of Object.entries(line.tree))
        expect([before[path], after[path]]).toContain(text);
    }
  });

  it('F-04: an error of any read, also of one file of several, leaves all old or all new', async () => {
    const lines = await sweep('EIO', { stays: false, reads: true });
    expect(lines.length).toBeGreaterThan(150);
    for (const line of lines) {
      expect([line.name, line.at, judge(line)]).not.toContain('mixed');
      expect(line.code).not.toContain('BUG');
    }
  });

  it('F-06: a write that takes one byte at a time still writes everything', async () => {
    const lines = await sweep('short-write', { stays: true, reads: false });
    for (const line of lines) expect([line.code, judge(line)]).toEqual(['done', 'new']);
  });
});

describe('a kill at every call', () => {
  for (const name of Object.keys(scenarios) as ScenarioName[]) {
    for (const action of name === 'one file' ? ['kill-before', 'kill-after'] : ['kill-before']) {
      it(`F-01, INV-105: ${name}, ${action}: no half file, and the next run works`, async () => {
        const verdicts: string[] = [];
        for (let at = 1, isPast = false; !isPast; at += 4) {
          const ends = await Promise.all([0, 1, 2, 3].map((more) => killAt(name, action, at + more)));
          verdicts.push(...ends.map(({ verdict }) => verdict));
          isPast = ends.some((end) => end.isPast);
        }
        // The order of the renames: one step from old to new for one file, and never back.
        expect(verdicts[0]).toBe('old');
        expect(verdicts.at(-1)).toBe('new');
        if (name === 'one file') expect(verdicts).not.toContain('mixed');
        expect(verdicts.length).toBeGreaterThan(15);
      });
    }
  }

  /** One child that dies at call `at` (or ends, past the last one), what it leaves, and the next run. */
  async function killAt(
    name: ScenarioName,
    action: string,
    at: number,
  ): Promise<{ verdict: string; isPast: boolean }> {
    const { before, after } = scenarios[name] as { before: Tree; after: Tree };
    const root = await mkdtemp(join(bench.folder, 'k-'));
    await writeTree(root, before);
    const { signal, stderr } = await bench.run('kill', name, root, action, String(at));
    expect(stderr).toBe('');
    const { tree, leftovers } = await readTree(root);
    for (const [path, text] of Object.entries(tree)) expect([before[path], after[path]]).toContain(text);
    expectOrder(tree, before, after);
    const isPast = signal === null;
    await recover(root, name, isPast);
    return { verdict: judge({ name, at, code: '', tree, leftovers, isPast }), isPast };
  }

  /** The manifest first, then sidecars, then cells, then removals: what is new is a beginning of that order. */
  function expectOrder(tree: Tree, before: Tree, after: Tree): void {
    const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
      (path) => before[path] !== after[path],
    );
    const rank = (path: string) =>
      path in after ? ['.yaml', '.meta.yaml', '.enc.yaml'].findLastIndex((end) => path.endsWith(end)) : 3;
    const isNew = changed.sort((a, b) => rank(a) - rank(b)).map((path) => tree[path] === after[path]);
    expect(isNew).toEqual([...isNew].sort((a, b) => Number(b) - Number(a)));
  }

  /** The next run, in another process than the one that died: first everything is old or new, then the change works. */
  async function recover(root: string, name: ScenarioName, isPast: boolean): Promise<void> {
    const { before, after } = scenarios[name];
    const notices: string[] = [];
    await settle(
      worldFor((notice) => notices.push(notice.message)),
      root,
    );
    const settled = await readTree(root);
    expect([sortTree(before), sortTree(after)]).toContainEqual(settled.tree);
    if (isPast) expect(settled.tree).toEqual(sortTree(after));
    expect(settled.leftovers.filter((path) => !path.startsWith('.clef/lock'))).toEqual([]);
    expect(notices.length).toBeLessThanOrEqual(1);
    await settle(
      worldFor(() => expect.fail('There is nothing left to tell')),
      root,
    );
    await commitFiles(root, changesOf({ before: settled.tree, after }), options);
    expect(await readTree(root)).toEqual({ tree: sortTree(after), leftovers: [] });
  }
});
