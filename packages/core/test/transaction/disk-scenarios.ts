// Three transactions for the fault tests: one file, several files with a new folder, and one with a removal. The old
// tree, the change, and the new tree.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CommitOptions, FileChange } from '../../src/transaction/commit-files.ts';
import type { World } from '../../src/world.ts';

export type Tree = Readonly<Record<string, string>>;
export type Scenario = { readonly before: Tree; readonly after: Tree };

const cell = (name: string, size = 300) => `ENC[${name}]`.padEnd(size, '=');

export const scenarios = {
  'one file': {
    before: { 'secrets/a/dev.enc.yaml': cell('old') },
    after: { 'secrets/a/dev.enc.yaml': cell('new', 5_000) },
  },
  'a new cell in a new folder': {
    before: { 'clef.yaml': 'version: 1\n' },
    after: {
      'clef.yaml': 'version: 1 # more\n',
      'secrets/b/dev.enc.yaml': cell('new'),
      'secrets/b/dev.meta.yaml': 'ENC names',
    },
  },
  'two files and a removal': {
    before: {
      'secrets/a/dev.enc.yaml': cell('old'),
      'secrets/a/dev.meta.yaml': 'ENC old',
      'secrets/b/dev.enc.yaml': cell('gone'),
    },
    after: { 'secrets/a/dev.enc.yaml': cell('new'), 'secrets/a/dev.meta.yaml': 'ENC new' },
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;

export const options: CommitOptions = {
  purpose: 'test',
  now: () => 1_700_000_000_000,
  randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
  waitSeconds: 5,
};

/** A world for what needs no more of it than time, chance and somebody to tell. */
export function worldFor(notify: World['notify']): World {
  return {
    environment: {},
    cwd: '/',
    homeDirectory: '/nowhere',
    platform: process.platform,
    userName: 'tester',
    now: options.now,
    randomBytes: options.randomBytes,
    notify,
  };
}

/** The changes that lead from one tree to the other. */
export function changesOf({ before, after }: Scenario): FileChange[] {
  const bytes = (text: string | undefined) =>
    text === undefined ? undefined : new TextEncoder().encode(text);
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((path) => before[path] !== after[path])
    .map((path) => ({ path, before: bytes(before[path]), after: bytes(after[path]) }));
}

export async function writeTree(root: string, tree: Tree): Promise<void> {
  for (const [path, text] of Object.entries(tree)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

/** Every file outside of `.clef`, and every file that should not be there afterwards. */
export async function readTree(
  root: string,
): Promise<{ readonly tree: Tree; readonly leftovers: readonly string[] }> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const tree: Record<string, string> = {};
  const leftovers: string[] = [];
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name).slice(root.length + 1);
    const isLeftover = entry.name.startsWith('.clef-tmp-') || /^\.clef\/(?:lock|journal)/.test(path);
    if (isLeftover) leftovers.push(path);
    else if (!path.startsWith('.clef/')) tree[path] = await readFile(join(root, path), 'utf8');
  }
  return { tree: Object.fromEntries(Object.entries(tree).sort()), leftovers };
}
