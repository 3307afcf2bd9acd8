// One value of one cell.
import { suggest } from '@clef/strict';
import { findCell } from '../cells/cell.ts';
import { openCell, readPendingKeys } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import { checkKeyName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';

/**
 * The value of a key, byte for byte as it was set.
 * @throws {ClefError} `unknown_key` and `missing_cell` (4), `no_age_key` and `cannot_decrypt` (5), `cell_tampered` and
 * `cell_plaintext` (6), and what naming the cell can give.
 */
export async function getSecret(
  repository: Repository,
  { cell: target, key }: { readonly cell: string; readonly key: string },
): Promise<string> {
  checkKeyName(key);
  const cell = findCell(repository.manifest, target);
  const { values } = await openCell(repository, cell);
  const value = values.get(key);
  if (value !== undefined) return value;
  if ((await readPendingKeys(repository, cell)).has(key)) throw pendingKey(cell.label, key);
  throw unknownKey(cell.label, key, [...values.keys()]);
}

function pendingKey(cell: string, key: string): ClefError {
  return new ClefError({
    code: 'unknown_key',
    message: `"${key}" in "${cell}" is pending: it has no value yet`,
    hint: `give it one: clef set ${cell} ${key}`,
    location: { key },
  });
}

/**
 * The error for a key that a cell does not have, with the name that was perhaps meant; `listed` is the cell whose keys
 * to look at where several were searched.
 */
export function unknownKey(
  cell: string,
  key: string,
  existing: readonly string[],
  listed: string = cell,
): ClefError {
  const near = suggest(key, existing);
  return new ClefError({
    code: 'unknown_key',
    message: `No key "${key}" in "${cell}"${near === undefined ? '' : `. Did you mean "${near}"?`}`,
    hint: `run "clef list ${listed}" to see its keys`,
    location: { key },
  });
}
