// What exec and export take from the cells: several cells in order, some of their keys, and the names they go by.
import { checkEnvironmentName } from '@clef/host';
import { type Cell, findCell } from '../cells/cell.ts';
import { type OpenedCell, openCell } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import { checkKeyName, quoteName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { unknownKey } from './get-secret.ts';

export type Choice = {
  readonly cell: string;
  /** More cells; where two define a key, the later one counts. */
  readonly also?: readonly string[];
  /** A key that two cells define is an error. */
  readonly strict?: boolean;
  /** Only these keys; not together with `except`. */
  readonly only?: readonly string[];
  /** All keys but these. */
  readonly except?: readonly string[];
  /** Put before the name of every key; `only` and `except` name keys without it. */
  readonly prefix?: string;
};

/**
 * The cells of a choice, first to last.
 * @throws {ClefError} `usage` where one is named twice, and what naming a cell can give.
 */
export function chosenCells({ manifest }: Repository, { cell, also = [] }: Choice): readonly Cell[] {
  const cells = [cell, ...also].map((target) => findCell(manifest, target));
  const twice = cells.find(({ label }, index) => cells.findIndex((other) => other.label === label) < index);
  if (twice === undefined) return cells;
  throw new ClefError({
    code: 'usage',
    message: `The cell "${twice.label}" is given twice`,
    hint: 'name each cell once; the order decides which one counts',
  });
}

/**
 * The chosen values by the names they go by, in the order of the cells. A key that a later cell replaces is noted.
 * @throws {ClefError} `usage`, `unknown_key`, `key_conflict`, `bad_name`, and what opening a cell can give.
 */
export async function chooseValues(
  repository: Repository,
  choice: Choice,
): Promise<ReadonlyMap<string, string>> {
  checkChoice(choice);
  const opening = chosenCells(repository, choice).map((cell) => openCell(repository, cell));
  // Of several failures the first cell's is told, whichever comes first.
  await Promise.allSettled(opening);
  const opened = await Promise.all(opening);
  const isWanted = wantedKeys(choice, opened);
  return named(merge(repository, opened, isWanted, choice.strict ?? false), choice.prefix);
}

/** Before anything is read. */
function checkChoice({ only, except, prefix }: Choice): void {
  for (const key of [...(only ?? []), ...(except ?? [])]) checkKeyName(key);
  if (only !== undefined && except !== undefined) {
    throw new ClefError({
      code: 'usage',
      message: 'Only some keys and all but some keys cannot be chosen together',
      hint: 'give --only or --except',
    });
  }
  if (prefix === undefined || checkEnvironmentName(`${prefix}A`) !== 'malformed') return;
  throw badPrefix(prefix);
}

function wantedKeys({ only, except }: Choice, opened: readonly OpenedCell[]): (key: string) => boolean {
  const listed = only ?? except;
  if (listed === undefined) return () => true;
  const missing = listed.find((key) => !opened.some(({ values }) => values.has(key)));
  if (missing !== undefined) {
    const labels = opened.map(({ cell }) => cell.label);
    throw unknownKey(
      labels.join('" and "'),
      missing,
      opened.flatMap(({ keys }) => keys),
      labels[0],
    );
  }
  const names = new Set(listed);
  return (key) => names.has(key) === (only !== undefined);
}

function merge(
  { world }: Repository,
  opened: readonly OpenedCell[],
  isWanted: (key: string) => boolean,
  isStrict: boolean,
): ReadonlyMap<string, string> {
  const merged = new Map<string, { readonly value: string; readonly cell: string }>();
  for (const { cell, values } of opened) {
    for (const [key, value] of values) {
      if (!isWanted(key)) continue;
      const earlier = merged.get(key);
      if (earlier !== undefined && isStrict) throw conflict(key, earlier.cell, cell.label);
      if (earlier !== undefined) {
        const message = `"${key}" of "${earlier.cell}" is replaced by that of "${cell.label}"`;
        world.notify({ level: 'note', message });
      }
      merged.set(key, { value, cell: cell.label });
    }
  }
  return new Map([...merged].map(([key, { value }]) => [key, value]));
}

function named(values: ReadonlyMap<string, string>, prefix = ''): ReadonlyMap<string, string> {
  if (prefix === '') return values;
  return new Map(
    [...values].map(([key, value]) => {
      if (checkEnvironmentName(prefix + key) === 'malformed') throw badPrefix(prefix, key);
      return [prefix + key, value];
    }),
  );
}

function badPrefix(prefix: string, key?: string): ClefError {
  return new ClefError({
    code: 'bad_name',
    message: `The prefix ${quoteName(prefix)} ${key === undefined ? 'cannot begin the name of a variable' : `makes the name of "${key}" longer than 128 characters`}`,
    hint: 'use letters, digits and underscores, and no digit first, such as "APP_"',
  });
}

function conflict(key: string, earlier: string, later: string): ClefError {
  return new ClefError({
    code: 'key_conflict',
    message: `The key "${key}" is in "${earlier}" and in "${later}"`,
    hint: `leave it out with --except ${key}, or leave out --strict: the later cell counts then`,
    location: { key },
  });
}
