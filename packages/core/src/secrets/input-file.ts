// A file that a person names on the command line, wherever it is: read whole, byte for byte, within a limit.
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readRegularFile } from '@clef/host';
import { fromGroundError, noSuchFile } from '../from-ground-error.ts';
import { quoteName } from '../manifest/names.ts';
import type { World } from '../world.ts';

/**
 * The bytes of a file, relative to where the person stands. A link is followed: the person chose it.
 * @throws {ClefError} `bad_path` where it is no regular file or not there, `limit`, `io`.
 */
export async function readInputFile(
  world: Pick<World, 'cwd'>,
  path: string,
  maxBytes: number,
): Promise<Uint8Array> {
  try {
    return await readRegularFile(await realpath(resolve(world.cwd, path)), { maxBytes });
  } catch (error) {
    if (isMissing(error)) throw noSuchFile(quoteName(path));
    throw fromGroundError(error, { action: `read ${quoteName(path)}` });
  }
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP', 'not_found'].includes((error as { code?: string }).code ?? '');
}
