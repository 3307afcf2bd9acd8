// What a file of the repository holds now, as a SHA-256: the currency of the journal and of compare-and-swap.

import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError, readRegularFile } from '@clef/host';
import { fileError } from './file-error.ts';

/** Larger than anything that Clef writes: a file above it is certainly not ours. */
const maxBytes = 64 * 1024 * 1024;

/** In place of the digest of a file that is too large to be one of ours. */
const tooLarge = 'too large';

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * The digest of the file at `path`, undefined where there is none.
 * @throws {ClefError} `bad_path` for a link or a special file, `io`.
 */
export async function digestAt(root: string, path: string): Promise<string | undefined> {
  try {
    return digestOf(await readRegularFile(join(root, path), { maxBytes, root }));
  } catch (error) {
    if (error instanceof HostError && error.code === 'too_large') return tooLarge;
    if (error instanceof HostError && error.code === 'not_found') return undefined;
    throw fileError('write', path, error);
  }
}

/** Whether nothing at all has this name: cheaper than reading what is not expected to be there. */
export async function isAbsent(root: string, path: string): Promise<boolean> {
  try {
    await lstat(join(root, path));
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return true;
    throw fileError('write', path, error);
  }
}
