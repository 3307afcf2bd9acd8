// Announces keys that will get a value later: in the sidecar alone. `pack` refuses until each has one, `exec` warns.
import { type ChangedCell, type Confirm, changeCell } from '../cells/write.ts';
import { ClefError } from '../errors.ts';
import { checkKeyName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import { refuseSchemaBreaks } from './value-rules.ts';

export type AnnounceRequest = {
  readonly cell: string;
  readonly keys: readonly string[];
  readonly createNamespace: boolean;
  readonly allowedEnvironmentNames: readonly string[];
  readonly confirm: Confirm;
};

/**
 * Marks keys as pending. Needs no key of anybody: no value is read or written.
 * @throws {ClefError} `already_exists` where one has a value, `schema_violation` where a closed schema does not list one,
 * and what naming and committing a cell can give.
 */
export async function announceSecrets(
  repository: Repository,
  request: AnnounceRequest,
): Promise<ChangedCell & { readonly keys: readonly string[] }> {
  const { keys } = request;
  keys.forEach(checkKeyName);
  refuseDangerousNames(keys, request.allowedEnvironmentNames);
  const changed = await changeCell(repository, request.cell, {
    createNamespace: request.createNamespace,
    confirm: request.confirm,
    edit: async () => async (current) => {
      const present = keys.filter((key) => current.keys.includes(key));
      if (present.length > 0) throw hasValue(current.cell.label, present);
      await refuseSchemaBreaks(current, new Map(), keys);
      return { set: new Map(), delete: [], announce: keys };
    },
  });
  return { ...changed, keys };
}

function hasValue(cell: string, keys: readonly string[]): ClefError {
  return new ClefError({
    code: 'already_exists',
    message: `${keys.map((key) => `"${key}"`).join(', ')} in "${cell}" has a value already`,
    hint: 'a pending key has none: delete it first, or set another value',
    location: { key: keys[0] as string },
  });
}
