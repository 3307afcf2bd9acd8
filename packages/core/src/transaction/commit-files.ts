// The one way by which Clef changes files of a repository: under the lock, everything staged and synced first, each file
// compared with what was read, a commit record, then one rename after the other. All files are old or all are new, also
// after a crash: the next command finishes what has its commit record and takes back what has not (journal.ts, recover.ts).

import { lstat, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  deferSignals,
  fsyncDirectory,
  HostError,
  removeTemporaryFiles,
  temporaryFilePrefix,
} from '@clef/host';
import { encodeHex, escapeControl } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { digestAt, digestOf, isAbsent } from './file-digest.ts';
import { fileError } from './file-error.ts';
import { waitForGit } from './git-busy.ts';
import {
  commitPlan,
  type Journal,
  type JournalFile,
  removeJournal,
  removeRecord,
  rootName,
  writePlan,
} from './journal.ts';
import { isPlainPath } from './paths.ts';
import { beside, inFolderOf, putInPlace, removeStaged, syncFolders, tidy } from './put-in-place.ts';
import { changedSince, recover } from './recover.ts';
import { acquireLock, type HeldLock, type LockOptions } from './repository-lock.ts';

/** One file of a transaction. */
export type FileChange = {
  /** Relative to the root of the repository, with forward slashes. */
  readonly path: string;
  /** The bytes that the change was made from; undefined = the file must not exist. */
  readonly before: Uint8Array | undefined;
  /** The new bytes; undefined = remove the file. */
  readonly after: Uint8Array | undefined;
  /** Permission bits of a new file; 0644 by default. An existing file keeps its own. */
  readonly mode?: number;
};

export type CommitOptions = LockOptions;

/** What the holder of the lock may do. */
export type LockedRepository = {
  /** As {@link commitFiles}, under the lock that is held. */
  commit(changes: readonly FileChange[]): Promise<void>;
};

/**
 * Puts all `changes` in place, or none. Missing folders are made. Throws, with nothing changed:
 * `changed_meanwhile` when a file is no longer what `before` says, `bad_path` for a path that leaves the repository or
 * is a link or a special file, `lock_held`, `git_busy`, `journal_unusable`, `io`. Throws `half_written` when an error came
 * after the first file was in place and could not be undone: the next command finishes the change or takes it back.
 * A signal meanwhile ends the process after the change is whole or taken back.
 */
export async function commitFiles(
  root: string,
  changes: readonly FileChange[],
  options: CommitOptions,
): Promise<void> {
  await withRepositoryLock(root, options, (repository) => repository.commit(changes));
}

/**
 * Runs `body` while no other Clef writes to the repository at `root`: for an operation that must read, decide and write
 * as one. `body` must not call {@link commitFiles}, which would wait for itself. What an interrupted change left is
 * settled before `body` runs.
 */
export async function withRepositoryLock<T>(
  root: string,
  options: CommitOptions,
  body: (repository: LockedRepository) => Promise<T>,
): Promise<T> {
  const lock = await acquireLock(root, options);
  try {
    const recovery = await recover(root);
    if (recovery !== undefined && recovery.changed.length > 0) throw changedSince(recovery);
    return await body({ commit: (changes) => commitUnderLock(root, changes, options, lock) });
  } finally {
    await lock.release();
  }
}

type Transaction = {
  readonly root: string;
  readonly options: CommitOptions;
  readonly changes: readonly FileChange[];
  readonly journal: Journal;
};

async function commitUnderLock(
  root: string,
  changes: readonly FileChange[],
  options: CommitOptions,
  lock: HeldLock,
): Promise<void> {
  const ordered = [...changes].sort((a, b) => rankOf(a) - rankOf(b));
  checkPaths(ordered);
  await checkFolders(root, ordered);
  for (const change of ordered) await compare(root, fileOf(change, undefined));
  const real = ordered.filter((change) => !isSame(change.before, change.after));
  if (real.length === 0) return;
  await waitForGit(root, options.waitSeconds ?? 10);
  await removeLeftovers(root, real);
  const journal = await planJournal(root, real, options);
  const transaction = { root, options, changes: real, journal };
  await deferSignals(
    (isInterrupted) => carryOut(transaction, isInterrupted),
    () => lock.release(),
  );
}

/**
 * The manifest first, so that cells which still have the old recipients are refused by name; then sidecars, so that a
 * sidecar may name a key that its cell lacks, never the reverse; then cells; removals last. It is what a reader sees that
 * takes no lock, for as long as the renames last.
 */
function rankOf({ path, after }: FileChange): number {
  if (after === undefined) return 3;
  if (path.endsWith('.enc.yaml')) return 2;
  return path.endsWith('.meta.yaml') ? 1 : 0;
}

