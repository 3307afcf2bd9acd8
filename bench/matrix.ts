// A matrix of 20 namespaces and 5 environments as one transaction: new data keys for all cells, against a loop of the real
// sops over the files; making all cells, and renaming an environment, which sops has nothing for.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@clef/host';
import { encryptTree, formatSopsFile, mappingOf, stringLeaf } from '@clef/sops';
import { openScene, type Scene } from './scene.ts';

const namespaceCount = 20;
const valuesPerCell = 25;
const rounds = 5;

/** Milliseconds of each round by what was done and by whom. */
export type MatrixTimes = ReadonlyMap<string, readonly number[]>;

/** Furnishes a repository of its own and races in it. */
export async function raceMatrix(outer: NodeJS.ProcessEnv): Promise<MatrixTimes> {
  const scene = await openScene(outer);
  try {
    await widen(scene);
    return await raceRounds(scene);
  } finally {
    await scene.remove();
  }
}

async function raceRounds(scene: Scene): Promise<MatrixTimes> {
  const { folder, sops } = scene;
  const times = new Map<string, number[]>();
  const timed = async (name: string, work: () => Promise<void>): Promise<void> => {
    const start = performance.now();
    await work();
    times.set(name, [...(times.get(name) ?? []), performance.now() - start]);
  };
  for (let round = 0; round < rounds; round += 1) {
    await rm(join(folder, 'secrets'), { recursive: true });
    await timed('clef sync', () => runClef(scene, ['sync', '--yes']));
    await fill(scene);
    await timed('clef rotate', () => runClef(scene, ['rotate', '--all', '--yes']));
    if (sops !== undefined) await timed('sops', () => inTurn(scene, sops, ['rotate', '--in-place']));
    await timed('clef rename', () =>
      runClef(scene, ['environment', 'rename', nameOf(round), nameOf(round + 1)]),
    );
  }
  return times;
}

function nameOf(round: number): string {
  return `renamed-${round}`;
}

async function widen({ folder }: Scene): Promise<void> {
  const file = join(folder, 'clef.yaml');
  const names = Array.from({ length: namespaceCount - 1 }, (_, index) => `  - name: service-${index}\n`);
  const manifest = (await readFile(file, 'utf8'))
    .replace(/^namespaces:\n/m, (head) => head + names.join(''))
    .replace(/^environments:\n/m, (head) => `${head}  - name: preview\n  - name: ${nameOf(0)}\n`);
  await writeFile(file, manifest);
}

/** Values into every cell by the quickest way there is: the same file for all. */
async function fill(scene: Scene): Promise<void> {
  const entries = Array.from(
    { length: valuesPerCell },
    (_, index) => [`KEY_${index}`, stringLeaf(`value ${index} ${'x'.repeat(40)}`)] as const,
  );
  const sources = {
    now: Date.now(),
    randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
  };
  const recipients = [{ type: 'age', recipient: scene.recipient } as const];
  const tree = { documents: [mappingOf(entries)] };
  const bytes = formatSopsFile(await encryptTree(tree, { ...sources, format: 'yaml', recipients }));
  const files = await cellFiles(scene);
  if (files.length !== namespaceCount * 5) throw new Error(`The matrix has ${files.length} cells`);
  for (const file of files) await writeFile(file, bytes);
}

async function cellFiles({ folder }: Scene): Promise<readonly string[]> {
  const names = await readdir(join(folder, 'secrets'), { recursive: true });
  return names.filter((name) => name.endsWith('.enc.yaml')).map((name) => join(folder, 'secrets', name));
}

async function inTurn(scene: Scene, sops: string, args: readonly string[]): Promise<void> {
  for (const file of await cellFiles(scene)) await run(scene, sops, [...args, file]);
}

async function runClef(scene: Scene, args: readonly string[]): Promise<void> {
  await run(scene, process.execPath, [scene.clef, ...args]);
}

async function run({ folder, environment }: Scene, command: string, args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await runChild({ command, args, cwd: folder, environment, stdio: 'capture' });
  if (exitCode !== 0) throw new Error(`${args.join(' ')}: ${new TextDecoder().decode(stderr)}`);
}
