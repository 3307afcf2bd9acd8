// Stores one value: one transaction over the cell, its sidecar and, for a new namespace, clef.yaml.
import { type ChangedCell, type Confirm, changeCell } from '../cells/write.ts';
import { checkKeyName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import { checkValue, refuseSchemaBreaks } from './value-rules.ts';

export type SetRequest = {
  readonly cell: string;
  readonly key: string;
  /** Asked for only after every check that needs no value. UTF-8 without NUL, 1 byte to 256 KiB. */
  readonly value: () => Promise<Uint8Array>;
  readonly createNamespace: boolean;
  readonly allowedEnvironmentNames: readonly string[];
  /** Asked before a protected environment is changed. */
  readonly confirm: Confirm;
};

export type SetResult = ChangedCell & { readonly key: string };

/**
 * Stores a value, creating the cell and its namespace where they are new. A value equal to the stored one changes nothing.
 * @throws {ClefError} `bad_name`, `dangerous_name`, `empty_value`, `value_too_large`, `bad_format`, `schema_violation`,
 * `protected`, `recipients_differ`, and what naming, opening and committing a cell can give.
 */
export async function setSecret(repository: Repository, request: SetRequest): Promise<SetResult> {
  const { key } = request;
  checkKeyName(key);
  refuseDangerousNames([key], request.allowedEnvironmentNames);
  const changed = await changeCell(repository, request.cell, {
    createNamespace: request.createNamespace,
    confirm: request.confirm,
    edit: async () => {
      const set = new Map([[key, checkValue(key, await request.value())]]);
      return async (current) => {
        await refuseSchemaBreaks(current, set);
        return { set, delete: [] };
      };
    },
  });
  return { ...changed, key };
}
