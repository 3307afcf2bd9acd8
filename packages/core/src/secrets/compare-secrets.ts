// Equal or not, and nothing else of the values.
import { findCell } from '../cells/cell.ts';
import { openCell } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import type { Repository } from '../repository.ts';
import { getSecret } from './get-secret.ts';
import { isSameDigest, valueDigests } from './same-value.ts';

export type KeyOfCell = { readonly cell: string; readonly key: string };

/**
 * Whether a key has the same value as another key, or as a value that a person gives.
 * @throws {ClefError} what reading either can give.
 */
export async function compareSecret(
  repository: Repository,
  one: KeyOfCell,
  other: KeyOfCell | (() => Promise<Uint8Array>),
): Promise<boolean> {
  const digestOf = valueDigests(repository.world);
  const value = digestOf(await getSecret(repository, one));
  const second = typeof other === 'function' ? await other() : await getSecret(repository, other);
  return isSameDigest(value, digestOf(second));
}

/** A key of two cells that are compared: in one of them alone, or in both. */
export type ComparedKey = {
  readonly key: string;
  readonly comparison: 'equal' | 'different' | 'only_first' | 'only_second';
};

/**
 * Every key of either cell: those of the first in the order of its file, then those of the second alone.
 * @throws {ClefError} `usage` for one cell twice, and what opening a cell can give.
 */
export async function compareCells(
  repository: Repository,
  first: string,
  second: string,
): Promise<readonly ComparedKey[]> {
  if (first === second) {
    throw new ClefError({
      code: 'usage',
      message: `"${first}" is compared with itself`,
      hint: 'name another cell',
    });
  }
  const cells = [first, second].map((target) => findCell(repository.manifest, target));
  const [one, other] = (await Promise.all(cells.map((cell) => openCell(repository, cell)))).map(
    ({ values }) => values,
  ) as [ReadonlyMap<string, string>, ReadonlyMap<string, string>];
  const digestOf = valueDigests(repository.world);
  return [...new Set([...one.keys(), ...other.keys()])].map((key) => {
    const [a, b] = [one.get(key), other.get(key)];
    if (a === undefined) return { key, comparison: 'only_second' };
    if (b === undefined) return { key, comparison: 'only_first' };
    return { key, comparison: isSameDigest(digestOf(a), digestOf(b)) ? 'equal' : 'different' };
  });
}
