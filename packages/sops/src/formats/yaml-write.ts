// The tree as YAML text in the style of the real tool: block style, its indentation, its choice of quotes.
// Whatever is written here reads back as the same tree, by go-yaml as by us.
import { encodeBase64 } from '@clef/strict';
import { shortestFloat } from '../leaf-values.ts';
import type { Comment, Entry, Leaf, Mapping, Sequence, TreeNode } from '../tree.ts';
import { resolvesToString } from './yaml-scalars.ts';

const maxSimpleKeyBytes = 128;
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const decoder = new TextDecoder();
/** Nothing in it needs quotes, whatever stands around it. */
const simpleWord = /^[A-Za-z_][A-Za-z0-9_./+=-]*$/;

const legacyTruths = new Set(
  ['y', 'n', 'yes', 'no', 'on', 'off'].flatMap((word) => {
    const upper = word.toUpperCase();
    return [word, upper, upper.charAt(0) + word.slice(1)];
  }),
);

/** The lines of one document. An empty mapping is `{}`. */
export function writeDocument(root: Mapping, step: number): string {
  const lines = mappingLines(root, 0, step);
  const isEmpty = root.items.every((item) => item.kind === 'comment');
  return [...lines, ...(isEmpty ? ['{}'] : []), ''].join('\n');
}

/** The lines of one entry at a column, with a newline at the end. */
export function writeEntry(entry: Entry, indent: number, step: number): string {
  return `${entryLines(entry, indent, step).join('\n')}\n`;
}

/** One line of comment at a column. */
export function writeComment(comment: Comment, indent: number): string {
  const pad = ' '.repeat(indent);
  return `${pad}#${comment.text.replaceAll('\n', `\n${pad}#`)}`;
}

/** The scalar as one line, or undefined when it takes a block or a line break. */
export function writeInlineScalar(leaf: Leaf): string | undefined {
  const lines = scalarLines(leaf, { column: 0, isStep: false, step: 0 });
  return lines.length === 1 ? lines[0] : undefined;
}

function mappingLines(mapping: Mapping, indent: number, step: number): string[] {
  return mapping.items.flatMap((item) =>
    item.kind === 'comment' ? [writeComment(item, indent)] : entryLines(item, indent, step),
  );
}

function entryLines(entry: Entry, indent: number, step: number): string[] {
  const pad = ' '.repeat(indent);
  const key = keyLines(entry.key, indent, step);
  const [first = '', ...rest] = valueLines(entry.value, indent, step);
  const separator = first === '' ? ':' : ': ';
  const isSimple = !/[\n\u2028\u2029]/.test(entry.key) && Buffer.byteLength(entry.key) <= maxSimpleKeyBytes;
  if (isSimple) return [`${pad}${key[0]}${separator}${first}`, ...rest];
  const head = [`${pad}? ${key[0]}`, ...key.slice(1)];
  if (first !== '') return [...head, `${pad}: ${first}`, ...rest];
  // A block behind such a key begins on the line of the colon.
  const inner = nextIndent(indent, step);
  const [line = '', ...more] = rest;
  return [...head, `${pad}:`.padEnd(inner) + line.slice(inner), ...more];
}

function keyLines(key: string, indent: number, step: number): string[] {
  return textLines(key, { column: nextIndent(indent, step), isStep: indent % step === 0, step });
}

// The first line goes behind the key or dash, the others are whole lines.
function valueLines(node: TreeNode, indent: number, step: number): string[] {
  if (node.kind === 'leaf') {
    return scalarLines(node, { column: nextIndent(indent, step), isStep: indent % step === 0, step });
  }
  const inner = nextIndent(indent, step);
  if (node.kind === 'sequence') return sequenceValue(node, indent, inner, step);
  if (node.items.some((item) => item.kind === 'entry')) return ['', ...mappingLines(node, inner, step)];
  if (node.items.length === 0) return ['{}'];
  const comments = node.items.map((item) => writeComment(item as Comment, inner));
  return ['{', ...comments, `${' '.repeat(inner)}}`];
}

// Comments alone make no list: they follow the empty one, as the real tool prints them.
function sequenceValue(node: Sequence, indent: number, inner: number, step: number): string[] {
  if (node.items.some((item) => item.kind !== 'comment')) return ['', ...sequenceLines(node, inner, step)];
  return ['[]', ...node.items.map((item) => writeComment(item as Comment, indent))];
}

function sequenceLines(sequence: Sequence, indent: number, step: number): string[] {
  return sequence.items.flatMap((item) =>
    item.kind === 'comment' ? [writeComment(item, indent)] : elementLines(item, indent, step),
  );
}

// A container behind a dash is moved by the two columns of "- "; its first line shares the line of the dash. The comments
// that it begins with go before the dash, as the real tool prints them.
function elementLines(node: TreeNode, indent: number, step: number): string[] {
  const dash = `${' '.repeat(indent)}- `;
  const inner = indent + 2;
  if (node.kind === 'leaf') {
    return withFirst(dash, scalarLines(node, { column: inner, isStep: step === 2, step }));
  }
  const start = node.items.findIndex((item) => item.kind !== 'comment');
  if (start === -1) return withFirst(dash, valueLines(node, indent, step));
  const comments = node.items.slice(0, start).map((item) => writeComment(item as Comment, indent));
  const body = containerLines({ ...node, items: node.items.slice(start) } as typeof node, inner, step);
  return [...comments, ...withFirst(dash, [(body[0] ?? '').slice(inner), ...body.slice(1)])];
}

