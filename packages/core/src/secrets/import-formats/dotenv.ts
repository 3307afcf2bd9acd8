// dotenv files, as a person writes them: one NAME=VALUE a line, three kinds of quotes, values over several lines. Nothing
// is run and nothing filled in (catalogue INV-98); what programs read in different ways is refused or noted.
import type { Position } from '@clef/strict';
import type { ManifestFault } from '../../manifest/faults.ts';
import type { FoundValue, FoundValues } from './found-values.ts';

type Reader = {
  readonly text: string;
  at: number;
  line: number;
  readonly values: FoundValue[];
  readonly faults: ManifestFault[];
  /** Lines with something that a shell would run or fill in. */
  readonly literal: number[];
  /** Lines with a backslash that some programs would take away. */
  readonly backslashes: number[];
};

/** Beyond these nobody reads on. */
const mostFaults = 100;
const mostLines = 5;

/** Reads the text of a dotenv file. A name that occurs twice is there twice: the caller decides. */
export function readDotenv(source: string): FoundValues {
  const text = source.replaceAll('\r\n', '\n');
  const reader: Reader = { text, at: 0, line: 1, values: [], faults: [], literal: [], backslashes: [] };
  checkCharacters(reader);
  while (reader.at < text.length && reader.faults.length < mostFaults) readLine(reader);
  return { values: reader.values, faults: reader.faults, notes: notesOf(reader) };
}

function notesOf({ literal, backslashes }: Reader): readonly string[] {
  const where = (lines: readonly number[]): string =>
    `line${lines.length === 1 ? '' : 's'} ${lines.slice(0, mostLines).join(', ')}${lines.length > mostLines ? ', …' : ''}`;
  return [
    ...(literal.length === 0
      ? []
      : [`"$" and backticks are taken as they are, nothing is run or filled in (${where(literal)})`]),
    ...(backslashes.length === 0
      ? []
      : [`a backslash before anything but n, r and a double quote is kept (${where(backslashes)})`]),
  ];
}

function checkCharacters(reader: Reader): void {
  const odd = /[\0\r]/.exec(reader.text);
  if (odd === null) return;
  const before = reader.text.slice(0, odd.index).split('\n');
  const what = odd[0] === '\0' ? 'NUL character' : 'carriage return without a newline';
  fault(reader, `There is a ${what} here`, { line: before.length, column: (before.at(-1) ?? '').length + 1 });
  reader.at = reader.text.length;
}

function readLine(reader: Reader): void {
  const { text, at } = reader;
  const found = text.indexOf('\n', at);
  const end = found < 0 ? text.length : found;
  const first = skipSpace(text, at);
  if (first < end && text[first] !== '#') readAssignment(reader, first, end);
  else endLine(reader, end);
}

function readAssignment(reader: Reader, first: number, end: number): void {
  const { text, line } = reader;
  const equals = text.indexOf('=', first);
  const position = { line, column: first - reader.at + 1 };
  if (equals < 0 || equals > end) {
    fault(
      reader,
      'There is no "=" in this line',
      position,
      'write NAME=VALUE, and put a value of several lines in quotes',
    );
    endLine(reader, end);
    return;
  }
  const name = text
    .slice(first, equals)
    .replace(/^export[ \t]+/, '')
    .trimEnd();
  if (name === '') fault(reader, 'There is no name before "="', position);
  const start = skipSpace(text, equals + 1);
  const quote = text[start] ?? '';
  const value =
    start < end && /['"`]/.test(quote)
      ? readQuoted(reader, start, quote)
      : readPlain(reader, text.slice(equals + 1, end), end);
  if (value !== undefined && name !== '') reader.values.push({ name, value, position });
}

function readPlain(reader: Reader, raw: string, end: number): string | undefined {
  const comment = /[ \t]#/.exec(raw);
  const value = (comment === null ? raw : raw.slice(0, comment.index)).trim();
  const position = { line: reader.line, column: 1 };
  const trouble = plainTrouble(value);
  if (trouble === undefined) noteLiteral(reader, value, reader.line);
  else fault(reader, trouble, position, 'put the whole value in single quotes');
  endLine(reader, end);
  return trouble === undefined ? value : undefined;
}

function plainTrouble(value: string): string | undefined {
  if (/['"]/.test(value)) return 'There is a quote in the middle of this value';
  if (value.startsWith('#')) return 'This value begins with "#", which some programs take for a comment';
  return /[\u2028\u2029\u0085]/.test(value) ? 'There is an invisible line break in this value' : undefined;
}

function readQuoted(reader: Reader, open: number, quote: string): string | undefined {
  const { text } = reader;
  const position = { line: reader.line, column: open - reader.at + 1 };
  const close = quote === '"' ? closingDouble(text, open + 1) : text.indexOf(quote, open + 1);
  if (close < 0) {
    fault(reader, `The quote that opens here is not closed`, position);
    // What follows cannot be told from the value.
    reader.at = text.length;
    return undefined;
  }
  const inner = text.slice(open + 1, close);
  const value = quote === '"' ? withoutEscapes(reader, inner) : inner;
  if (quote !== "'") noteLiteral(reader, quote === '`' ? `\`${inner}` : inner, reader.line);
  reader.line += inner.split('\n').length - 1;
  const found = text.indexOf('\n', close);
  const end = found < 0 ? text.length : found;
  const isAlone = /^(?:[ \t]+#.*|[ \t]*)$/.test(text.slice(close + 1, end));
  if (!isAlone)
    fault(
      reader,
      `There is text after the quote that closes in line ${reader.line}`,
      position,
      'put the whole value between one pair of quotes',
    );
  endLine(reader, end);
  return isAlone ? value : undefined;
}

function closingDouble(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') return at;
    if (character === '\\') at += 1;
  }
  return -1;
}

function withoutEscapes(reader: Reader, inner: string): string {
  let isKept = false;
  const value = inner.replaceAll(/\\([\s\S])/g, (whole, letter: string) => {
    if (letter === 'n') return '\n';
    if (letter === 'r') return '\r';
    if (letter === '"') return '"';
    isKept = true;
    return whole;
  });
  if (isKept) reader.backslashes.push(reader.line);
  return value;
}

function noteLiteral(reader: Reader, value: string, line: number): void {
  if (/`|\$[A-Za-z_{(]/.test(value)) reader.literal.push(line);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t') at += 1;
  return at;
}

function endLine(reader: Reader, end: number): void {
  reader.at = end + 1;
  reader.line += 1;
}

function fault(reader: Reader, message: string, position: Position, hint?: string): void {
  reader.faults.push({ class: 'format', message, position, hint });
}
