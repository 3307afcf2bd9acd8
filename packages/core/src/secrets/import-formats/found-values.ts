// What a file to import holds, whatever its format: names with values, in order, and everything that is wrong with it.
// Faults and notes hold names and places, never a value.
import type { Position } from '@clef/strict';
import type { ManifestFault } from '../../manifest/faults.ts';
import { quoteKeyName } from '../../manifest/names.ts';

/** A value with the place where its name stands. */
export type FoundValue = {
  readonly name: string;
  readonly value: string;
  readonly position?: Position | undefined;
};

export type FoundValues = {
  readonly values: readonly FoundValue[];
  readonly faults: readonly ManifestFault[];
  /** What a person should know, though nothing is wrong. */
  readonly notes: readonly string[];
};

/** One leaf of a nested file: a value, or why it is none (completes `"a.b" …`). */
export type Leaf = {
  readonly path: readonly (string | number)[];
  readonly position?: Position | undefined;
} & ({ readonly value: string } | { readonly refused: string; readonly hint?: string });

/**
 * The names of leaves: their own, or with a separator the joined path, list positions counted from 0. Without one,
 * nesting is refused once for each name at the top.
 */
export function nameLeaves(leaves: readonly Leaf[], separator: string | undefined): FoundValues {
  const values: FoundValue[] = [];
  const faults: ManifestFault[] = [];
  const nested = new Set<string>();
  for (const leaf of leaves) {
    const [top = ''] = leaf.path;
    const name = leaf.path.join(separator ?? '.');
    if (leaf.path.length > 1 && separator === undefined) {
      if (!nested.has(String(top))) faults.push(nestedFault(String(top), leaf.position));
      nested.add(String(top));
    } else if ('value' in leaf) values.push({ name, value: leaf.value, position: leaf.position });
    else {
      const message = `${quoteKeyName(name)} ${leaf.refused}`;
      faults.push({ class: 'format', message, hint: leaf.hint, position: leaf.position });
    }
  }
  return { values, faults, notes: [] };
}

function nestedFault(name: string, position: Position | undefined): ManifestFault {
  return {
    class: 'format',
    message: `${quoteKeyName(name)} holds other names or a list`,
    hint: 'pass --flatten SEPARATOR to join the names, for example --flatten _',
    position,
  };
}
