// One writer in a repository, or in the person's configuration folder, at a time: the file .clef/lock. It appears whole (a link to a finished file) and is taken
// over only from a holder that is certainly dead, and then by exactly one process.

import { link, lstat, mkdir, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFileExclusive, fsyncDirectory, HostError, readRegularFile } from '@clef/host';
import { encodeHex, escapeControl } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { fileError } from './file-error.ts';
import { describeThisProcess, formatLock, judgeHolder, type LockHolder, parseLock } from './lock-holder.ts';

export type LockOptions = {
  /** What is being done, for the message that somebody else gets: "clef set database/production". No value. */
  readonly purpose: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  /** What is locked, in messages; "this repository" by default. */
  readonly what?: string;
  /** How long to wait for another writer; 10 by default. */
  readonly waitSeconds?: number;
  /** Take the lock from a holder that cannot be judged. Only a person who knows that it is gone may ask for this. */
  readonly breakLock?: boolean;
};

/**
 * A lock that is held; {@link release} is its only way out. It does not fail: the work is done by then, and the lock of a
 * process that ends is as good as released.
 */
export type HeldLock = { release(): Promise<void> };

const folder = '.clef';
const ignored =
  '# Written by Clef while it works; never committed\n/lock\n/lock.*\n/journal\n/journal.*\n.clef-tmp-*\n';

/** Whether somebody holds the lock, or did when it died. */
export async function isLocked(root: string): Promise<boolean> {
  return (await readLockFile(lockOf(join(root, folder)))) !== undefined;
}

/** Whether the lock is held by a process of which nobody here can say that it lives or is dead. */
export async function isLockUnclear(root: string): Promise<boolean> {
  const bytes = await readLockFile(lockOf(join(root, folder)));
  if (bytes === undefined) return false;
  const holder = parseLock(bytes);
  return holder === undefined || (await judgeHolder(holder)) === 'unknown';
}

/**
 * Takes the lock of the repository at `root`. Throws `lock_held`, naming the holder, when another living process (or one
 * that cannot be judged) still has it after the wait; `bad_path` when `.clef` is not a folder; `io`.
 */
export async function acquireLock(root: string, options: LockOptions): Promise<HeldLock> {
  const directory = join(root, folder);
  await prepareFolder(directory);
  const nonce = encodeHex(options.randomBytes(16));
  const self = await describeThisProcess(escapeControl(options.purpose).slice(0, 200), options.now(), nonce);
  const candidate: Candidate = { directory, self, path: join(directory, `lock.${self.pid}.${nonce}`) };
  await writeCandidate(candidate);
  try {
    await waitForTurn(candidate, options);
  } finally {
    await unlinkIfThere(candidate.path);
  }
  await removeOldTraces(directory);
  return { release: () => unlinkIfThere(lockOf(directory)).catch(() => undefined) };
}

type Candidate = { readonly directory: string; readonly self: LockHolder; readonly path: string };

async function waitForTurn(candidate: Candidate, options: LockOptions): Promise<void> {
  const deadline = performance.now() + (options.waitSeconds ?? 10) * 1000;
  for (let pause = 10; ; pause = Math.min(pause * 1.5, 100)) {
    const blocker = await tryOnce(candidate, options.breakLock === true);
    if (blocker === undefined) return;
    if (performance.now() >= deadline) throw lockHeld(blocker, options.what ?? 'this repository');
    // Waiters of one moment spread out: between half and one and a half of the pause.
    await sleep(pause * (0.5 + (options.randomBytes(1)[0] ?? 0) / 255));
  }
}

type Blocker = { readonly holder: LockHolder | undefined; readonly isAlive: boolean };

/** Undefined when the lock is ours now. */
async function tryOnce(candidate: Candidate, breakLock: boolean): Promise<Blocker | undefined> {
  const lock = lockOf(candidate.directory);
  if (await linkIfFree(candidate, 'lock')) return undefined;
  const bytes = await readLockFile(lock);
  if (bytes === undefined) return { holder: candidate.self, isAlive: true };
  const holder = parseLock(bytes);
  const verdict = holder === undefined ? 'unknown' : await judgeHolder(holder);
  if (holder !== undefined && verdict === 'dead') await removeDeadLock(candidate, holder);
  if (verdict === 'unknown' && breakLock) await unlinkIfThere(lock);
  return { holder, isAlive: verdict === 'alive' };
}

/**
 * Removes the lock of a dead holder. Of all who see the same dead holder one may do it: who first links a file named
 * after that holding. If that one dies too, the right to its right is linked in turn. So nobody can remove a lock that
 * was taken in the meantime.
 */
