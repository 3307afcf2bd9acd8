// INI text to sections and back, with the habits of go-ini that the bytes of values depend on (spec sops-format, section
// 10.4): three kinds of quotes, joined lines, comments behind values, keys that overwrite.
import { SopsError } from '../sops-error.ts';
import { type Comment, type Entry, type Mapping, type SourceSpan, stringLeaf } from '../tree.ts';
import { checkSize, type Limits } from './format.ts';
import { decodeRawText, encodeRawText, isCleanText } from './raw-text.ts';

/** The section of the keys before the first header. */
export const defaultSection = 'DEFAULT';

type Section = {
  readonly name: string;
  readonly comment: string;
  readonly keys: Map<string, Key>;
  readonly at: SourceSpan;
};
type Key = { value: string; comment: string; readonly at: SourceSpan; valueAt: SourceSpan };

/** `comment` is what has been read since the last section or key, markers included. */
type Reader = { readonly text: string; at: number; line: number; comment: string };

/**
 * The sections of a file as a mapping of mappings, "DEFAULT" first. A section's comment is its first item, a key's
 * comment stands behind the key.
 *
 * Throws SopsError 'parse_error' with a position; 'unsupported' for the key "-", which go-ini numbers.
 */
export function readIni(bytes: Uint8Array, limits: Limits): Mapping {
  checkSize(bytes, limits);
  if (/^(?:\xfe\xff|\xff\xfe)/.test(Buffer.from(bytes.subarray(0, 2)).toString('latin1'))) {
    throw new SopsError('parse_error', 'The file is UTF-16, not UTF-8');
  }
  const text = decodeRawText(bytes).replace(/^\ufeff/, '');
  return { kind: 'mapping', items: readSections({ text, at: 0, line: 1, comment: '' }).map(sectionEntry) };
}