function checkPaths(changes: readonly FileChange[]): void {
  const seen = new Set<string>();
  for (const { path } of changes) {
    if (!isPlainPath(path)) throw fileError('write', path, new HostError('outside', 'A bad path'));
    if (seen.has(path.toLowerCase())) throw new Error('One file is changed twice in one transaction');
    seen.add(path.toLowerCase());
  }
}

function isSame(before: Uint8Array | undefined, after: Uint8Array | undefined): boolean {
  return before === undefined || after === undefined ? before === after : Buffer.compare(before, after) === 0;
}

function fileOf({ path, before, after }: FileChange, temporary: string | undefined): JournalFile {
  return {
    path,
    before: before === undefined ? undefined : digestOf(before),
    after: after === undefined ? undefined : digestOf(after),
    temporary,
  };
}

/** Throws `changed_meanwhile` unless the file is what `before` says. */
async function compare(root: string, { path, before }: JournalFile): Promise<void> {
  const current =
    before === undefined && (await isAbsent(root, path)) ? undefined : await digestAt(root, path);
  if (current !== before) throw changedMeanwhile(path, before, current);
}

function changedMeanwhile(path: string, before: string | undefined, current: string | undefined): ClefError {
  const what = before === undefined ? 'has appeared' : current === undefined ? 'was removed' : 'was changed';
  return new ClefError({
    code: 'changed_meanwhile',
    message: `"${path}" ${what} while Clef worked; nothing was written`,
    hint: 'look at the file and run the command again',
    location: { file: path },
  });
}

/** Whatever a killed process left beside the files; we hold the lock, so none of it belongs to a living one. */
async function removeLeftovers(root: string, changes: readonly FileChange[]): Promise<void> {
  for (const folder of new Set(changes.map((change) => dirname(change.path)))) {
    try {
      await removeTemporaryFiles(join(root, folder));
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== 'not_found')
        throw fileError('clean up', folder, error);
    }
  }
}

async function planJournal(
  root: string,
  changes: readonly FileChange[],
  { purpose, randomBytes }: CommitOptions,
): Promise<Journal> {
  const files = changes.map((change) =>
    fileOf(change, change.after === undefined ? undefined : temporaryFilePrefix + encodeHex(randomBytes(12))),
  );
  const folders = await missingFolders(root, files);
  return {
    root: await rootName(root),
    purpose: escapeControl(purpose).slice(0, 200),
    files,
    folders,
    discard: [],
  };
}

/** The folders that have to be made, outermost first. */
async function missingFolders(root: string, files: readonly JournalFile[]): Promise<readonly string[]> {
  const missing = new Set<string>();
  for (const { path } of files.filter(({ temporary }) => temporary !== undefined)) {
    const above: string[] = [];
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
      if (missing.has(folder) || !(await isAbsent(root, folder))) break;
      above.unshift(folder);
    }
    for (const folder of above) missing.add(folder);
  }
  return [...missing];
}

async function carryOut(transaction: Transaction, isInterrupted: () => boolean): Promise<void> {
  const { root, journal } = transaction;
  const isRecorded = journal.files.length > 1;
  try {
    await prepare(transaction, isInterrupted);
  } catch (error) {
    await forget(root, journal);
    throw error;
  }
  try {
    if (isRecorded) await commitPlan(root);
    await putAllInPlace(root, journal);
  } catch (error) {
    await takeBack(transaction, error);
    throw error;
  }
  // All is in place and durable; what cannot be removed now is removed by the next command.
  const removal = isRecorded ? removeRecord(root, journal) : removeJournal(root, 'journal.plan', false);
  await removal.catch(() => undefined);
}

/** Everything that can fail for want of space or permission, and the last look at all files. */
async function prepare({ root, journal, changes }: Transaction, isInterrupted: () => boolean): Promise<void> {
  await writePlan(root, journal);
  await makeFolders(root, journal);
  for (const [index, change] of changes.entries()) {
    if (isInterrupted()) throw new Error('Interrupted by a signal');
    await stage(root, journal.files[index] as JournalFile, change);
  }
  // The names of what is staged, which the commit record relies on; one file needs none.
  if (journal.files.length > 1) await syncFolders(root, journal);
  for (const file of journal.files) await compare(root, file);
  if (isInterrupted()) throw new Error('Interrupted by a signal');
}

