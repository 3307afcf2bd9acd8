// One dialect of an export. Its rule: the reader gets back the exact bytes of every value, or the value is refused by name.
import { ClefError } from '../../errors.ts';
import type { CellName } from '../../manifest/names.ts';

export type ExportSource = {
  /** Names to values, in the order to write them. */
  readonly values: ReadonlyMap<string, string>;
  /** The first cell of the export: what a format names its document after. */
  readonly cell: CellName;
  readonly randomBytes: (length: number) => Uint8Array;
};

export type ExportDialect = {
  /** Names become variables as soon as the text is used: the policy of names applies. */
  readonly setsVariables: boolean;
  /** Who could read the text besides its reader, where that is not what a person expects. */
  readonly warning?: string;
  /** @throws {ClefError} `environment_value` where the dialect cannot hold a value or a name exactly, `limit`. */
  readonly write: (source: ExportSource) => string;
};

/** One line for each value. */
export function linesOf(
  values: ReadonlyMap<string, string>,
  line: (key: string, value: string) => string,
): string {
  return [...values].map(([key, value]) => `${line(key, value)}\n`).join('');
}

/** `The value of "K" WHAT`; the hint names the formats that can hold it. */
export function inexpressible(key: string, what: string, better = '--format json or --format sh'): ClefError {
  return new ClefError({
    code: 'environment_value',
    message: `The value of "${key}" ${what}`,
    hint: `use ${better}, or leave the key out with --except ${key}`,
    location: { key },
  });
}

/** For names that the reader keeps for itself. */
export function refuseNames(values: ReadonlyMap<string, string>, taken: RegExp, whose: string): void {
  const key = [...values.keys()].find((name) => taken.test(name));
  if (key === undefined) return;
  throw new ClefError({
    code: 'environment_value',
    message: `The name "${key}" belongs to ${whose}: it would not hold the value`,
    hint: `leave it out with --except ${key}, or give all names a --prefix`,
    location: { key },
  });
}
