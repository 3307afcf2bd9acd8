// A file as destination: replaced in one step, 0600, never through a link, and compared under the repository's lock.
import { realpath } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { HostError, readRegularFile, replaceFile } from '@clef/host';
import { ClefError } from '../../errors.ts';
import { fromGroundError } from '../../from-ground-error.ts';
import type { Repository } from '../../repository.ts';
import { acquireLock, type HeldLock } from '../../transaction/repository-lock.ts';
import { type Destination, maxStoredBytes, type Stored, writtenMeanwhile } from './destination.ts';

/** @throws {ClefError} `bad_path` for a place inside of `.git`, also behind a link of the repository (catalogue INV-43). */
export async function fileDestination(repository: Repository, name: string): Promise<Destination> {
  const path = resolve(repository.world.cwd, name);
  // A folder that is not there is told by reading and writing.
  const folder = await realpath(dirname(path)).catch(() => dirname(path));
  if ([path, folder].some(isInsideGit)) throw insideGit(name);
  const read = async (): Promise<Stored | undefined> => {
    try {
      return { bytes: await readRegularFile(path, { maxBytes: maxStoredBytes }), version: undefined };
    } catch (error) {
      if (error instanceof HostError && error.code === 'not_found') return undefined;
      throw fromGroundError(error, { action: `publish to "${name}"`, file: name });
    }
  };
  return {
    name,
    read,
    write: async (artifact, previous) => {
      const lock = await lockUnlessReadOnly(repository);
      try {
        if (!isSame((await read())?.bytes, previous?.bytes)) throw writtenMeanwhile(name);
        await replaceFile(path, artifact, { mode: 0o600 }).catch((error: unknown) => {
          throw fromGroundError(error, { action: `publish to "${name}"`, file: name });
        });
      } finally {
        await lock?.release();
      }
    },
  };
}

function isInsideGit(path: string): boolean {
  return path.split(sep).some((part) => part.toLowerCase() === '.git');
}

/** The lock makes comparing and replacing one step; a read-only checkout has none, and is packed from without it. */
async function lockUnlessReadOnly({ root, world }: Repository): Promise<HeldLock | undefined> {
  try {
    return await acquireLock(root, { purpose: 'pack', now: world.now, randomBytes: world.randomBytes });
  } catch (error) {
    if (error instanceof ClefError && error.code === 'io') return undefined;
    throw error;
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.from(a).equals(b);
}

function insideGit(name: string): ClefError {
  return new ClefError({
    code: 'bad_path',
    message: `Cannot publish to "${name}": it is inside of git's own folder`,
    hint: 'name a file outside of ".git"',
  });
}
