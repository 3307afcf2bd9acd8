// Runs one scenario with one fault, in a copy of its tree, and judges what is left: all old or all new.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runChild } from '@clef/host';
import { canary, type Scenario, type Step } from './scenarios.ts';

export const clefPath = fileURLToPath(new URL('../../packages/cli/bin/clef.js', import.meta.url));
const preload = pathToFileURL(fileURLToPath(new URL('./fault.mjs', import.meta.url))).href;

export type Fault = {
  readonly at: number;
  readonly action: string;
  readonly errno?: string;
  readonly stays?: boolean;
};

export type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** Every file of the work tree by its path, as text of single bytes. */
export type Tree = Readonly<Record<string, string>>;

export type Place = { readonly work: string; readonly home: string };

/** A scenario with what is known of it: the old tree, which files change, and what the next command prints. */
export type Prepared = {
  readonly scenario: Scenario;
  readonly old: Tree;
  /** Of one run without a fault. */
  readonly reference: Tree;
  /** How many changing calls that run made. */
  readonly calls: number;
  readonly oldLook: Ran;
  readonly newLook: Ran;
  /** What was done, call by call. */
  readonly log: readonly LogEntry[];
  /** Where that was. */
  readonly logged: Place;
  copy(): Place;
};

export type LogEntry = {
  readonly n: number;
  readonly op: string;
  readonly path: string;
  readonly to?: string;
  readonly bytes?: string;
  readonly position?: number;
  readonly isNew?: boolean;
};

/** A folder for copies, in memory where there is such a place (a sync costs nothing there); remove it at the end. */
export function newBench(): string {
  const memory = '/dev/shm';
  return realpathSync(mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'clef-faults-')));
}

/** Runs a command line in a place, with a fault. */
export async function run(
  place: Place,
  step: Step,
  fault?: Partial<Fault> & { readonly log?: string },
): Promise<Ran> {
  const under = [place.work, place.home];
  const result = await runChild({
    command: step.program ?? process.execPath,
    args: step.program
      ? step.args
      : [...(fault === undefined ? [] : ['--import', preload]), clefPath, ...step.args],
    cwd: place.work,
    environment: {
      PATH: process.env['PATH'],
      HOME: place.home,
      CLEF_KEYCHAIN: 'off',
      GIT_CONFIG_GLOBAL: join(place.home, '.gitconfig'),
      GIT_CONFIG_NOSYSTEM: '1',
      ...step.environment,
      ...(fault === undefined ? {} : { CLEF_FAULT: JSON.stringify({ under, ...fault }) }),
    },
    stdio: 'capture',
    timeoutSeconds: 120,
    ...(step.input === undefined ? {} : { input: Buffer.from(step.input) }),
  });
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
  return { exitCode: result.exitCode, stdout: text(result.stdout), stderr: text(result.stderr) };
}

/** Brings a scenario to its old state, once, and runs it once without a fault. */
export async function prepare(bench: string, scenario: Scenario): Promise<Prepared> {
  const template = await oldState(bench, scenario.given);
  const copy = (): Place => {
    const place = newPlace(bench);
    cpSync(template.work, place.work, { recursive: true });
    cpSync(template.home, place.home, { recursive: true });
    return place;
  };
  const oldLook = await run(copy(), { args: scenario.look });
  const finished = copy();
  const log = join(finished.work, '../log.jsonl');
  await succeed(run(finished, scenario.run, { log }));
  const newLook = await run(finished, { args: scenario.look });
  const entries = readFileSync(log, 'utf8').trim().split('\n');
  const parsed = entries.map((line) => JSON.parse(line) as LogEntry);
  return {
    scenario,
    old: readTree(template).tree,
    reference: readTree(finished).tree,
    calls: parsed.at(-1)?.n ?? 0,
    oldLook,
    newLook,
    log: parsed.slice(0, -1).map((entry) => relativeTo(finished, entry)),
    logged: finished,
    copy,
  };
}

const oldStates = new Map<string, Promise<Place>>();

