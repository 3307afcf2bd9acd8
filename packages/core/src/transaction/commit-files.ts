// The one way by which Clef changes files of a repository: under the lock, everything staged and synced first, each file
// compared with what was read, then one rename after the other.
//
// One file is all old or all new whatever happens. Of several files an error undoes those that were done; a crash
// between two renames is not undone yet (the journal that does so will come behind this same signature). Until then the
// order makes it visible: the manifest first, so that cells which still have the old recipients are refused by name;
// then sidecars, so that a sidecar may name a key that its cell lacks, never the reverse; then cells; removals last.

import { lstat, mkdir, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  fsyncDirectory,
  HostError,
  readRegularFile,
  removeTemporaryFiles,
  type StagedFile,
  stageFile,
} from '@clef/host';
import { ClefError } from '../errors.ts';
import { fileError } from './file-error.ts';
import { acquireLock, type LockOptions } from './repository-lock.ts';

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
 * is a link or a special file, `lock_held`, `io`. Throws `half_written` when an error came after the first file was in
 * place and could not be undone; the message names the files that are new.
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
 * as one. `body` must not call {@link commitFiles}, which would wait for itself.
 */
export async function withRepositoryLock<T>(
  root: string,
  options: CommitOptions,
  body: (repository: LockedRepository) => Promise<T>,
): Promise<T> {
  const lock = await acquireLock(root, options);
  const work = body({ commit: (changes) => commitUnderLock(root, changes) });
  // The lock of a process that ends is as good as released: what went wrong before is the news.
  await work.catch(() => lock.release().catch(() => undefined));
  const result = await work;
  await lock.release();
  return result;
}

async function commitUnderLock(root: string, changes: readonly FileChange[]): Promise<void> {
  const ordered = [...changes].sort((a, b) => rankOf(a) - rankOf(b));
  checkPaths(ordered);
  for (const change of ordered) await compare(root, change);
  await removeLeftovers(root, ordered);
  const made: string[] = [];
  const staged: StagedFile[] = [];
  try {
    for (const change of ordered) await stage(root, change, made, staged);
    for (const change of ordered) await compare(root, change);
  } catch (error) {
    await discard(staged, made);
    throw error;
  }
  await putInPlace(root, ordered, staged, made);
}

function rankOf({ path, after }: FileChange): number {
  if (after === undefined) return 3;
  if (path.endsWith('.enc.yaml')) return 2;
  return path.endsWith('.meta.yaml') ? 1 : 0;
}

function checkPaths(changes: readonly FileChange[]): void {
  const seen = new Set<string>();
  for (const { path } of changes) {
    const segments = path.split('/');
    const isBad = segments.some(
      (segment) => segment === '' || segment === '.' || segment === '..' || /[\\\0]/.test(segment),
    );
    if (isBad || segments[0]?.toLowerCase() === '.git')
      throw fileError('write', path, new HostError('outside', 'A bad path'));
    if (seen.has(path.toLowerCase())) throw new Error('One file is changed twice in one transaction');
    seen.add(path.toLowerCase());
  }
}

/** Throws `changed_meanwhile` unless the file is what `before` says. */
async function compare(root: string, change: FileChange): Promise<void> {
  const current = await readCurrent(root, change);
  const { before } = change;
  if (
    before === undefined
      ? current === undefined
      : current !== undefined && Buffer.compare(before, current) === 0
  )
    return;
  const what = before === undefined ? 'has appeared' : current === undefined ? 'was removed' : 'was changed';
  throw new ClefError({
    code: 'changed_meanwhile',
    message: `"${change.path}" ${what} while Clef worked; nothing was written`,
    hint: 'look at the file and run the command again',
    location: { file: change.path },
  });
}

/** The bytes that are there now; empty where there are more than could be equal to `before`. */
async function readCurrent(root: string, { path, before }: FileChange): Promise<Uint8Array | undefined> {
  const file = join(root, path);
  try {
    if (before !== undefined) return await readRegularFile(file, { maxBytes: before.length, root });
    await lstat(file);
    return new Uint8Array();
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof HostError && error.code === 'too_large')
      return new Uint8Array(before === undefined ? 0 : before.length + 1);
    throw fileError('write', path, error);
  }
}

