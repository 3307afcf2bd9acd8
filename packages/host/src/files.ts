// Files, with no way to be led astray: nothing is read or written through a symbolic link, a FIFO or a device, and a
// file is replaced whole or not at all.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rmdir,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { errnoOf, HostError, quote, toHostError } from './host-error.ts';

/** Every temporary file begins with this; a version-control ignore rule may rely on it. */
export const temporaryFilePrefix = '.clef-tmp-';

export type FileFacts = {
  /** Permission bits only, for example 0o600. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly modifiedAtMilliseconds: number;
};

/** How a file is read or looked at. */
export type ReadHow = {
  /**
   * Ask the system at once instead of through a thread, which takes longer than a small local file does. Nothing else
   * runs meanwhile: for commands, which wait anyway, and not for what serves.
   */
  readonly atOnce?: boolean;
};

/** -1 leaves a part as it is. Another owner than ourselves only root can give. */
export type FileOwner = { readonly uid: number; readonly gid: number };

/** An open folder: what is done through it cannot be led elsewhere by renaming one of its parents. Names, not paths. */
export type OpenFolder = {
  /** Creates a file that must not exist yet, with exactly `mode` whatever the umask, written and synced. */
  create(name: string, bytes: Uint8Array, mode: number): Promise<void>;
  /** Puts `from` in the place of `to`, which is a regular file or nothing (`symlink`, `not_regular`). */
  rename(from: string, to: string): Promise<void>;
  /** Removes a name; false where there is none. */
  remove(name: string): Promise<boolean>;
  /** Removes a folder that is empty; false where it is not, or is none. */
  removeEmptyFolder(name: string): Promise<boolean>;
  /** Makes the names in the folder durable. */
  sync(): Promise<void>;
};

/** New content that is on the disk beside its destination, synced, but not in its place yet. */
export type StagedFile = {
  readonly path: string;
  /** Puts the content in place with one rename and syncs the directory; fails as {@link replaceFile} does. */
  commit(): Promise<void>;
  /** Removes the temporary file. Does nothing after a commit. */
  discard(): Promise<void>;
};

/**
 * Reads a whole regular file of at most `maxBytes`. The final name is never followed if it is a symbolic link, a FIFO
 * never blocks, and kind and size are judged on the open descriptor. With `root`, no directory between `root` and the
 * file may be a symbolic link or lead out of it, and a file with a second hard link is refused.
 * Throws `not_found`, `not_regular`, `symlink`, `outside`, `too_large`, `permission`, `changed` (it changed its size
 * while it was read) or `io`.
 */
export async function readRegularFile(
  path: string,
  options: ReadHow & { readonly maxBytes: number; readonly root?: string },
): Promise<Uint8Array> {
  return await attempt('read', path, async () => {
    if (options.root === undefined) return await readFrom(path, path, options);
    const directory = await openDirectory(dirname(resolve(path)), options.root, path, callsFor(options));
    try {
      return await readFrom(directory.at(basename(path)), path, options);
    } finally {
      await directory.close();
    }
  });
}

async function readFrom(
  location: string,
  path: string,
  options: ReadHow & { readonly maxBytes: number; readonly root?: string },
): Promise<Uint8Array> {
  // O_NONBLOCK: opening a FIFO returns at once. O_NOCTTY: opening a terminal does not make it ours.
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
  const opened = await callsFor(options).open(location, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  try {
    const facts = await opened.stat();
    refuseIrregular(path, facts);
    if (options.root !== undefined) refuseHardLinks(path, facts);
    if (facts.size > options.maxBytes) throw tooLarge(path, options.maxBytes);
    return await readToEnd(opened, path, facts.size, options.maxBytes);
  } finally {
    await opened.close();
  }
}

async function readToEnd(opened: Opened, path: string, size: number, maxBytes: number): Promise<Uint8Array> {
  // One byte more than the size, so that growth is seen. Files of /proc say 0 and are read up to the limit.
  let buffer = new Uint8Array(size === 0 ? Math.min(maxBytes, 65_536) + 1 : size + 1);
  let length = 0;
  for (;;) {
    const bytesRead = await opened.read(buffer, length, buffer.length - length);
    length += bytesRead;
    if (bytesRead === 0) break;
    if (length > maxBytes) throw tooLarge(path, maxBytes);
    if (length < buffer.length) continue;
    const larger = new Uint8Array(Math.min(buffer.length * 2, maxBytes + 1));
    larger.set(buffer);
    buffer = larger;
  }
  if (size !== 0 && length !== size) {
    throw new HostError('changed', `Cannot read ${quote(path)}: it changed while it was being read`, {
      path,
    });
  }
  return buffer.subarray(0, length);
}

/**
 * Facts about a regular file, or undefined when there is nothing of that name. Throws `symlink` or `not_regular` when
 * there is something else.
 */
export async function statRegularFile(path: string, how: ReadHow = {}): Promise<FileFacts | undefined> {
  return await attempt('look at', path, async () => {
    const facts = await lstatIfThere(path, callsFor(how));
    if (facts === undefined) return undefined;
    refuseIrregular(path, facts);
    const { uid, gid, size, mtimeMs } = facts;
    return { mode: facts.mode & 0o777, uid, gid, size, modifiedAtMilliseconds: mtimeMs };
  });
}

/**
 * Puts `bytes` at `path`, whole or not at all: a temporary file in the same directory, written, synced, renamed, and
 * the directory synced. Without `mode` an existing file keeps its permission bits and a new one gets 0600, whatever the
 * umask; `owner` is set before anything is written. Refuses to replace anything but a regular file (`symlink`, `not_regular`); `root` as in {@link readRegularFile}.
 * After any failure the old content is in place and the temporary file is gone; only when the last step, syncing the
 * directory, fails (`io`) is the new content in place, and whether it would survive a power cut unknown.
 */
export async function replaceFile(
  path: string,
  bytes: Uint8Array,
  options: { readonly mode?: number; readonly root?: string; readonly owner?: FileOwner } = {},
): Promise<void> {
  const staged = await stageFile(path, bytes, options);
  await staged.commit();
}

/**
 * The first half of {@link replaceFile}: everything that can fail for want of space or permission happens here, so
 * that a change of several files can stage them all before the first is put in place.
 */
export async function stageFile(
  path: string,
  bytes: Uint8Array,
  options: { readonly mode?: number; readonly root?: string; readonly owner?: FileOwner } = {},
): Promise<StagedFile> {
  return await attempt('write', path, async () => {
    const directory = await openDirectoryOf(path, options.root);
    try {
      const current = await lstatIfThere(directory.at(basename(path)));
      if (current !== undefined) refuseIrregular(path, current);
      const mode = options.mode ?? (current === undefined ? 0o600 : current.mode & 0o777);
      const temporary = directory.at(temporaryFilePrefix + randomBytes(12).toString('hex'));
      await createSynced(temporary, bytes, mode, options.owner);
      return stagedFile(path, temporary, directory);
    } catch (cause) {
      await directory.close();
      throw cause;
    }
  });
}

/**
 * Opens the folder `path`, which may not be reached through a link below `root`, and gives it to `work`. Nothing that
 * `create`, `rename` and `remove` do is durable before `sync`, except the bytes of what was created.
 */
export async function inFolder<T>(
  path: string,
  root: string,
  work: (folder: OpenFolder) => Promise<T>,
): Promise<T> {
  const directory = await attempt('use the folder', path, () => openDirectory(path, root, path));
  const within = <R>(action: string, name: string, act: () => Promise<R>): Promise<R> =>
    attempt(action, join(path, name), act);
  try {
    return await work({
      create: (name, bytes, mode) =>
        within('write', name, () => createSynced(directory.at(name), bytes, mode)),
      rename: (from, to) =>
        within('write', to, async () => {
          const current = await lstatIfThere(directory.at(to));
          if (current !== undefined) refuseIrregular(join(path, to), current);
          await rename(directory.at(from), directory.at(to));
        }),
      remove: (name) => within('remove', name, () => unlinkIfThere(directory.at(name))),
      removeEmptyFolder: (name) => within('remove', name, () => rmdirIfEmpty(directory.at(name))),
      sync: () => attempt('sync', path, () => directory.sync()),
    });
  } finally {
    await directory.close();
  }
}

function unlinkIfThere(location: string): Promise<boolean> {
  return falseOn(['ENOENT'], () => unlink(location));
}

function rmdirIfEmpty(location: string): Promise<boolean> {
  return falseOn(['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'], () => rmdir(location));
}

async function falseOn(errnos: readonly string[], act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (cause) {
    if (errnos.includes(errnoOf(cause))) return false;
    throw cause;
  }
}

function stagedFile(path: string, temporary: string, directory: Directory): StagedFile {
  let isOpen = true;
  const discard = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    try {
      await unlink(temporary);
    } finally {
      await directory.close();
    }
  };
  return {
    path,
    commit: () =>
      attempt('write', path, async () => {
        const destination = directory.at(basename(path));
        try {
          // rename would replace a link and not follow it, but a link that appeared meanwhile is a sign of an attack.
          const current = await lstatIfThere(destination);
          if (current !== undefined) refuseIrregular(path, current);
          await rename(temporary, destination);
        } catch (cause) {
          await discard();
          throw cause;
        }
        isOpen = false;
        try {
          await directory.sync();
        } finally {
          await directory.close();
        }
      }),
    discard: () => attempt('remove the temporary file of', path, discard),
  };
}

/**
 * Creates a file that must not exist yet, with exactly `mode` whatever the umask, and syncs it and its directory. `owner` is
 * set before anything is written. With
 * `isNameDurable: false` not the directory, so that after a crash of the machine it is there whole or not at all.
 * Throws `exists` when anything of that name is there, a dangling symbolic link too. Removes what it began on failure.
 */
export async function createFileExclusive(
  path: string,
  bytes: Uint8Array,
  options: { readonly mode: number; readonly isNameDurable?: boolean; readonly owner?: FileOwner },
): Promise<void> {
  await attempt('create', path, async () => {
    const directory = await openDirectoryOf(path, undefined);
    try {
      await createSynced(directory.at(basename(path)), bytes, options.mode, options.owner);
      if (options.isNameDurable ?? true) await directory.sync();
    } finally {
      await directory.close();
    }
  });
}

async function createSynced(
  location: string,
  bytes: Uint8Array,
  mode: number,
  owner?: FileOwner,
): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const handle = await open(location, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    try {
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      await handle.chmod(mode);
      await writeAll(handle, bytes);
      await handle.sync();
    } finally {
      // A failing close is a failing write: some file systems report lost data only here.
      await handle.close();
    }
  } catch (cause) {
    await unlink(location);
    throw cause;
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten;
  }
}