async function removeDeadLock(candidate: Candidate, dead: LockHolder): Promise<void> {
  let before = dead;
  while (!(await linkIfFree(candidate, `lock.break.${before.nonce}`))) {
    const holder = await readHolder(join(candidate.directory, `lock.break.${before.nonce}`));
    if (holder === undefined || (await judgeHolder(holder)) !== 'dead') return;
    before = holder;
  }
  const lock = lockOf(candidate.directory);
  if ((await readHolder(lock))?.nonce === dead.nonce) await unlinkIfThere(lock);
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  const bytes = await readLockFile(path);
  return bytes === undefined ? undefined : parseLock(bytes);
}

/**
 * Under the lock: candidates of dead processes, and all rights to remove a lock, since every lock before ours is gone.
 * A candidate that says nothing may be just being written: its owner will write it again.
 */
async function removeOldTraces(directory: string): Promise<void> {
  const names = await asClefError('.clef', () => readdir(directory));
  for (const name of names.filter((candidate) => candidate.startsWith('lock.'))) {
    const path = join(directory, name);
    const holder = name.startsWith('lock.break.') ? undefined : await readHolder(path);
    if (holder === undefined || (await judgeHolder(holder)) === 'dead') await unlinkIfThere(path);
  }
}

async function prepareFolder(directory: string): Promise<void> {
  await asClefError('.clef', async () => {
    try {
      await mkdir(directory, { mode: 0o755 });
      // The journal will be in it.
      await fsyncDirectory(dirname(directory));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const facts = await lstat(directory);
    if (facts.isDirectory()) return;
    throw new HostError(facts.isSymbolicLink() ? 'symlink' : 'not_regular', 'It is not a folder', {
      path: directory,
    });
  });
  await asClefError('.clef/.gitignore', async () => {
    const path = join(directory, '.gitignore');
    const isThere = await lstat(path).then(
      () => true,
      () => false,
    );
    if (!isThere)
      await createFileExclusive(path, new TextEncoder().encode(ignored), { mode: 0o644 }).catch(
        ignoreExisting,
      );
  });
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof HostError) || error.code !== 'exists') throw error;
}

/** Its content is synced: after a crash of the machine a lock that says nothing would never be taken over. */
async function writeCandidate({ path, self }: Candidate): Promise<void> {
  await asClefError('.clef/lock', () =>
    createFileExclusive(path, formatLock(self), { mode: 0o644, isNameDurable: false }),
  );
}

/** A link appears whole or not at all. Where a file system has no hard links, an exclusive file must do. */
async function linkIfFree(candidate: Candidate, name: string): Promise<boolean> {
  const to = join(candidate.directory, name);
  return await asClefError('.clef/lock', async () => {
    try {
      await link(candidate.path, to);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return false;
      if (code === 'ENOENT') {
        await writeCandidate(candidate);
        return false;
      }
      if (code === undefined || !['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code))
        throw error;
      return await createIfFree(to, formatLock(candidate.self));
    }
  });
}

async function createIfFree(to: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await createFileExclusive(to, bytes, { mode: 0o644, isNameDurable: false });
    return true;
  } catch (error) {
    if (error instanceof HostError && error.code === 'exists') return false;
    throw error;
  }
}

/** Undefined when it vanished meanwhile. What cannot be read is empty: never free. */
async function readLockFile(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readRegularFile(path, { maxBytes: 4096 });
  } catch (error) {
    if (error instanceof HostError) return error.code === 'not_found' ? undefined : new Uint8Array();
    throw error;
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  await asClefError('.clef/lock', async () => {
    try {
      await unlink(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  });
}

function lockOf(directory: string): string {
  return join(directory, 'lock');
}

function lockHeld({ holder, isAlive }: Blocker, what: string): ClefError {
  const breakHint = `make sure that no other Clef is running on ${what}, then add --break-lock`;
  const location = { file: '.clef/lock' };
  if (holder === undefined) {
    const message = `There is a lock on ${what} that does not say who holds it`;
    return new ClefError({ code: 'lock_held', message, hint: breakHint, location });
  }
  const who = `process ${holder.pid} on ${escapeControl(holder.host)} (${escapeControl(holder.purpose)})`;
  if (isAlive) {
    const message = `Another process is writing to ${what}: ${who}`;
    return new ClefError({
      code: 'lock_held',
      message,
      hint: 'wait until it is done and try again',
      location,
    });
  }
  const message = `There is a lock on ${what} by ${who}, which cannot be seen from here`;
  return new ClefError({ code: 'lock_held', message, hint: breakHint, location });
}

async function asClefError<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError('lock', path, error);
  }
}