function readSections(reader: Reader): Section[] {
  const sections = [newSection(defaultSection, '', { line: 1, column: 1, start: 0, end: 0 })];
  while (reader.at < reader.text.length) {
    const { at: lineStart, line: number } = reader;
    const whole = readLine(reader);
    const line = trimStart(whole);
    const indent = whole.length - line.length;
    const start = lineStart + indent;
    const at = { line: number, column: indent + 1, start, end: start + trimEnd(line).length };
    if (line === '') continue;
    if (/^[#;]/.test(line)) reader.comment += line;
    else if (line.startsWith('[')) sections.push(readHeader(reader, line, at));
    else readKey(reader, line, at, sections.at(-1) as Section);
  }
  return sections;
}

function readLine(reader: Reader): string {
  const newline = reader.text.indexOf('\n', reader.at);
  const end = newline === -1 ? reader.text.length : newline + 1;
  const line = reader.text.slice(reader.at, end);
  reader.at = end;
  reader.line += 1;
  return line;
}

function newSection(name: string, comment: string, at: SourceSpan): Section {
  return { name, comment, keys: new Map(), at };
}

function readHeader(reader: Reader, line: string, at: SourceSpan): Section {
  const close = line.lastIndexOf(']');
  if (close === -1) throw fault(at, 'The section has no closing bracket');
  const name = checkName(line.slice(1, close), at);
  reader.comment += line.slice(close + 1).replace(/^[^#;]*/, '');
  return newSection(name, takeComment(reader), at);
}

function readKey(reader: Reader, line: string, at: SourceSpan, { keys }: Section): void {
  const { name, offset } = readKeyName(line, at);
  checkName(name, at);
  if (name === '-') {
    throw new SopsError(
      'unsupported',
      'The key "-" stands for a number in INI files, which SOPS cannot read back',
      {
        position: at,
      },
    );
  }
  const value = readValue(reader, line.slice(offset), at);
  const comment = takeComment(reader);
  const valueAt = { ...at, column: at.column + offset, start: at.start + offset, end: reader.at };
  const known = keys.get(name);
  if (known === undefined) keys.set(name, { value, comment, at, valueAt });
  else Object.assign(known, { value, comment, valueAt });
}

function checkName(name: string, at: SourceSpan): string {
  if (name === '') throw fault(at, 'The name of a section or key is empty');
  if (!isCleanText(name)) throw fault(at, 'The name of a section or key is not valid UTF-8');
  return name;
}

function readKeyName(line: string, at: SourceSpan): { name: string; offset: number } {
  const quote = keyQuote(line);
  const close = quote === '' ? 0 : line.indexOf(quote, quote.length);
  if (close === -1) throw fault(at, 'The key has no closing quote');
  const from = close + quote.length;
  const delimiter = line.slice(from).search(/[=:]/);
  if (delimiter === -1) throw fault(at, 'The line is no section, no comment and no key with "=" or ":"');
  const name = quote === '' ? line.slice(0, delimiter) : line.slice(quote.length, close);
  return { name: trim(name), offset: from + delimiter + 1 };
}

function keyQuote(line: string): string {
  if (line.startsWith('"""') && line.length > 6) return '"""';
  return /^["`]/.exec(line)?.[0] ?? '';
}

function readValue(reader: Reader, rest: string, at: SourceSpan): string {
  const line = trimStart(rest);
  const quote = line.startsWith('"""') && line.length > 3 ? '"""' : line.startsWith('`') ? '`' : '';
  if (quote !== '') {
    const close = line.lastIndexOf(quote);
    return close >= quote.length ? line.slice(quote.length, close) : readLines(reader, line, quote, at);
  }
  const value = trimEnd(line);
  if (value.endsWith('\\')) return readJoinedLines(reader, value.slice(0, -1));
  const comment = value.search(/[#;]/);
  if (comment === -1) return withoutQuotes(value);
  reader.comment += value.slice(comment);
  return withoutQuotes(trimEnd(value.slice(0, comment)));
}

// Up to the last closing quote of the first line that has one; what stands behind it may be a comment.
function readLines(reader: Reader, first: string, quote: string, at: SourceSpan): string {
  const parts = [first.slice(quote.length)];
  while (reader.at < reader.text.length) {
    const line = readLine(reader);
    const close = line.lastIndexOf(quote);
    if (close !== -1) {
      reader.comment += trim(line.slice(close).replace(/^[^#;]*/, ''));
      return parts.join('') + line.slice(0, close);
    }
    parts.push(line);
  }
  throw fault(at, 'The value has no closing quote');
}

function readJoinedLines(reader: Reader, first: string): string {
  const parts = [first];
  while (reader.at < reader.text.length) {
    const line = trim(readLine(reader));
    if (!line.endsWith('\\')) return parts.join('') + line;
    parts.push(line.slice(0, -1));
  }
  return parts.join('');
}

function withoutQuotes(value: string): string {
  const [quote = ''] = value;
  const isQuoted = /["']/.test(quote) && value.length >= 2 && value.indexOf(quote, 1) === value.length - 1;
  return isQuoted ? value.slice(1, -1) : value;
}

function takeComment(reader: Reader): string {
  const comment = trim(reader.comment);
  reader.comment = '';
  return comment;
}

// Only the first line loses its marker; those that follow keep theirs.
function commentOf(text: string, at: SourceSpan): Comment[] {
  if (text === '') return [];
  const stripped = text.replace(text.startsWith(';') ? /^[; ]+/ : /^[# ]+/, '');
  if (!isCleanText(stripped)) throw fault(at, 'A comment above this line is not valid UTF-8');
  return [{ kind: 'comment', text: stripped, at }];
}

function sectionEntry({ name, comment, keys, at }: Section): Entry {
  const items = Array.from(
    keys,
    ([key, { value, comment: note, at: place, valueAt }]): (Entry | Comment)[] => {
      const leaf = { ...stringLeaf(encodeRawText(value)), at: valueAt };
      return [{ kind: 'entry', key, value: leaf, at: place }, ...commentOf(note, place)];
    },
  );
  const value: Mapping = { kind: 'mapping', items: [...commentOf(comment, at), ...items.flat()], at };
  return { kind: 'entry', key: name, value, at };
}

function fault(at: SourceSpan, message: string): SopsError {
  return new SopsError('parse_error', message, { position: at });
}

// White space as Go has it, which is not quite JavaScript's.
const blank = /[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && blank.test(text.charAt(start))) start += 1;
  return text.slice(start);
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && blank.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

function trim(text: string): string {
  return trimEnd(trimStart(text));
}

/** A section whose values are text already. */
export type TextSection = { readonly name: string; readonly items: readonly (TextEntry | Comment)[] };
export type TextEntry = { readonly kind: 'entry'; readonly key: string; readonly text: string };

/** The sections as SOPS lays them out: aligned, a blank line between two; the first has no header if it is "DEFAULT". */
export function writeIni(sections: readonly TextSection[]): string {
  const hasKey = ({ items }: TextSection): boolean => items.some(({ kind }) => kind === 'entry');
  const shown = sections.filter(
    (section, index) => index > 0 || section.name !== defaultSection || hasKey(section),
  );
  return shown.map((section) => writeSection(section, section === sections[0])).join('\n');
}

function writeSection({ name, items }: TextSection, isFirst: boolean): string {
  const [first] = items;
  const head = first?.kind === 'comment' ? commentLines(first.text) : '';
  const header = isFirst && name === defaultSection ? '' : `[${name}]\n`;
  const keys = items.flatMap((item, index) => {
    return item.kind === 'entry'
      ? [{ name: writeKey(item.key), item, comment: commentBehind(items, index) }]
      : [];
  });
  const width = keys.reduce((widest, key) => Math.max(widest, Buffer.byteLength(key.name)), 0);
  const lines = keys.map(({ name: key, item, comment }) => {
    const padding = ' '.repeat(width - Buffer.byteLength(key));
    return `${comment}${key}${padding} = ${writeValue(item.text)}\n`;
  });
  return head + header + lines.join('');
}

// Of several comments behind a key the last one counts, as with the real tool.
function commentBehind(items: TextSection['items'], index: number): string {
  let text = '';
  for (let at = index + 1; items[at]?.kind === 'comment'; at += 1) text = (items[at] as Comment).text;
  return commentLines(text);
}

function commentLines(text: string): string {
  if (text === '') return '';
  const lines = text.split('\n').map((line) => {
    const marker = /^[#;]/.exec(line)?.[0];
    return `${marker ?? ';'} ${trim(marker === undefined ? line : line.slice(1))}\n`;
  });
  return lines.join('');
}

function writeKey(key: string): string {
  if (/["=:]/.test(key)) return `\`${key}\``;
  return key.includes('`') ? `"""${key}"""` : key;
}

// The quotes that the real tool takes; others where a value would not read back from them.
function writeValue(text: string): string {
  const usual = usualQuotes(text);
  const candidates = [usual, `\`${text}\``, `"""${text}"""`, `"${text}"`, `'${text}'`];
  return candidates.find((candidate) => readsAs(candidate, text)) ?? usual;
}

function usualQuotes(text: string): string {
  if (/[\n`]/.test(text)) return `"""${text}"""`;
  if (/[#;]/.test(text)) return `\`${text}\``;
  return trim(text) === text ? text : `"${text}"`;
}

function readsAs(candidate: string, text: string): boolean {
  if (candidate === text && /^[\w[][\w[\],:+/=.-]*$/.test(text)) return true;
  const [first = '', ...rest] = `${candidate}\n`.split(/(?<=\n)/);
  const reader: Reader = { text: rest.join(''), at: 0, line: 1, comment: '' };
  const place = { line: 1, column: 1, start: 0, end: 0 };
  try {
    return readValue(reader, first, place) === text && reader.at === reader.text.length;
  } catch (error) {
    if (error instanceof SopsError) return false;
    throw error;
  }
}
