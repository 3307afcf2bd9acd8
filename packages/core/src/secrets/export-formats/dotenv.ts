// dotenv files, in the dialect of `node --env-file` and the dotenv package: quotes have no escape but `\n` and `\r` between
// double ones, so that a value picks a kind of quote that does not occur in it.
import { type ExportDialect, inexpressible, linesOf } from './export-format.ts';

export const dotenv: ExportDialect = {
  setsVariables: true,
  write: ({ values }) => linesOf(values, (key, value) => `${key}=${quoteDotenv(key, value)}`),
};

function quoteDotenv(key: string, value: string): string {
  if (/^[A-Za-z0-9_./:@%+,\\-]+$/.test(value)) return value;
  if (value.includes('\r')) throw refusal(key, 'a carriage return');
  // To some readers a backslash hides the quote after it, and the value would swallow the next lines.
  if (value.endsWith('\\')) throw refusal(key, 'a backslash at its end and needs quotes');
  if (!value.includes("'")) return `'${value}'`;
  if (!value.includes('`')) return `\`${value}\``;
  if (!value.includes('"') && !/\\[nr]/.test(value)) return `"${value}"`;
  throw refusal(key, 'all three kinds of quotes');
}

function refusal(key: string, what: string): Error {
  return inexpressible(key, `has ${what}, which dotenv files cannot hold`);
}
