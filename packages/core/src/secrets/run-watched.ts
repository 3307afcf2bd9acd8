// exec --watch: the command is started anew when the values of its cells change. There are never two children, and no
// state that Clef cannot read takes a running one away.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildExit } from '@clef/host';
import { ClefError } from '../errors.ts';
import { manifestName, type Repository } from '../repository.ts';
import { openRepository } from '../transaction/open-repository.ts';
import { type Choice, chosenCells } from './choose-values.ts';

type Values = ReadonlyMap<string, string>;

/** What the running child is told, and what it tells. */
export type RunHooks = {
  readonly onStart: (child: { readonly kill: (signal: NodeJS.Signals) => void }) => void;
  readonly onSignal: (signal: NodeJS.Signals) => void;
};

export type WatchedRun = {
  readonly choice: Choice;
  readonly read: (repository: Repository) => Promise<Values>;
  readonly run: (values: Values, hooks: RunHooks) => Promise<ChildExit>;
};

/** How often the files are looked at: no watching of the system survives every way in which git and editors replace them. */
const pollMilliseconds = 250;
/** How long a child may take to end after SIGTERM. */
const graceMilliseconds = 10_000;
/** Whoever sends one of these wants the command to end, not to begin again. */
const endingSignals: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']);

/**
 * Runs the command until it ends of its own accord or somebody ends it.
 * @returns how it ended last.
 * @throws {ClefError} what reading and starting can give the first time, and starting at any time.
 */
export async function runWatched(repository: Repository, watched: WatchedRun): Promise<ChildExit> {
  const files = createWatch(repository, watched, await stampOf(repository, watched.choice));
  let values = await watched.read(repository);
  for (;;) {
    const { exit, next } = await runOnce(repository, watched, values, files);
    if (next === undefined) return exit;
    values = next;
  }
}

async function runOnce(
  { world }: Repository,
  { run }: WatchedRun,
  values: Values,
  files: Watch,
): Promise<{ readonly exit: ChildExit; readonly next?: Values }> {
  const over = new AbortController();
  let child: Parameters<RunHooks['onStart']>[0] | undefined;
  let next: Values | undefined;
  let isEnding = false;
  const restart = async (): Promise<void> => {
    const fresh = await files.changeFrom(values, over.signal);
    if (fresh === undefined || isEnding || over.signal.aborted) return;
    next = fresh;
    world.notify({
      level: 'note',
      message: `${changedNames(values, fresh)} changed: starting the command anew`,
    });
    child?.kill('SIGTERM');
    if (await rest(graceMilliseconds, over.signal)) child?.kill('SIGKILL');
  };
  const onStart: RunHooks['onStart'] = (started) => {
    child = started;
    void restart();
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    isEnding ||= endingSignals.has(signal);
  };
  const exit = await run(values, { onStart, onSignal });
  over.abort();
  return { exit, ...(next !== undefined && !isEnding && { next }) };
}

type Watch = {
  /** The next values that differ from `values`; `undefined` when it is over. */
  readonly changeFrom: (values: Values, over: AbortSignal) => Promise<Values | undefined>;
};

function createWatch(repository: Repository, { choice, read }: WatchedRun, first: string): Watch {
  const { world, root } = repository;
  let seen = first;
  const changeFrom: Watch['changeFrom'] = async (values, over) => {
    while (await rest(pollMilliseconds, over)) {
      const now = await stampOf(repository, choice);
      if (now === seen) continue;
      // Whoever writes several files is not done with the first.
      if (!(await rest(pollMilliseconds, over)) || (await stampOf(repository, choice)) !== now) continue;
      seen = now;
      const fresh = await readOrWarn(() => openRepository(world, root).then(read), world);
      if (fresh !== undefined && changedKeys(values, fresh).length > 0) return fresh;
    }
    return undefined;
  };
  return { changeFrom };
}

async function readOrWarn(
  read: () => Promise<Values>,
  world: Repository['world'],
): Promise<Values | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    world.notify({ level: 'warning', message: `the command runs on with its old values: ${error.message}` });
    return undefined;
  }
}

/** Something that differs whenever one of the files has been replaced, written or removed. */
async function stampOf(repository: Repository, choice: Choice): Promise<string> {
  const paths = [manifestName, ...chosenCells(repository, choice).map(({ path }) => path)];
  const stamps = await Promise.all(paths.map((path) => stampOfFile(join(repository.root, path))));
  return stamps.join(' ');
}

async function stampOfFile(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    // Not there now, or not for us: reading it will say so.
    return (error as NodeJS.ErrnoException).code ?? 'unreadable';
  }
}

function changedKeys(before: Values, after: Values): readonly string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => before.get(key) !== after.get(key),
  );
}

function changedNames(before: Values, after: Values): string {
  return changedKeys(before, after)
    .map((key) => `"${key}"`)
    .join(', ');
}

/** Waits; false when it is over before. */
async function rest(milliseconds: number, over: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal: over });
    return true;
  } catch (error) {
    if (over.aborted) return false;
    throw error;
  }
}
