// INI text to sections and back (spec sops-format, section 10.4). A line is one of four things: blank, a comment, the header
// of a section, or a key with its value; only a value may go on into the lines below.
import { SopsError } from '../sops-error.ts';
import { type Comment, type Entry, type Mapping, type SourceSpan, stringLeaf } from '../tree.ts';
import { checkSize, defaultLimits, type Limits } from './format.ts';
import { decodeRawText, encodeRawText, isCleanText } from './raw-text.ts';

/** What holds the keys before the first header; there even when it is empty. */
export const defaultSection = 'DEFAULT';

/** A line, or what is left of it, and where that begins. */
type Line = Omit<SourceSpan, 'end'> & { readonly text: string };
type Lines = Iterator<Line, undefined>;

/** `beside`: the comment behind a value, with its mark. */
type Value = { readonly text: string; readonly beside?: Line | undefined };

/** `fields`: what each key adds to the section, which is its entry and perhaps a comment. */
type Section = {
  readonly name: string;
  readonly at?: SourceSpan;
  readonly comments: readonly Comment[];
  readonly fields: Map<string, readonly (Entry | Comment)[]>;
};

/**
 * The sections as mappings of strings, "DEFAULT" first. The comment of a section is its first item, the one of a key
 * stands behind the key.
 *
 * Throws SopsError 'parse_error' with a position, 'limit', and 'unsupported' for the key `-`, which the real tool numbers.
 */
