// JSON text to the tree and back: order, duplicate keys and the kind of each number are kept, and every place is known.
// Strict where the real tool is not: one whole object in valid UTF-8, nothing after it.
import { decodeUtf8, excerpt, StrictError } from '@clef/strict';
import { canonicalInteger, formatFloat, typedLeaf } from '../leaf-values.ts';
import { SopsError } from '../sops-error.ts';
import {
  type Entry,
  type Leaf,
  type Mapping,
  type Sequence,
  type SourceSpan,
  stringLeaf,
  type TreeNode,
} from '../tree.ts';
import { checkSize, type Limits } from './format.ts';
import { decodeRawText } from './raw-text.ts';

/** Deeper than this the reader could exhaust the stack, whatever the caller asked for. */
const deepest = 1000;

type Reader = {
  readonly text: string;
  readonly maxDepth: number;
  at: number;
  depth: number;
  line: number;
  lineStart: number;
};

/** Text that is one JSON object, with the object it stands for. */
export type JsonText = { readonly text: string; readonly root: Mapping };

/**
 * Reads one object. Integers within 64 signed bits are of type int, all other numbers float; half a surrogate pair in an
 * escape is U+FFFD, as in SOPS (spec sops-format, section 10.2).
 *
 * Throws SopsError 'parse_error' or 'limit' with a position.
 */
export function readJson(bytes: Uint8Array, limits: Limits): JsonText {
  checkSize(bytes, limits);
  const text = decode(bytes);
  const maxDepth = Math.min(limits.maxDepth, deepest);
  const reader: Reader = { text, maxDepth, at: 0, depth: 0, line: 1, lineStart: 0 };
  skipSpace(reader);
  if (text[reader.at] !== '{') throw unexpected(reader, 'an object, which every SOPS file is');
  const root = readValue(reader) as Mapping;
  skipSpace(reader);
  if (reader.at < text.length) throw unexpected(reader, 'the end of the text');
  return { text, root };
}

function decode(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    const details = error.position === undefined ? {} : { position: error.position };
    throw new SopsError(
      'parse_error',
      'The file is not JSON: it is not UTF-8, or has a byte order mark',
      details,
    );
  }
}

function readValue(reader: Reader): TreeNode {
  switch (reader.text[reader.at]) {
    case '"':
      return placed(reader, (): Leaf => stringLeaf(readString(reader)));
    case '{':
      return nested(reader, () =>
        placed(reader, (): Mapping => ({ kind: 'mapping', items: readEntries(reader) })),
      );
    case '[':
      return nested(reader, () =>
        placed(reader, (): Sequence => ({ kind: 'sequence', items: readItems(reader) })),
      );
    case 't':
      return placed(reader, () => readWord(reader, 'true', typedLeaf('bool', 'True')));
    case 'f':
      return placed(reader, () => readWord(reader, 'false', typedLeaf('bool', 'False')));
    case 'n':
      return placed(reader, () => readWord(reader, 'null', typedLeaf('null', '')));
    default:
      return placed(reader, () => readNumber(reader));
  }
}

function placed<T extends TreeNode>(reader: Reader, read: () => T): T {
  const { at: start, line, lineStart } = reader;
  // The node was made a moment ago and is nobody else's: a copy with one more field costs more than reading it did.
  const node: T & { at?: SourceSpan } = read();
  node.at = { line, column: start - lineStart + 1, start, end: reader.at };
  return node;
}

function nested<T>(reader: Reader, read: () => T): T {
  reader.depth += 1;
  if (reader.depth > reader.maxDepth) {
    throw fault(reader, 'limit', `The file is nested deeper than ${reader.maxDepth} levels`);
  }
  const value = read();
  reader.depth -= 1;
  return value;
}

function readEntries(reader: Reader): Entry[] {
  return readList(reader, '}', () => {
    if (reader.text[reader.at] !== '"') throw unexpected(reader, 'a key in double quotes');
    const { at: start, line, lineStart } = reader;
    const key = readString(reader);
    const at: SourceSpan = { line, column: start - lineStart + 1, start, end: reader.at };
    skipSpace(reader);
    if (reader.text[reader.at] !== ':') throw unexpected(reader, '":"');
    reader.at += 1;
    skipSpace(reader);
    return { kind: 'entry', key, value: readValue(reader), at };
  });
}

function readItems(reader: Reader): TreeNode[] {
  return readList(reader, ']', () => readValue(reader));
}

function readList<T>(reader: Reader, closing: string, readOne: () => T): T[] {
  const items: T[] = [];
  reader.at += 1;
  skipSpace(reader);
  if (reader.text[reader.at] !== closing) {
    items.push(readOne());
    skipSpace(reader);
    while (reader.text[reader.at] === ',') {
      reader.at += 1;
      skipSpace(reader);
      items.push(readOne());
      skipSpace(reader);
    }
    if (reader.text[reader.at] !== closing) throw unexpected(reader, `"," or "${closing}"`);
  }
  reader.at += 1;
  return items;
}

