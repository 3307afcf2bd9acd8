// A cell's values as text that another program reads: each format gives back the exact value, or refuses it by name.
import { findCell } from '../cells/cell.ts';
import { openCell } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import type { Repository } from '../repository.ts';
import { refuseDangerousNames } from './environment-policy.ts';

export const exportFormats = ['dotenv', 'json', 'sh'] as const;
export type ExportFormat = (typeof exportFormats)[number];

type Write = (values: ReadonlyMap<string, string>) => string;

const writers = {
  dotenv: (values) => lines(values, (key, value) => `${key}=${quoteDotenv(key, value)}`),
  json: writeJson,
  sh: (values) => lines(values, (key, value) => `export ${key}=${quoteShell(value)}`),
} as const satisfies Record<ExportFormat, Write>;

/**
 * All values of a cell as one text, in the order of the file.
 * @throws {ClefError} `environment_value` where the format cannot hold a value exactly, `dangerous_name`, and what opening a cell can give.
 */
export async function exportSecrets(
  repository: Repository,
  request: {
    readonly cell: string;
    readonly format: ExportFormat;
    readonly allowedEnvironmentNames?: readonly string[];
  },
): Promise<string> {
  const { values } = await openCell(repository, findCell(repository.manifest, request.cell));
  // JSON is data; the others become variables as soon as they are used.
  if (request.format !== 'json') refuseDangerousNames(values.keys(), request.allowedEnvironmentNames ?? []);
  return writers[request.format](values);
}

function lines(values: ReadonlyMap<string, string>, line: (key: string, value: string) => string): string {
  return [...values].map(([key, value]) => `${line(key, value)}\n`).join('');
}

/** Built by hand: an object would lose the key `__proto__` and reorder names that look like numbers. */
function writeJson(values: ReadonlyMap<string, string>): string {
  const members = [...values].map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return members.length === 0 ? '{}\n' : `{\n${members.join(',\n')}\n}\n`;
}

/** POSIX: nothing is special between single quotes but the quote itself. */
function quoteShell(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/**
 * The dialect of `node --env-file` and the dotenv package: quotes have no escape but `\n` and `\r` between double ones,
 * so that a value picks a kind of quote that does not occur in it.
 */
function quoteDotenv(key: string, value: string): string {
  if (/^[A-Za-z0-9_./:@%+,\\-]+$/.test(value)) return value;
  if (value.includes('\r')) throw inexpressible(key, 'a carriage return');
  // To some readers a backslash hides the quote after it, and the value would swallow the next lines.
  if (value.endsWith('\\')) throw inexpressible(key, 'a backslash at its end and needs quotes');
  if (!value.includes("'")) return `'${value}'`;
  if (!value.includes('`')) return `\`${value}\``;
  if (!value.includes('"') && !/\\[nr]/.test(value)) return `"${value}"`;
  throw inexpressible(key, 'all three kinds of quotes');
}

function inexpressible(key: string, what: string): ClefError {
  return new ClefError({
    code: 'environment_value',
    message: `The value of "${key}" has ${what}, which dotenv files cannot hold`,
    hint: 'use --format json or --format sh',
    location: { key },
  });
}