function isMissing(error: unknown): boolean {
  if (error instanceof HostError) return error.code === 'not_found';
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Whatever a killed process left beside the files; we hold the lock, so none of it belongs to a living one. */
async function removeLeftovers(root: string, changes: readonly FileChange[]): Promise<void> {
  for (const folder of new Set(changes.map((change) => dirname(change.path)))) {
    try {
      await removeTemporaryFiles(join(root, folder));
    } catch (error) {
      if (!isMissing(error)) throw fileError('clean up', folder, error);
    }
  }
}

async function stage(root: string, change: FileChange, made: string[], staged: StagedFile[]): Promise<void> {
  const { path, after, before, mode } = change;
  if (after === undefined) return;
  try {
    await makeFolders(root, dirname(path), made);
    const newMode = before === undefined ? { mode: mode ?? 0o644 } : {};
    staged.push(await stageFile(join(root, path), after, { root, ...newMode }));
  } catch (error) {
    throw fileError('write', path, error);
  }
}

/** Makes the missing folders on the way to `folder`; never through a link. What was made is added to `made`. */
async function makeFolders(root: string, folder: string, made: string[]): Promise<void> {
  let current = root;
  for (const segment of folder === '.' ? [] : folder.split('/')) {
    const parent = current;
    current = join(current, segment);
    try {
      await mkdir(current, { mode: 0o755 });
      made.push(current);
      await fsyncDirectory(parent);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const facts = await lstat(current);
      if (facts.isSymbolicLink())
        throw new HostError('symlink', 'A folder on the way is a link', { path: current });
      if (!facts.isDirectory())
        throw new HostError('not_regular', 'A folder on the way is a file', { path: current });
    }
  }
}

async function putInPlace(
  root: string,
  changes: readonly FileChange[],
  staged: readonly StagedFile[],
  made: readonly string[],
): Promise<void> {
  const done: FileChange[] = [];
  const waiting = [...staged];
  for (const change of changes) {
    try {
      // The files after the first have waited for renames and syncs: look once more.
      if (done.length > 0) await compare(root, change);
      done.push(change);
      if (change.after === undefined) await remove(join(root, change.path));
      else await waiting.shift()?.commit();
    } catch (error) {
      const failure = fileError('write', change.path, error);
      await discard(waiting, []);
      await undo(root, done, failure);
      await discard([], made);
      throw failure;
    }
  }
}

async function remove(file: string): Promise<void> {
  await unlink(file);
  await fsyncDirectory(dirname(file));
}

/** Puts back what was there, newest first; a file that is no longer ours is left alone. */
async function undo(root: string, done: readonly FileChange[], failure: unknown): Promise<void> {
  const stuck: string[] = [];
  for (const change of [...done].reverse()) {
    try {
      await undoOne(root, change);
    } catch {
      stuck.push(change.path);
    }
  }
  if (stuck.length === 0) return;
  throw new ClefError({
    code: 'half_written',
    message: `The change could not be finished, and ${stuck.map((path) => `"${path}"`).join(', ')} could not be put back`,
    hint: 'look at "git status" and "git diff" for these files before you go on',
    cause: failure,
  });
}

async function undoOne(root: string, { path, before, after }: FileChange): Promise<void> {
  const isOurs = await isThere(root, { path, before: after, after });
  if (!isOurs) {
    if (await isThere(root, { path, before, after })) return;
    throw new HostError('changed', 'Somebody else changed it', { path });
  }
  const file = join(root, path);
  if (before === undefined) return await remove(file);
  const staged = await stageFile(file, before, { root });
  await staged.commit();
}

async function isThere(root: string, change: FileChange): Promise<boolean> {
  try {
    await compare(root, change);
    return true;
  } catch (error) {
    if (error instanceof ClefError && error.code === 'changed_meanwhile') return false;
    throw error;
  }
}

/** Takes back what was prepared. Leftovers are harmless, so a failure here does not hide the one that led here. */
async function discard(staged: readonly StagedFile[], made: readonly string[]): Promise<void> {
  const removals = [
    ...staged.map((file) => () => file.discard()),
    ...[...made].reverse().map((folder) => () => rmdir(folder)),
  ];
  for (const removal of removals) await removal().catch(() => undefined);
}
