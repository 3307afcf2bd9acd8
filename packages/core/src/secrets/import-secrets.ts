// Brings the values of a file into a cell: all of them or none. Whatever is wrong with the file is told at once.
import { decodeUtf8, StrictError } from '@clef/strict';
import { type ChangedCell, type Confirm, type CurrentCell, changeCell } from '../cells/write.ts';
import { ClefError } from '../errors.ts';
import { faultsError, type ManifestFault } from '../manifest/faults.ts';
import { keyNameFault, keyNamePattern, quoteKeyName, quoteName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import { detectFormat, type ImportFormat } from './import-formats/detect.ts';
import { readDotenv } from './import-formats/dotenv.ts';
import type { FoundValue, FoundValues } from './import-formats/found-values.ts';
import { readJson } from './import-formats/json.ts';
import { readSops } from './import-formats/sops.ts';
import { readYaml } from './import-formats/yaml.ts';
import { refuseSchemaBreaks, textFault } from './value-rules.ts';

/** The largest file to import, in bytes. */
export const maxImportBytes = 8 * 1024 * 1024;
/** The most values of one file. */
const mostValues = 10_000;
const mostLines = 200_000;

export type ImportRequest = {
  readonly cell: string;
  /** The whole file. */
  readonly bytes: Uint8Array;
  /** How the file is called; `undefined` for standard input. */
  readonly name: string | undefined;
  readonly format?: ImportFormat | undefined;
  /** Joins the names of what is nested; without it nesting is refused. */
  readonly flatten?: string | undefined;
  /** Of SOPS files: take the exact text of numbers, booleans and times. */
  readonly stringify?: boolean;
  /** Put before every name. */
  readonly prefix?: string | undefined;
  /** Take the values of keys that have another value already; without it they are kept. */
  readonly overwrite: boolean;
  readonly skipEmpty: boolean;
  /** Of a name that a dotenv file has twice, take the last. */
  readonly lastWins: boolean;
  readonly isDryRun: boolean;
  readonly createNamespace: boolean;
  readonly allowedEnvironmentNames: readonly string[];
  readonly confirm: Confirm;
};

/** What an import does to each key, in the order of the file. */
export type ImportResult = ChangedCell & {
  readonly format: ImportFormat;
  readonly isDryRun: boolean;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  /** Had this very value. */
  readonly equal: readonly string[];
  /** Has another value, which stays. */
  readonly kept: readonly string[];
  /** Empty, and left out. */
  readonly skipped: readonly string[];
};

/**
 * Imports a file into a cell in one transaction. A dry run reads and checks the same and writes nothing.
 * @throws {ClefError} `bad_format` (with every fault), `bad_name`, `limit`, `usage`, `dangerous_name`, `schema_violation`,
 * `cannot_decrypt`, `protected`, and what changing a cell can give.
 */
export async function importSecrets(repository: Repository, request: ImportRequest): Promise<ImportResult> {
  checkPrefix(request.prefix);
  const { format, values, skipped } = await readImport(repository, request);
  refuseDangerousNames(values.keys(), request.allowedEnvironmentNames);
  let sorted: SortedKeys | undefined;
  const changed = await changeCell(repository, request.cell, {
    createNamespace: request.createNamespace,
    confirm: request.confirm,
    isDryRun: request.isDryRun,
    edit: async () => async (current) => {
      sorted = sortKeys(values, await current.values(), request.overwrite);
      return takeValues(current, values, sorted);
    },
  });
  const keys = sorted ?? { added: [], changed: [], equal: [], kept: [] };
  return { ...changed, format, isDryRun: request.isDryRun, ...keys, skipped };
}

function checkPrefix(prefix: string | undefined): void {
  if (prefix === undefined || keyNamePattern.test(prefix)) return;
  throw new ClefError({
    code: 'bad_name',
    message: `The prefix ${quoteName(prefix)} cannot begin the name of a key`,
    hint: 'use letters, digits and underscores, and no digit first, such as "APP_"',
  });
}

export type SortedKeys = Pick<ImportResult, 'added' | 'changed' | 'equal' | 'kept'>;

/** What taking these values would do to each key. */
export function sortKeys(
  values: ReadonlyMap<string, string>,
  current: ReadonlyMap<string, string>,
  overwrite: boolean,
): SortedKeys {
  const keys = [...values.keys()];
  const differing = keys.filter((key) => current.has(key) && current.get(key) !== values.get(key));
  return {
    added: keys.filter((key) => !current.has(key)),
    changed: overwrite ? differing : [],
    equal: keys.filter((key) => current.get(key) === values.get(key)),
    kept: overwrite ? [] : differing,
  };
}

/** The edit that takes them: what is new or changed must fit the schema. */
export async function takeValues(
  current: CurrentCell,
  values: ReadonlyMap<string, string>,
  { added, changed, equal }: SortedKeys,
): Promise<{ readonly set: ReadonlyMap<string, string>; readonly delete: readonly string[] }> {
  const taken = new Set([...added, ...changed]);
  await refuseSchemaBreaks(current, new Map([...values].filter(([key]) => taken.has(key))));
  const known = new Set([...taken, ...equal]);
  return { set: new Map([...values].filter(([key]) => known.has(key))), delete: [] };
}

type ReadImport = {
  readonly format: ImportFormat;
  readonly values: ReadonlyMap<string, string>;
  readonly skipped: readonly string[];
};

async function readImport({ world }: Repository, request: ImportRequest): Promise<ReadImport> {
  const file = request.name ?? 'standard input';
  const text = decode(request.bytes, file);
  const format = detectFormat(text, request.name, request.format);
  const found = await readFormat(world, request, { format, text, file });
  if (found.values.length > mostValues) throw tooMuch(file, `it has more than ${mostValues} values`);
  const { values, skipped, faults } = judge(found.values, request);
  const all = [...found.faults, ...faults];
  if (all.length > 0) throw faultsError(file, all, 'bad_format');
  if (found.values.length === 0)
    throw faultsError(file, [{ class: 'format', message: 'There is nothing in it to import' }], 'bad_format');
  for (const note of found.notes) world.notify({ level: 'warning', message: note });
  return { format, values, skipped };
}

function decode(bytes: Uint8Array, file: string): string {
  if (bytes.length > maxImportBytes) throw tooMuch(file, `it is larger than ${maxImportBytes} bytes`);
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
    throw faultsError(
      file,
      [{ class: 'format', message: 'The file is UTF-16', hint: 'save it as UTF-8' }],
      'bad_format',
    );
  try {
    const text = decodeUtf8(bytes, { allowBom: true });
    // Counted before a parser builds something for each of them.
    if (text.length > mostLines && text.split('\n', mostLines + 2).length > mostLines + 1)
      throw tooMuch(file, `it has more than ${mostLines} lines`);
    return text;
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    const { message, position } = error;
    throw faultsError(file, [{ class: 'format', message, position, hint: 'save it as UTF-8' }], 'bad_format');
  }
}

async function readFormat(
  world: Repository['world'],
  { flatten, bytes, stringify = false }: ImportRequest,
  { format, text, file }: { readonly format: ImportFormat; readonly text: string; readonly file: string },
): Promise<FoundValues> {
  const maxBytes = maxImportBytes;
  if (format === 'dotenv') return readDotenv(text);
  if (format === 'json') return readJson(text, { maxBytes, flatten });
  if (format === 'yaml') return readYaml(bytes, { maxBytes, flatten });
  return readSops(world, bytes, { name: file, flatten, stringify });
}

/** What of the found values can be stored, and every reason why another cannot. */
function judge(
  found: readonly FoundValue[],
  { prefix = '', skipEmpty, lastWins }: ImportRequest,
): {
  readonly values: ReadonlyMap<string, string>;
  readonly skipped: readonly string[];
  readonly faults: readonly ManifestFault[];
} {
  const values = new Map<string, string>();
  const skipped: string[] = [];
  const faults: ManifestFault[] = [];
  for (const { name, value, position } of found) {
    const key = `${prefix}${name}`;
    const fault = (message: string, hint?: string, isName = false): void =>
      void faults.push({ class: isName ? 'name' : 'format', message, hint, position });
    const wrongName = keyNameFault(key);
    const wrongValue = textFault(value);
    if (wrongName !== undefined) fault(`The key name ${quoteKeyName(key)} ${wrongName}`, undefined, true);
    else if (values.has(key) && !lastWins)
      fault(`${quoteKeyName(key)} is there twice`, 'remove one of them, or pass --last to take the last');
    else if (value === '' && skipEmpty) {
      values.delete(key);
      skipped.push(key);
    } else if (value === '')
      fault(`The value of "${key}" is empty`, 'pass --skip-empty to leave such keys out');
    else if (wrongValue !== undefined) fault(`The value of "${key}" ${wrongValue.why}`, wrongValue.hint);
    else values.set(key, value);
  }
  return { values, skipped, faults };
}

function tooMuch(file: string, why: string): ClefError {
  return new ClefError({
    code: 'limit',
    message: `Cannot import "${file}": ${why}`,
    hint: 'split it, or check that it is the right file',
    location: { file },
  });
}