function withFirst(dash: string, [first = '', ...rest]: readonly string[]): string[] {
  return [dash + first, ...rest];
}

function containerLines(node: Mapping | Sequence, indent: number, step: number): string[] {
  return node.kind === 'mapping' ? mappingLines(node, indent, step) : sequenceLines(node, indent, step);
}

// Every level is a multiple of the step, also below a dash.
function nextIndent(indent: number, step: number): number {
  return step * Math.floor((indent + step) / step);
}

/** Where the lines of a scalar after its first one begin. `isStep`: that is one step in from its parent. */
type Continuation = { readonly column: number; readonly isStep: boolean; readonly step: number };

function scalarLines(leaf: Leaf, continuation: Continuation): string[] {
  if (leaf.type === 'str' || leaf.type === 'bytes') return stringLines(leaf.bytes, continuation);
  const text = decoder.decode(leaf.bytes);
  switch (leaf.type) {
    case 'null':
      return ['null'];
    case 'bool':
      return [text === 'True' ? 'true' : 'false'];
    case 'int':
    case 'time':
      return [text];
    case 'float':
      return [floatText(text)];
  }
}

function stringLines(bytes: Uint8Array, continuation: Continuation): string[] {
  const text = decodeOrUndefined(bytes);
  return text === undefined ? [`!!binary ${encodeBase64(bytes)}`] : textLines(text, continuation);
}

function decodeOrUndefined(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function textLines(text: string, continuation: Continuation): string[] {
  return canBeLiteral(text, continuation) ? literalLines(text, continuation) : [oneLine(text, continuation)];
}

// Where the real tool would write a block that reads as another text, quotes are taken: behind a first tab, after a wrong
// indentation sign, and where a line separator and a blank meet or the text ends with one.
function canBeLiteral(text: string, { isStep }: Continuation): boolean {
  if (!text.includes('\n') || / $| [\n\u2028\u2029]/.test(text) || mustBeEscaped(text)) return false;
  return !/^\t|[\u2028\u2029](?: |\n|$)/.test(text) && (isStep || !/^[ \n\u2028\u2029]/.test(text));
}

function literalLines(text: string, { column, step }: Continuation): string[] {
  const sign = /^[ \n\u2028\u2029]/.test(text) ? String(step) : '';
  const chomping = !text.endsWith('\n') ? '-' : /(?:^|\n)\n$/.test(text) ? '+' : '';
  const pad = ' '.repeat(column);
  const lines = text.replace(/\n$/, '').split('\n');
  return [`|${sign}${chomping}`, ...lines.map((line) => (line === '' ? '' : pad + separated(line, pad)))];
}

function oneLine(text: string, { column }: Continuation): string {
  if (simpleWord.test(text) && resolvesToString(text) && !isLegacyWord(text)) return text;
  if (text === '<<') return '!!merge <<';
  if (text === '' || !resolvesToString(text) || isLegacyWord(text)) return doubleQuoted(text);
  if (/[\t\n]| [\u2028\u2029]|[\u2028\u2029] /.test(text) || mustBeEscaped(text)) return doubleQuoted(text);
  if (canBePlain(text)) return text;
  return `'${separated(text.replaceAll("'", "''"), ' '.repeat(column))}'`;
}

// YAML 1.1 takes these for line breaks, so that go-yaml indents what follows; its readers drop the blanks.
function separated(text: string, pad: string): string {
  return text.replace(/([\u2028\u2029]+)(?=[^\u2028\u2029])/g, `$1${pad}`);
}

// What readers of YAML 1.1 take for a truth value or a number.
function isLegacyWord(text: string): boolean {
  return legacyTruths.has(text) || isSexagesimal(text);
}

// A number in base 60: places between colons, of which all but the first are two digits at most and below 60. A fraction
// may follow, and underscores may stand wherever there can be any number of digits.
function isSexagesimal(text: string): boolean {
  const [whole = '', fraction = '', ...more] = text.split('.');
  const [first = '', ...places] = whole.split(':');
  if (places.length === 0 || more.length > 0 || !/^[0-9_]*$/.test(fraction)) return false;
  return (
    /^[+-]?[0-9][0-9_]*$/.test(first) &&
    places.every((place) => /^[0-9]{1,2}$/.test(place) && Number(place) < 60)
  );
}

function canBePlain(text: string): boolean {
  if (/^ | $|^(?:---|\.\.\.)/.test(text)) return false;
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text) || /^[-?:](?: |$)/.test(text)) return false;
  return !/:(?: |$)| #|[\u2028\u2029]/.test(text);
}

// What go-yaml does not print raw.
function mustBeEscaped(text: string): boolean {
  return /[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/u.test(text);
}

const shortEscapes: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
  '\x85': '\\N',
  '\u2028': '\\L',
  '\u2029': '\\P',
};

// go-yaml escapes all of a text that begins with a byte order mark.
function doubleQuoted(text: string): string {
  const isAll = text.startsWith('\ufeff');
  const escaped = Array.from(text, (character) => {
    const short = shortEscapes[character];
    if (short !== undefined) return short;
    if (isAll && character === '\xa0') return '\\_';
    return isAll || mustBeEscaped(character) ? escapeCodePoint(character.codePointAt(0) ?? 0) : character;
  });
  return `"${escaped.join('')}"`;
}

function escapeCodePoint(code: number): string {
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

function floatText(canonical: string): string {
  const special: Readonly<Record<string, string>> = { NaN: '.nan', '+Inf': '.inf', '-Inf': '-.inf' };
  return special[canonical] ?? shortestFloat(canonical);
}
