// Whole files decrypted, by us and by the real sops in turns: one file of 25, 1,000 and 10,000 values, and a tree of 100
// files, which one `clef export` reads as a whole and sops one process after the other.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runChild } from '@clef/host';
import { encryptTree, formatSopsFile, mappingOf, stringLeaf } from '@clef/sops';
import { type Contestant, race } from './measure.ts';
import type { Scene } from './scene.ts';

const sizes = [25, 1000, 10_000] as const;
const roundsOf = { 25: 21, 1000: 9, 10000: 7 } as const;
const treeFiles = 100;
const treeRounds = 3;

/** Milliseconds by what was done and by whom. */
export type Times = ReadonlyMap<string, readonly number[]>;

export type DecryptFigures = {
  readonly files: readonly { readonly values: number; readonly times: Times }[];
  readonly tree: Times;
};

/** Makes the files beside the scene's cell and races over them. */
export async function raceDecryption(scene: Scene): Promise<DecryptFigures> {
  const cells = sizes.map((values) => ({ namespace: `size-${values}`, values }));
  const tree = Array.from({ length: treeFiles }, (_, index) => ({ namespace: `tree-${index}`, values: 25 }));
  await addNamespaces(scene, cells);
  const { clef, sops, folder, environment } = scene;
  const common = { cwd: folder, environment };
  const ours = (name: string, args: readonly string[]): Contestant => ({
    ...common,
    name,
    command: process.execPath,
    args: [clef, ...args],
  });
  const files: { values: number; times: Times }[] = [];
  for (const { namespace, values } of cells) {
    const path = pathOf(namespace);
    const contestants: Contestant[] = [
      { ...common, name: 'bare node', command: process.execPath, args: ['-e', '0'] },
      ours('clef sops decrypt', ['sops', 'decrypt', path]),
      ours('clef export', ['export', `${namespace}/development`]),
      ...(sops === undefined ? [] : [{ ...common, name: 'sops', command: sops, args: ['decrypt', path] }]),
    ];
    files.push({ values, times: await race(() => contestants, roundsOf[values]) });
  }
  // Only now: every command reads the whole of clef.yaml.
  await addNamespaces(scene, tree);
  return {
    files,
    tree: await raceTree(
      scene,
      tree.map(({ namespace }) => namespace),
      ours,
    ),
  };
}

async function raceTree(
  { sops, folder, environment }: Scene,
  namespaces: readonly string[],
  ours: (name: string, args: readonly string[]) => Contestant,
): Promise<Times> {
  const [first = '', ...more] = namespaces.map((namespace) => `${namespace}/development`);
  const args = ['export', first, ...more.flatMap((cell) => ['--also', cell])];
  const whole = ours('clef export', args);
  if (sops === undefined) return race(() => [whole], treeRounds);
  const times = new Map<string, number[]>([
    ['clef export', []],
    ['sops', []],
  ]);
  for (let round = 0; round < treeRounds; round += 1) {
    const [milliseconds = 0] = (await race(() => [whole], 1)).get(whole.name) ?? [];
    times.get('clef export')?.push(milliseconds);
    const start = performance.now();
    for (const namespace of namespaces) {
      await runChild({
        command: sops,
        args: ['decrypt', pathOf(namespace)],
        cwd: folder,
        environment,
        stdio: 'capture',
      });
    }
    times.get('sops')?.push(performance.now() - start);
  }
  return times;
}

type NewCell = { readonly namespace: string; readonly values: number };

/** Cells as `clef set` would have made them one value at a time, which would take an hour. */
async function addNamespaces({ folder, recipient }: Scene, cells: readonly NewCell[]): Promise<void> {
  const manifestFile = join(folder, 'clef.yaml');
  const manifest = await readFile(manifestFile, 'utf8');
  const lines = cells.map(({ namespace }) => `  - name: ${namespace}\n`).join('');
  await writeFile(
    manifestFile,
    manifest.replace(/^namespaces:\n/m, (head) => head + lines),
  );
  const sources = {
    now: Date.now(),
    randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
  };
  for (const { namespace, values } of cells) {
    const prefix = namespace.toUpperCase().replaceAll('-', '_');
    const entries = Array.from(
      { length: values },
      (_, index) => [`${prefix}_KEY_${index}`, stringLeaf(`value ${index} ${'x'.repeat(24)}`)] as const,
    );
    const recipients = [{ type: 'age', recipient } as const];
    const file = await encryptTree(
      { documents: [mappingOf(entries)] },
      { ...sources, format: 'yaml', recipients },
    );
    const path = join(folder, pathOf(namespace));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, formatSopsFile(file));
  }
}

function pathOf(namespace: string): string {
  return `secrets/${namespace}/development.enc.yaml`;
}
