// `sops encrypt`: a plaintext file as a SOPS file, to the keys that options, variables or `.sops.yaml` name.
import { encryptTree, formatPlainTree, formatSopsFile, parsePlainTree } from '@clef/sops';
import { wrappingKeyring } from '../keys/sops-keyring.ts';
import type { World } from '../world.ts';
import { indentFor } from './decrypt-file.ts';
import { badArgument, during } from './outcome.ts';
import { findConfig, planNewFile, type SopsNewFileOptions } from './recipients.ts';
import {
  checkDestination,
  deliver,
  isStandardInput,
  readSource,
  type SopsDestination,
  type SopsSourceRequest,
} from './source.ts';

export type EncryptFileRequest = SopsSourceRequest & SopsDestination & SopsNewFileOptions;

/**
 * Encrypts a plaintext.
 * @returns the file for standard output; undefined where it was written.
 * @throws {SopsOperationError}
 */
export async function encryptSopsFile(
  world: World,
  request: EncryptFileRequest,
): Promise<Uint8Array | undefined> {
  checkDestination(request, request.file);
  if (isStandardInput(request.file) && request.filenameOverride === undefined) {
    throw badArgument(
      'conflicting_parameters',
      'Standard input has no name to choose the format and the creation rule by',
      'add --filename-override NAME',
    );
  }
  const source = await readSource(world, request, { stage: 'plain', missing: 'no_file' });
  const { name, nominalPath, bytes, inputFormat, outputFormat } = source;
  const found = await findConfig(world, request.config);
  const plan = await planNewFile(world, request, { nominalPath, found });
  const tree = await during('plain', name, () => parsePlainTree(bytes, inputFormat));
  if (outputFormat !== inputFormat) {
    await during('print', name, () => formatPlainTree(tree, outputFormat));
  }
  const { rule, ...others } = plan;
  const layout = await indentFor(world, request.config, outputFormat);
  const file = await during('encrypt', name, () =>
    encryptTree(tree, {
      ...others,
      layout,
      ...(rule === undefined ? {} : { rule }),
      format: outputFormat,
      keyring: wrappingKeyring(world),
      now: world.now(),
      randomBytes: world.randomBytes,
    }),
  );
  return deliver(world, source, formatSopsFile(file), request);
}
