// Takes one key out of a cell.
import { type ChangedCell, type Confirm, changeCell } from '../cells/write.ts';
import { checkKeyName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { unknownKey } from './get-secret.ts';

export type DeleteRequest = { readonly cell: string; readonly key: string; readonly confirm: Confirm };

/**
 * Deletes a key; the other values keep their ciphertext.
 * @throws {ClefError} `unknown_key`, `missing_cell`, `protected`, `recipients_differ`, and what opening and committing a
 * cell can give.
 */
export async function deleteSecret(
  repository: Repository,
  { cell: target, key, confirm }: DeleteRequest,
): Promise<ChangedCell & { readonly key: string }> {
  checkKeyName(key);
  const changed = await changeCell(repository, target, {
    createNamespace: false,
    mustExist: true,
    confirm,
    edit: async () => (cell, keys) => {
      if (!keys.includes(key)) throw unknownKey(cell.label, key, keys);
      return { set: new Map(), delete: [key] };
    },
  });
  return { ...changed, key };
}