function readWord(reader: Reader, word: string, leaf: Leaf): Leaf {
  if (!reader.text.startsWith(word, reader.at)) throw unexpected(reader, 'a JSON value');
  reader.at += word.length;
  return leaf;
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

// `-0` is a float: SOPS up to 3.13.1 knows no other numbers, and the MAC tells it from 0.
function readNumber(reader: Reader): Leaf {
  numberPattern.lastIndex = reader.at;
  const text = numberPattern.exec(reader.text)?.[0];
  if (text === undefined) throw unexpected(reader, 'a JSON value');
  const integer = text === '-0' ? undefined : canonicalInteger(text);
  const value = Number(text);
  if (!Number.isFinite(value))
    throw fault(reader, 'parse_error', 'The number is beyond the range of a double');
  reader.at += text.length;
  return integer === undefined ? typedLeaf('float', formatFloat(value)) : typedLeaf('int', integer);
}

function readString(reader: Reader): string {
  const { text, at: start } = reader;
  const quote = text.indexOf('"', start + 1);
  const plain = text.slice(start + 1, Math.max(start + 1, quote));
  if (quote !== -1 && !/[\\\u0000-\u001f]/.test(plain)) {
    reader.at = quote + 1;
    return plain;
  }
  return readEscapedString(reader);
}

// Looks only for the end; the platform undoes the escapes, and refuses those that there are not.
function readEscapedString(reader: Reader): string {
  const { text, at: start } = reader;
  let at = start + 1;
  for (let code = text.charCodeAt(at); code !== 0x22; code = text.charCodeAt(at)) {
    // Beyond the end of the text the code is NaN.
    if (!(code >= 0x20)) throw unexpected({ ...reader, at }, 'the end of the string');
    at += code === 0x5c ? 2 : 1;
  }
  reader.at = at + 1;
  try {
    const value: string = JSON.parse(text.slice(start, reader.at));
    return value.replace(/\p{Surrogate}/gu, '\ufffd');
  } catch {
    throw fault(
      { ...reader, at: start },
      'parse_error',
      'The string holds an escape that JSON does not have',
    );
  }
}

function skipSpace(reader: Reader): void {
  for (; ; reader.at += 1) {
    const code = reader.text.charCodeAt(reader.at);
    if (code === 0x0a) {
      reader.line += 1;
      reader.lineStart = reader.at + 1;
    } else if (code !== 0x20 && code !== 0x09 && code !== 0x0d) return;
  }
}

function unexpected(reader: Reader, wanted: string): SopsError {
  const code = reader.text.codePointAt(reader.at);
  const found = code === undefined ? 'the end of the file' : `"${excerpt(String.fromCodePoint(code))}"`;
  return fault(reader, 'parse_error', `Expected ${wanted}, found ${found}`);
}

function fault({ line, at, lineStart }: Reader, code: 'parse_error' | 'limit', message: string): SopsError {
  return new SopsError(code, message, { position: { line, column: at - lineStart + 1 } });
}

/** What a level is indented by, and how lines end. */
export type JsonLayout = { readonly indent: string; readonly newline: string };

/**
 * The object as text with a newline at the end, as SOPS lays it out. Comments are left out: JSON has none.
 *
 * Throws SopsError 'unsupported' for infinities and for what is not a number.
 */
export function writeJson(root: Mapping, { indent, newline }: JsonLayout): string {
  const parts: string[] = [];
  writeNode(root, newline, indent, parts);
  return `${parts.join('')}${newline}`;
}

// `newline` is the line break with the indentation of the node's own line.
function writeNode(node: TreeNode, newline: string, indent: string, parts: string[]): void {
  if (node.kind === 'leaf') {
    parts.push(writeJsonLeaf(node));
    return;
  }
  const [open, close] = node.kind === 'mapping' ? '{}' : '[]';
  parts.push(open as string);
  let separator = newline + indent;
  for (const item of node.items) {
    if (item.kind === 'comment') continue;
    parts.push(separator);
    if (item.kind === 'entry') parts.push(quoted(item.key), ': ');
    writeNode(item.kind === 'entry' ? item.value : item, newline + indent, indent, parts);
    separator = `,${newline}${indent}`;
  }
  parts.push(separator.startsWith(',') ? newline : '', close as string);
}

/** One value as text. Throws as {@link writeJson} does. */
export function writeJsonLeaf(leaf: Leaf): string {
  const text = decodeRawText(leaf.bytes);
  switch (leaf.type) {
    case 'null':
      return 'null';
    case 'bool':
      return text === 'True' ? 'true' : 'false';
    case 'int':
      return text;
    case 'float':
      return floatText(text);
    case 'str':
    case 'time':
    case 'bytes':
      return quoted(text);
  }
}

function floatText(canonical: string): string {
  if (!/^-?[0-9.]+$/.test(canonical)) {
    throw new SopsError('unsupported', 'JSON has no way to write an infinity or what is not a number');
  }
  return canonical === '-0' ? canonical : String(Number(canonical));
}

// As Go escapes: also what is special in HTML, the line separators of JavaScript, and each byte that is no UTF-8.
function quoted(text: string): string {
  const escaped = JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return escaped.replace(/\\(?:\\|ud[89a-f][0-9a-f]{2})/g, (found) => (found === '\\\\' ? found : '\\ufffd'));
}
