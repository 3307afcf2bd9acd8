// Takes keys out of a cell, all of them or none.
import { type ChangedCell, type Confirm, changeCell } from '../cells/write.ts';
import { checkKeyName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { unknownKey } from './get-secret.ts';

export type DeleteRequest = {
  readonly cell: string;
  readonly keys: readonly string[];
  readonly confirm: Confirm;
};

/**
 * Deletes keys; the other values keep their ciphertext. A key that is only pending is announced no longer.
 * @throws {ClefError} `unknown_key` for the first that is not there, `missing_cell`, `protected`, `recipients_differ`, and
 * what opening and committing a cell can give.
 */
export async function deleteSecrets(
  repository: Repository,
  { cell: target, keys, confirm }: DeleteRequest,
): Promise<ChangedCell & { readonly keys: readonly string[] }> {
  keys.forEach(checkKeyName);
  const changed = await changeCell(repository, target, {
    createNamespace: false,
    mustExist: true,
    confirm,
    edit: async () => (current) => {
      const present = [...current.keys, ...current.pending];
      const missing = keys.find((key) => !present.includes(key));
      if (missing !== undefined) throw unknownKey(current.cell.label, missing, present);
      return { set: new Map(), delete: keys };
    },
  });
  return { ...changed, keys };
}