/** The place to which these steps lead; made once, and only ever copied. */
function oldState(bench: string, given: readonly Step[]): Promise<Place> {
  const name = JSON.stringify([bench, given]);
  const made = oldStates.get(name) ?? makeOldState(bench, given);
  oldStates.set(name, made);
  return made;
}

async function makeOldState(bench: string, given: readonly Step[]): Promise<Place> {
  const place = newPlace(bench);
  for (const step of given) await succeed(run(place, step));
  // Sidecars tell seconds: within one, a value set again would leave its sidecar as it is, and change one file fewer.
  await sleep(1_050 - (Date.now() % 1_000));
  return place;
}

function relativeTo({ work, home }: Place, entry: LogEntry): LogEntry {
  const cut = (path: string): string => path.replace(`${work}`, 'work').replace(`${home}`, 'home');
  return { ...entry, path: cut(entry.path), ...(entry.to === undefined ? {} : { to: cut(entry.to) }) };
}

let places = 0;

function newPlace(bench: string): Place {
  places += 1;
  const place = { work: join(bench, `p${places}`, 'work'), home: join(bench, `p${places}`, 'home') };
  mkdirSync(place.work, { recursive: true });
  mkdirSync(place.home, { recursive: true });
  return place;
}

export function removePlace(place: Place): void {
  // A text that was open in an editor when its clef was killed: in memory, and nobody else's to remove.
  const edited = join(place.home, 'edited');
  if (existsSync(edited)) rmSync(dirname(readFileSync(edited, 'utf8')), { recursive: true, force: true });
  rmSync(join(place.work, '..'), { recursive: true, force: true });
}

async function succeed(run: Promise<Ran>): Promise<Ran> {
  const ran = await run;
  if (ran.exitCode !== 0) throw new Error(`Exit ${ran.exitCode}: ${ran.stderr}`);
  return ran;
}

/** What is on the disk: the files of the tree, and whatever Clef left of its own. */
export function readTree(place: Place): { readonly tree: Tree; readonly leftovers: readonly string[] } {
  const tree: Record<string, string> = {};
  const leftovers: string[] = [];
  for (const entry of readdirSync(place.work, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name).slice(place.work.length + 1);
    const text = readFileSync(join(place.work, path), 'latin1');
    if (text.includes(canary)) throw new Error(`Plaintext in ${path}`);
    if (entry.name.startsWith('.clef-tmp-') || path.startsWith('.clef/journal')) leftovers.push(path);
    // The lock of a dead process is for the next writer to take over.
    else if (!path.startsWith('.clef/lock')) tree[path] = text;
  }
  return { tree, leftovers };
}

export type Verdict = 'old' | 'new' | 'mixed';

/** Judges a tree. Ciphertext is another one each time, so a new file is one that is no longer the old one. */
export function judge({ old, reference }: Prepared, tree: Tree): Verdict {
  const paths = [...new Set([...Object.keys(old), ...Object.keys(reference), ...Object.keys(tree)])];
  // Made with the first lock, whatever becomes of the change.
  const relevant = paths.filter((path) => path !== '.clef/.gitignore');
  if (relevant.every((path) => tree[path] === old[path])) return 'old';
  const isNew = (path: string): boolean => {
    if (old[path] === reference[path]) return tree[path] === old[path];
    if (reference[path] === undefined) return tree[path] === undefined;
    return tree[path] !== undefined && tree[path] !== old[path];
  };
  return relevant.every(isNew) ? 'new' : 'mixed';
}

/** Runs jobs side by side, as many at a time as there are cores here. */
export async function inTurns<T>(jobs: readonly (() => Promise<T>)[], width = 2): Promise<readonly T[]> {
  const results: T[] = [];
  const waiting = [...jobs.entries()];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      results[next[0]] = await next[1]();
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/** The one line by which a settled change is told. */
export function noticesIn(stderr: string): number {
  return stderr.split('\n').filter((line) => line.includes('interrupted')).length;
}
