// F-17, INV-104: what a crash of the machine may leave, built from the log of what each command did and synced. Recovery runs
// on every such tree. A sample by default; 2,000 trees a command with CLEF_FAULT_SWEEP=full.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { settle } from '../../packages/core/src/transaction/open-repository.ts';
import { crashTree, seeded } from './power-loss.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { judge, newBench, type Place, type Prepared, prepare, readTree } from './stage.ts';

const isFull = process.env['CLEF_FAULT_SWEEP'] === 'full';
const treesOf = ({ isAlike }: Scenario): number => {
  if (isFull) return 2000;
  return isAlike === true ? 24 : 80;
};
const bench = newBench();
afterAll(() => rmSync(bench, { recursive: true, force: true }));

function materialize(place: Place, tree: ReadonlyMap<string, Buffer | 'folder'>): void {
  rmSync(place.work, { recursive: true, force: true });
  mkdirSync(place.work);
  for (const [path, content] of tree) {
    const to = join(place.work, path);
    if (content === 'folder') mkdirSync(to, { recursive: true });
    else {
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, content);
    }
  }
  // Folders without files are in no tree, and without these two git takes the place for no repository.
  for (const folder of ['objects', 'refs']) mkdirSync(join(place.work, '.git', folder), { recursive: true });
}

async function recoverIn({ work }: Place): Promise<readonly string[]> {
  const told: string[] = [];
  await settle(
    {
      environment: { PATH: process.env['PATH'] },
      cwd: work,
      homeDirectory: '/nowhere',
      platform: process.platform,
      userName: 'tester',
      now: () => 1_800_000_000_000,
      randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      notify: ({ message }) => told.push(message),
    },
    work,
  );
  return told;
}

type Crash = { readonly after: number; readonly verdict: string; readonly wrong: readonly string[] };

/** A crash after the first calls of the log, and what recovery makes of it. */
async function crash(prepared: Prepared, after: number, chance: () => number): Promise<Crash> {
  materialize(prepared.logged, crashTree(prepared.old, prepared.log, after, chance));
  const told = await recoverIn(prepared.logged);
  const { tree, leftovers } = readTree(prepared.logged);
  const verdict = judge(prepared, tree);
  return {
    after,
    verdict,
    wrong: [
      ...(verdict === 'mixed' ? ['mixed'] : []),
      ...(leftovers.some((path) => path.startsWith('.clef/journal')) ? leftovers : []),
      ...(told.length > 1 || told.some((line) => line.includes('cannot be')) ? told : []),
    ],
  };
}

// A single file that is put in place by one rename needs no recovery, and gets the same trees.
describe.each(scenarios)('$name', (scenario) => {
  it(`F-17, INV-104: every tree that a crash may leave is all old or all new after recovery, and what was reported is there`, async () => {
    const prepared = await prepare(bench, scenario);
    const chance = seeded(17);
    const crashes: Crash[] = [];
    for (let tree = 0; tree < treesOf(scenario); tree += 1)
      crashes.push(
        await crash(prepared, tree % 8 === 7 ? prepared.log.length : tree % prepared.log.length, chance),
      );
    expect(crashes.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
    // The last call but one is the removal of the journal: what was reported as done survives.
    const reported = crashes.filter(({ after }) => after === prepared.log.length);
    expect(reported.length).toBeGreaterThan(1);
    expect(reported.filter(({ verdict }) => verdict !== 'new')).toEqual([]);
    expect(crashes.some(({ verdict }) => verdict === 'old')).toBe(true);
  }, 600_000);
});