async function makeFolders(root: string, { folders }: Journal): Promise<void> {
  for (const folder of folders) {
    try {
      await mkdir(join(root, folder), { mode: 0o755 });
      await fsyncDirectory(join(root, dirname(folder)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError('write', folder, error);
    }
  }
}

/** Throws `bad_path` where something on the way to a file is a link or no folder; what is missing will be made. */
async function checkFolders(root: string, changes: readonly FileChange[]): Promise<void> {
  const checked = new Set<string>(['.']);
  const check = async (folder: string): Promise<void> => {
    if (checked.has(folder)) return;
    checked.add(folder);
    await check(dirname(folder));
    if (await isAbsent(root, folder)) return;
    const path = join(root, folder);
    const facts = await lstat(path);
    if (facts.isDirectory()) return;
    throw facts.isSymbolicLink()
      ? new HostError('symlink', 'A folder on the way is a link', { path })
      : new HostError('not_regular', 'A folder on the way is a file', { path });
  };
  for (const { path } of changes) {
    await check(dirname(path)).catch((error: unknown) => {
      throw fileError('write', path, error);
    });
  }
}

async function stage(root: string, { path, temporary }: JournalFile, change: FileChange): Promise<void> {
  const { after, before } = change;
  if (temporary === undefined || after === undefined) return;
  try {
    const mode = before === undefined ? (change.mode ?? 0o644) : (await lstat(join(root, path))).mode & 0o777;
    await inFolderOf(root, path, (folder) => folder.create(temporary, after, mode));
  } catch (error) {
    throw fileError('write', path, error);
  }
}

async function putAllInPlace(root: string, journal: Journal): Promise<void> {
  for (const file of journal.files) {
    if ((await putInPlace(root, file)) === 'changed')
      throw changedMeanwhile(file.path, file.before, await digestAt(root, file.path));
  }
  await syncFolders(root, journal);
}

/** Takes back what was prepared. What cannot be removed stays in the plan, for the next command. */
async function forget(root: string, journal: Journal): Promise<void> {
  try {
    await removeStaged(root, journal);
    await tidy(root, { ...journal, discard: [] });
    await removeJournal(root, 'journal.plan', false);
  } catch {
    // The failure that led here is the news.
    return;
  }
}

/**
 * After a failure beyond the commit record: the way back is a change like any other, from the new bytes to the old ones,
 * whose commit record takes the place of the first one.
 * @throws {ClefError} `half_written` where that fails too: one of the two commit records stays for the next command.
 */
async function takeBack(transaction: Transaction, failure: unknown): Promise<void> {
  const { root } = transaction;
  try {
    const done = await filesInPlace(transaction);
    if (done.length === 0) return await dropRecord(transaction);
    await reverse(transaction, done);
  } catch (error) {
    throw halfWritten(transaction, failure, error);
  }
  await removeJournal(root, 'journal.plan', false).catch(() => undefined);
}

/** Nothing is in place: without its record the change has not happened. */
async function dropRecord({ root, journal }: Transaction): Promise<void> {
  await removeJournal(root, 'journal', true);
  await forget(root, journal);
}

async function filesInPlace({ root, journal }: Transaction): Promise<readonly number[]> {
  const done: number[] = [];
  for (const [index, { path, temporary, after }] of journal.files.entries()) {
    const isDone =
      temporary === undefined ? await isAbsent(root, path) : await isAbsent(root, beside(path, temporary));
    // One that somebody else has changed since is theirs.
    if (isDone && (await digestAt(root, path)) === after) done.push(index);
  }
  return done;
}

async function reverse(transaction: Transaction, done: readonly number[]): Promise<void> {
  const { root, options, changes, journal } = transaction;
  const back = done
    .map((index) => changes[index] as FileChange)
    .map(({ path, before, after }): FileChange => ({ path, before: after, after: before }));
  const plan = await planJournal(root, back.reverse(), options);
  const discard = journal.files.flatMap(({ path, temporary }, index) =>
    temporary === undefined || done.includes(index) ? [] : [beside(path, temporary)],
  );
  const way = { ...plan, folders: [...new Set([...journal.folders, ...plan.folders])], discard };
  await removeJournal(root, 'journal.plan', false);
  try {
    await prepare({ root, options, changes: back, journal: way }, () => false);
  } catch (error) {
    await forget(root, way);
    throw error;
  }
  await commitPlan(root);
  await putAllInPlace(root, way);
  await tidy(root, way);
  await removeRecord(root, way);
}

function halfWritten({ journal }: Transaction, failure: unknown, cause: unknown): unknown {
  const why = failure instanceof Error ? failure.message : 'it failed';
  const files = journal.files.map(({ path }) => `"${path}"`);
  const names =
    files.length > 5 ? `${files.slice(0, 5).join(', ')} and ${files.length - 5} more` : files.join(', ');
  return new ClefError({
    code: 'half_written',
    message: `${why}. The change of ${names} could neither be finished nor taken back now`,
    hint: 'mend that, then run any clef command: it finishes the change or takes it back',
    cause,
  });
}
