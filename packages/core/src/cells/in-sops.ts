// The SOPS engine at work on one cell: with our keys, clock and randomness, its errors as ours; and the bytes of what it
// made, once they are known to be a cell.
import { formatSopsFile, type SopsFile } from '@clef/sops';
import { fromGroundError } from '../from-ground-error.ts';
import { sopsCloudKeys } from '../keys/cloud-keys.ts';
import type { Repository } from '../repository.ts';
import type { Cell } from './cell.ts';
import { checkProfile } from './profile.ts';
import { fromSopsError } from './sops-errors.ts';

/** What every function of the engine that makes a file is given. */
export type SopsContext = {
  readonly keyring: { readonly kms: ReturnType<typeof sopsCloudKeys> };
  readonly now: number;
  readonly randomBytes: (length: number) => Uint8Array;
};

/** Runs `act` on a cell. What the engine or a KMS refuses is thrown as a ClefError about the cell. */
export async function inSops<T>(
  { world }: Repository,
  cell: Cell,
  act: (context: SopsContext) => Promise<T>,
): Promise<T> {
  try {
    return await act({
      keyring: { kms: sopsCloudKeys(world) },
      now: world.now(),
      randomBytes: world.randomBytes,
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'key_service') {
      throw fromGroundError(error.cause, { action: `encrypt "${cell.label}"`, file: cell.path });
    }
    throw fromSopsError(error, cell);
  }
}

/** The bytes of a new file, which sops has parsed again from them: every leaf is ciphertext (catalogue INV-06). */
export function checkedBytes(cell: Cell, file: SopsFile): Uint8Array {
  checkProfile(cell, file);
  return formatSopsFile(file);
}