/** Makes the names in a directory durable. */
export async function fsyncDirectory(path: string): Promise<void> {
  await attempt('sync', path, async () => {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

/**
 * Makes sure that `path` is a directory that only we can write to, creating it and its parents with mode 0700.
 * Throws `symlink` or `not_regular` for something else of that name and `permission` when it belongs to another user
 * or others may write to it: an existing directory is judged, never changed.
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  await attempt('use the directory', path, async () => {
    const created = await mkdir(path, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
      throw toHostError('create the directory', path, cause);
    });
    const facts = await lstat(path);
    if (created !== undefined) await chmod(path, 0o700);
    else refuseSharedDirectory(path, facts);
  });
}

function refuseSharedDirectory(path: string, facts: Stats): void {
  const refuse = (code: 'symlink' | 'not_regular' | 'permission', reason: string): never => {
    throw new HostError(code, `Cannot use the directory ${quote(path)}: ${reason}`, { path });
  };
  if (facts.isSymbolicLink()) refuse('symlink', 'it is a symbolic link');
  if (!facts.isDirectory()) refuse('not_regular', 'it is not a directory');
  if (process.getuid !== undefined && facts.uid !== process.getuid())
    refuse('permission', 'it belongs to another user');
  if ((facts.mode & 0o022) !== 0) refuse('permission', 'other users may write to it');
}

/**
 * Removes the temporary files that a killed process left in `directory`, and returns how many. Only for a caller that
 * holds the lock under which they are made: it cannot tell a dead process's file from a living one's.
 */
export async function removeTemporaryFiles(directory: string): Promise<number> {
  return await attempt('clean up', directory, async () => {
    // A folder of that name is none of ours, and no reason for its owner to keep us from writing.
    const left = (await readdir(directory, { withFileTypes: true })).filter(
      (entry) => entry.name.startsWith(temporaryFilePrefix) && !entry.isDirectory(),
    );
    for (const { name } of left) await unlink(join(directory, name));
    return left.length;
  });
}

/** An open directory: names looked up in it cannot be redirected by renaming one of its parents. */
type Directory = { at(name: string): string; sync(): Promise<void>; close(): Promise<void> };

async function openDirectoryOf(path: string, root: string | undefined): Promise<Directory> {
  return await openDirectory(dirname(resolve(path)), root, path);
}

/** @param path - What the errors are about. */
async function openDirectory(
  folder: string,
  root: string | undefined,
  path: string,
  calls: Calls = throughThreads,
): Promise<Directory> {
  const parent = resolve(folder);
  const real = await calls.realpath(parent);
  if (root !== undefined) await refuseDetour(path, parent, real, root, calls);
  const opened = await calls.open(real, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const base = await throughDescriptor(opened, real, path, calls);
  return {
    at: (name) => join(base, name),
    sync: async () => opened.sync(),
    close: async () => opened.close(),
  };
}

/**
 * On Linux, names are looked up through the descriptor, which stands for openat(2) in Node. Elsewhere the path is used
 * again, so a process of the same user that swaps directories at that moment is not stopped.
 */
async function throughDescriptor(opened: Opened, real: string, path: string, calls: Calls): Promise<string> {
  if (process.platform !== 'linux') return real;
  const base = `/proc/self/fd/${opened.fd}`;
  const found = await attempt('look at', base, async () => calls.readlink(base)).catch(() => undefined);
  if (found === undefined) return real; // no /proc in this container
  if (found === real) return base;
  await opened.close();
  throw new HostError('changed', `Cannot use ${quote(path)}: its directory was replaced meanwhile`, { path });
}

async function refuseDetour(
  path: string,
  parent: string,
  realParent: string,
  root: string,
  calls: Calls,
): Promise<void> {
  const realRoot = await calls.realpath(root);
  const isInside = realParent === realRoot || realParent.startsWith(realRoot === sep ? sep : realRoot + sep);
  if (!isInside)
    throw new HostError('outside', `Cannot use ${quote(path)}: it leads outside of ${quote(root)}`, { path });
  if (join(realRoot, relative(resolve(root), parent)) !== realParent) {
    throw new HostError('symlink', `Cannot use ${quote(path)}: a directory on the way is a symbolic link`, {
      path,
    });
  }
}

function refuseIrregular(path: string, facts: Stats): void {
  if (facts.isFile()) return;
  if (facts.isSymbolicLink())
    throw new HostError('symlink', `Cannot use ${quote(path)}: it is a symbolic link`, { path });
  throw new HostError(
    'not_regular',
    `Cannot use ${quote(path)}: it is ${kindOf(facts)}, not a regular file`,
    { path },
  );
}

function kindOf(facts: Stats): string {
  if (facts.isDirectory()) return 'a directory';
  if (facts.isFIFO()) return 'a named pipe';
  return facts.isSocket() ? 'a socket' : 'a device';
}

function refuseHardLinks(path: string, facts: Stats): void {
  if (facts.nlink <= 1) return;
  throw new HostError('not_regular', `Cannot use ${quote(path)}: it has ${facts.nlink} hard links`, { path });
}

function tooLarge(path: string, maxBytes: number): HostError {
  return new HostError('too_large', `Cannot read ${quote(path)}: it is larger than ${maxBytes} bytes`, {
    path,
  });
}

async function lstatIfThere(path: string, calls: Calls = throughThreads): Promise<Stats | undefined> {
  try {
    return await calls.lstat(path);
  } catch (cause) {
    const error = toHostError('look at', path, cause);
    if (error.code === 'not_found') return undefined;
    throw error;
  }
}

async function attempt<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw toHostError(action, path, cause);
  }
}

/** An open file or directory, by whichever way it was opened. */
type Opened = {
  readonly fd: number;
  stat(): Stats | Promise<Stats>;
  read(buffer: Uint8Array, offset: number, length: number): number | Promise<number>;
  sync(): void | Promise<void>;
  close(): void | Promise<void>;
};

/** The calls that reading needs. */
type Calls = {
  open(path: string, flags: number): Opened | Promise<Opened>;
  lstat(path: string): Stats | Promise<Stats>;
  realpath(path: string): string | Promise<string>;
  readlink(path: string): string | Promise<string>;
};

const throughThreads: Calls = {
  open: async (path, flags) => {
    const handle = await open(path, flags);
    return {
      fd: handle.fd,
      stat: () => handle.stat(),
      read: async (buffer, offset, length) => (await handle.read(buffer, offset, length)).bytesRead,
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  },
  lstat,
  realpath,
  readlink,
};

const atOnce: Calls = {
  open: (path, flags) => {
    const fd = openSync(path, flags);
    return {
      fd,
      stat: () => fstatSync(fd),
      read: (buffer, offset, length) => readSync(fd, buffer, offset, length, null),
      sync: () => fsyncSync(fd),
      close: () => closeSync(fd),
    };
  },
  lstat: lstatSync,
  realpath: realpathSync.native,
  readlink: readlinkSync,
};

function callsFor(how: ReadHow): Calls {
  return how.atOnce === true ? atOnce : throughThreads;
}