export function readIni(bytes: Uint8Array, limits: Limits): Mapping {
  checkSize(bytes, limits);
  const lines: Lines = linesOf(decodeRawText(bytes).replace(/^\ufeff/, ''));
  const sections: Section[] = [{ name: defaultSection, comments: [], fields: new Map() }];
  let above: Line[] = [];
  for (let line = lines.next().value; line !== undefined; line = lines.next().value) {
    const body = withoutIndent(line);
    if (body.text === '') continue;
    if (/^[#;]/.test(body.text)) {
      above.push(body);
      continue;
    }
    if (body.text.startsWith('[')) sections.push(readHeader(body, above));
    else readField(sections.at(-1), body, lines, above);
    above = [];
  }
  return { kind: 'mapping', items: sections.map(sectionEntry) };
}

function* linesOf(text: string): Generator<Line, undefined> {
  let [start, line] = [0, 1];
  for (const part of text.split('\n')) {
    yield { text: part, line, column: 1, start };
    start += part.length + 1;
    line += 1;
  }
}

// The last bracket ends the name; of what stands behind it only a comment counts.
function readHeader(header: Line, above: readonly Line[]): Section {
  const close = header.text.lastIndexOf(']');
  if (close === -1) throw fault(header, 'The name of the section has no closing "]"');
  const name = header.text.slice(1, close);
  if (name === '') throw fault(header, 'The section has no name');
  checkText(name, header, 'name of the section');
  const comments = commentOf(above, commentIn(behind(header, close + 1)));
  return { name, at: spanOf(header), comments, fields: new Map() };
}

// A key that comes again takes the place of the first, comment and all.
function readField(section: Section | undefined, line: Line, lines: Lines, above: readonly Line[]): void {
  const quoted = quotedKey(line);
  const from = quoted?.end ?? 0;
  const delimiter = from + line.text.slice(from).search(/[=:]/);
  if (delimiter < from) throw fault(line, 'The line is neither a section, a comment nor key = value');
  const key = trim(quoted?.key ?? line.text.slice(0, delimiter));
  if (key === '') throw fault(line, 'The key is empty');
  checkText(key, line, 'key');
  if (key === '-') {
    const message = 'The real tool makes a number of the key "-", which it then takes for a comment';
    throw new SopsError('unsupported', message, { position: spanOf(line) });
  }
  const tail = withoutIndent(behind(line, delimiter + 1));
  const { text, beside } = readValue(tail, lines);
  const value = { ...stringLeaf(encodeRawText(text)), at: spanOf(tail) };
  section?.fields.set(key, [{ kind: 'entry', key, value, at: spanOf(line) }, ...commentOf(above, beside)]);
}

// The first closing quote ends a quoted key; what stands between that and the delimiter is nothing.
function quotedKey(line: Line): { readonly key: string; readonly end: number } | undefined {
  const { text } = line;
  const quote = ['"""', '"', '`'].find((mark) => text.startsWith(mark));
  if (quote === undefined) return undefined;
  const close = text.indexOf(quote, quote.length);
  if (close === -1) throw fault(line, 'The key has no closing quote');
  return { key: text.slice(quote.length, close), end: close + quote.length };
}

function readValue(tail: Line, lines: Lines): Value {
  const quote = ['"""', '`'].find((mark) => tail.text.startsWith(mark));
  if (quote !== undefined) return readLiteral(behind(tail, quote.length), lines, quote);
  const text = trim(tail.text);
  if (text.endsWith('\\')) return { text: readContinued(text, lines) };
  const beside = commentIn(tail);
  const bare = beside === undefined ? text : trim(tail.text.slice(0, beside.start - tail.start));
  return { text: withoutQuotes(bare), beside };
}

// Ends at the last closing quote of the first line that has any, where a line below that ends in a backslash has none. A
// comment behind it counts, but not on the line of the key.
function readLiteral(first: Line, lines: Lines, quote: string): Value {
  const onFirst = first.text.lastIndexOf(quote);
  if (onFirst !== -1) return { text: first.text.slice(0, onFirst) };
  const parts = [first.text];
  for (let line = lines.next().value; line !== undefined; line = lines.next().value) {
    const close = trim(line.text).endsWith('\\') ? -1 : line.text.lastIndexOf(quote);
    parts.push(close === -1 ? line.text : line.text.slice(0, close));
    if (close === -1) continue;
    return { text: parts.join('\n'), beside: commentIn(behind(line, close + quote.length)) };
  }
  throw fault(first, 'The value has no closing quote');
}

// Neither comments nor quotes mean anything in a value of several lines.
function readContinued(first: string, lines: Lines): string {
  const parts: string[] = [];
  let text = first;
  while (text.endsWith('\\')) {
    parts.push(text.slice(0, -1));
    text = trim(lines.next().value?.text ?? '');
  }
  return [...parts, text].join('');
}

function withoutQuotes(text: string): string {
  const isQuote = text.startsWith('"') || text.startsWith("'");
  const isWhole = isQuote && text.length > 1 && text.indexOf(text.charAt(0), 1) === text.length - 1;
  return isWhole ? text.slice(1, -1) : text;
}

function commentIn(line: Line): Line | undefined {
  const mark = line.text.search(/[#;]/);
  return mark === -1 ? undefined : behind(line, mark);
}

// All lines make one comment, in which only the marks of the first are no part of the text.
function commentOf(above: readonly Line[], beside: Line | undefined): Comment[] {
  const [first = beside] = above;
  if (first === undefined) return [];
  const lines = beside === undefined ? above : [...above, beside];
  const text = trim(lines.map((line) => line.text).join('\n'));
  checkText(text, first, 'comment');
  const marks = text.startsWith('#') ? /^[# ]+/ : /^[; ]+/;
  return [{ kind: 'comment', text: text.replace(marks, ''), at: spanOf(first) }];
}

function sectionEntry({ name, at, comments, fields }: Section): Entry {
  const items = [...comments, ...[...fields.values()].flat()];
  return { kind: 'entry', key: name, value: { kind: 'mapping', items }, ...(at === undefined ? {} : { at }) };
}

// White space as Go knows it: JavaScript takes the byte order mark for it too, and U+0085 not.
const space = '[\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const isSpace = new RegExp(space);
const indent = new RegExp(`^${space}+`);

function withoutIndent(line: Line): Line {
  return behind(line, indent.exec(line.text)?.[0].length ?? 0);
}

function behind({ text, line, column, start }: Line, count: number): Line {
  return { text: text.slice(count), line, column: column + count, start: start + count };
}

function spanOf({ text, line, column, start }: Line): SourceSpan {
  return { line, column, start, end: start + text.length };
}

// From the right by hand: a regular expression would try every run of blanks inside.
function trim(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end).replace(indent, '');
}

function checkText(text: string, at: Line, what: string): void {
  if (!isCleanText(text)) throw fault(at, `The ${what} is not valid UTF-8`);
}

function fault(at: Line, message: string): SopsError {
  return new SopsError('parse_error', message, { position: spanOf(at) });
}

/** What {@link writeIni} takes. Comments belong to the key before them, those before the first key to the section. */
export type TextSection = { readonly name: string; readonly items: readonly (TextEntry | Comment)[] };
export type TextEntry = { readonly kind: 'entry'; readonly key: string; readonly text: string };

/**
 * The sections as the real tool lays them out, which pads all keys of one to the same width. Whether all of it reads back is
 * for the caller to see. Throws SopsError 'limit' where the padding alone is more than is ever read.
 */
export function writeIni(sections: readonly TextSection[]): string {
  const written = sections.map((section, index) => writeSection(section, index === 0));
  return written.filter((text) => text !== '').join('\n');
}

// What stands first under the name that is there in any case needs no header.
function writeSection({ name, items }: TextSection, isFirst: boolean): string {
  const header = isFirst && name === defaultSection ? '' : `[${name}]\n`;
  const own = items.slice(0, firstEntry(items));
  const comments = own.map((item) => (item.kind === 'comment' ? writeComment(item.text) : ''));
  return [...comments, header, ...writeFields(items.slice(own.length), name)].join('');
}

function firstEntry(items: TextSection['items']): number {
  const first = items.findIndex(({ kind }) => kind === 'entry');
  return first === -1 ? items.length : first;
}

// Comments stand behind their key in the tree and before it in the text.
function writeFields(items: TextSection['items'], section: string): string[] {
  const keys = items.map((item) => (item.kind === 'entry' ? writeKey(item.key) : ''));
  const width = keys.reduce((widest, key) => Math.max(widest, Buffer.byteLength(key)), 0);
  if (width * keys.length > defaultLimits.maxBytes) {
    const message =
      'Padded to the width of the longest, the keys of the section have more bytes than are read';
    throw new SopsError('limit', message, { path: [section] });
  }
  const lines: string[] = [];
  for (const [index, item] of items.entries()) {
    if (item.kind === 'comment') {
      lines.splice(-1, 0, writeComment(item.text.split('\n').map(trim).join('\n')));
      continue;
    }
    const key = keys[index] ?? '';
    lines.push(`${key}${' '.repeat(width - Buffer.byteLength(key))} = ${writeValue(item.text)}\n`);
  }
  return lines;
}

function writeComment(text: string): string {
  const lines = text.split('\n').map((line) => {
    return /^[#;]/.test(line) ? `${line.charAt(0)} ${trim(line.slice(1))}` : `; ${line}`;
  });
  return text === '' ? '' : `${lines.join('\n')}\n`;
}

function writeKey(key: string): string {
  if (/[=:"]/.test(key)) return backquoted(key);
  return key.includes('`') ? `"""${key}"""` : key;
}

// The real tool's choice of quotes, but for texts that these would not give back: backquotes may do for them.
function writeValue(text: string): string {
  if (/[\n`]/.test(text)) return endsEarly(text) && !text.includes('`') ? backquoted(text) : `"""${text}"""`;
  if (/[#;]/.test(text)) return backquoted(text);
  if (trim(text) !== text) return text.includes('"') ? backquoted(text) : `"${text}"`;
  const isSafe = !text.startsWith('"""') && !text.endsWith('\\') && withoutQuotes(text) === text;
  return isSafe ? text : backquoted(text);
}

// True when three quotes stand in a line before the last one, where they would end the value.
function endsEarly(text: string): boolean {
  const quotes = text.indexOf('"""');
  return quotes !== -1 && quotes < text.lastIndexOf('\n');
}

function backquoted(text: string): string {
  return `\`${text}\``;
}
