// Copies values from one cell to others, as one transaction. The values never leave the process.
import { findCell } from '../cells/cell.ts';
import { type ChangedCell, type Confirm, changeCells } from '../cells/write.ts';
import { ClefError } from '../errors.ts';
import { checkKeyName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { chooseValues } from './choose-values.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import { type SortedKeys, sortKeys, takeValues } from './import-secrets.ts';

export type CopyRequest = {
  readonly from: string;
  /** All of them change, or none. */
  readonly to: readonly string[];
  /** Every key of the source where it is left out. */
  readonly keys?: readonly string[] | undefined;
  /** Replace values that differ; without it they are refused by name. */
  readonly overwrite: boolean;
  readonly isDryRun: boolean;
  readonly createNamespace: boolean;
  readonly allowedEnvironmentNames: readonly string[];
  readonly confirm: Confirm;
};

export type CopiedCell = ChangedCell & Pick<SortedKeys, 'added' | 'changed' | 'equal'>;

/**
 * Copies keys. Equal values keep their ciphertext and their date.
 * @returns what happened to each cell, in the order of `to`.
 * @throws {ClefError} `unknown_key`, `already_exists` where a value would be replaced, `usage` where source and target are
 * one, `dangerous_name`, `schema_violation` of the target's namespace, and what opening and changing cells can give.
 */
export async function copySecrets(
  repository: Repository,
  request: CopyRequest,
): Promise<readonly CopiedCell[]> {
  request.keys?.forEach(checkKeyName);
  if (request.to.includes(request.from)) throw ontoItself(request.from);
  findCell(repository.manifest, request.from);
  const sorted = new Map<string, SortedKeys>();
  const changed = await changeCells(repository, request.to, {
    createNamespace: request.createNamespace,
    confirm: request.confirm,
    isDryRun: request.isDryRun,
    edit: async () => {
      const only = request.keys === undefined ? {} : { only: request.keys };
      const values = await chooseValues(repository, { cell: request.from, ...only });
      refuseDangerousNames(values.keys(), request.allowedEnvironmentNames);
      return async (current) => {
        const keys = sortKeys(values, await current.values(), request.overwrite);
        if (keys.kept.length > 0) throw wouldReplace(current.cell.label, keys.kept);
        sorted.set(current.cell.label, keys);
        return takeValues(current, values, keys);
      };
    },
  });
  return changed.map((cell) => {
    const { added = [], changed: replaced = [], equal = [] } = sorted.get(cell.cell) ?? {};
    return { ...cell, added, changed: replaced, equal };
  });
}

function ontoItself(cell: string): ClefError {
  return new ClefError({
    code: 'usage',
    message: `"${cell}" is both source and target`,
    hint: 'name two different cells',
  });
}

function wouldReplace(cell: string, keys: readonly string[]): ClefError {
  return new ClefError({
    code: 'already_exists',
    message: `"${cell}" has other values for ${keys.map((key) => `"${key}"`).join(', ')}`,
    hint: 'pass --overwrite to replace them, or name the keys to copy',
    location: { key: keys[0] as string },
    faults: keys.map((key) => ({ message: `"${key}" has another value in "${cell}"` })),
  });
}
