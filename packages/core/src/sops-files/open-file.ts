// The data key of a SOPS file, with every key at hand; a failure ends as it does with SOPS.
import type { DataKey, SopsFile } from '@clef/sops';
import { ClefError } from '../errors.ts';
import { decryptionOrder, openWithAnyKey } from '../keys/sops-keyring.ts';
import type { World } from '../world.ts';
import { badArgument, during } from './outcome.ts';

/** @throws {SopsOperationError} `no_data_key` when no key fits, `decryption_order`. */
export async function openSopsFile(
  world: World,
  file: SopsFile,
  { name, order }: { readonly name: string; readonly order?: string | undefined },
): Promise<DataKey> {
  const checked = orderOf(world, order);
  return during('open', name, () => openWithAnyKey(world, file, checked));
}

function orderOf(world: World, given: string | undefined): ReturnType<typeof decryptionOrder> {
  try {
    return decryptionOrder(world, given);
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    throw badArgument('decryption_order', error.message, error.hint);
  }
}
