// `sops filestatus`: whether a file is encrypted, without any key.
import { parseSopsFile, SopsError } from '@clef/sops';
import type { World } from '../world.ts';
import { badArgument, during } from './outcome.ts';
import { readSource, type SopsSourceRequest } from './source.ts';

/**
 * Encrypted is what has metadata with a version and a MAC.
 * @throws {SopsOperationError} `generic` where there is no such file or it does not parse.
 */
export async function sopsFileStatus(
  world: World,
  request: SopsSourceRequest,
): Promise<{ readonly encrypted: boolean }> {
  if (request.file === undefined) throw noFile();
  const source = await readSource(world, request, { stage: 'read', missing: 'generic' });
  return during('read', source.name, () => {
    try {
      const { metadata } = parseSopsFile(source.bytes, source.inputFormat);
      return { encrypted: metadata.mac !== '' && metadata.version !== '' };
    } catch (error) {
      if (error instanceof SopsError && error.code === 'no_metadata') return { encrypted: false };
      throw error;
    }
  });
}

/** Nothing to work on. */
export function noFile(what = 'No file was given'): Error {
  return badArgument('no_file', what, 'name the file after the options');
}
