// JSON without the lenience of JSON.parse: a duplicate key, half a surrogate pair, a number that overflows, a byte
// order mark or an excess of bytes, depth or nodes is an error with a position. Keys are only ever data.
import { excerpt } from './escape.ts';
import { positionAt, type StrictCode, StrictError } from './strict-error.ts';
import { checkText, decodeUtf8 } from './text.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
/** Has no prototype: `__proto__` and `constructor` are keys like any other. */
export type JsonObject = { readonly [key: string]: JsonValue };

/** `maxBytes` counts UTF-8 bytes; `maxDepth` nested arrays and objects (at most 1,000); `maxNodes` values of any kind. */
export type JsonLimits = { readonly maxBytes: number; readonly maxDepth: number; readonly maxNodes?: number };

type Reader = {
  readonly text: string;
  at: number;
  depth: number;
  nodes: number;
  readonly limits: Required<JsonLimits>;
};

/** Deeper than this a recursive reader could exhaust the stack, whatever the caller asked for. */
const deepest = 1_000;

/**
 * Reads one JSON text (RFC 8259). Objects come back without a prototype. Whatever it accepts, `JSON.parse` reads as
 * the same value. Throws `StrictError`: `limit`, `syntax` (duplicate keys too), `encoding` (invalid UTF-8, byte order
 * mark, half a surrogate pair, also when written as an escape) or `value` (a number too large for a double).
 * Integers beyond 2^53 lose digits here as everywhere in JavaScript: a caller who cares checks `Number.isSafeInteger`.
 */
export function parseJson(input: Uint8Array | string, limits: JsonLimits): JsonValue {
  const text = admit(input, limits.maxBytes);
  const reader: Reader = {
    text,
    at: 0,
    depth: 0,
    nodes: 0,
    limits: {
      maxBytes: limits.maxBytes,
      maxDepth: Math.min(limits.maxDepth, deepest),
      maxNodes: limits.maxNodes ?? Number.POSITIVE_INFINITY,
    },
  };
  skipSpace(reader);
  const value = readValue(reader);
  skipSpace(reader);
  if (reader.at < text.length) throw unexpected(reader, 'the end of the text');
  return value;
}

function admit(input: Uint8Array | string, maxBytes: number): string {
  // A string has at least as many UTF-8 bytes as code units, so the cheap comparison comes first.
  const isTooLarge =
    input.length > maxBytes || (typeof input === 'string' && Buffer.byteLength(input) > maxBytes);
  if (isTooLarge) throw new StrictError('limit', `The JSON text is larger than ${maxBytes} bytes`);
  if (typeof input !== 'string') return decodeUtf8(input);
  checkText(input);
  return input;
}

function readValue(reader: Reader): JsonValue {
  reader.nodes += 1;
  if (reader.nodes > reader.limits.maxNodes) {
    throw fault(reader, 'limit', `The JSON text holds more than ${reader.limits.maxNodes} values`);
  }
  switch (reader.text.charCodeAt(reader.at)) {
    case 0x22: // "
      return readString(reader);
    case 0x7b: // {
      return readNested(reader, readObject);
    case 0x5b: // [
      return readNested(reader, readArray);
    case 0x74: // t
      return readWord(reader, 'true', true);
    case 0x66: // f
      return readWord(reader, 'false', false);
    case 0x6e: // n
      return readWord(reader, 'null', null);
    default:
      return readNumber(reader);
  }
}

function readNested<T extends JsonValue>(reader: Reader, read: (reader: Reader) => T): T {
  reader.depth += 1;
  if (reader.depth > reader.limits.maxDepth) {
    throw fault(reader, 'limit', `The JSON text is nested deeper than ${reader.limits.maxDepth} levels`);
  }
  reader.at += 1;
  skipSpace(reader);
  const value = read(reader);
  reader.at += 1;
  reader.depth -= 1;
  return value;
}

function readArray(reader: Reader): readonly JsonValue[] {
  const items: JsonValue[] = [];
  if (reader.text.charCodeAt(reader.at) === 0x5d) return items;
  do {
    skipSpace(reader);
    items.push(readValue(reader));
  } while (readComma(reader, 0x5d, '"," or "]"'));
  return items;
}

function readObject(reader: Reader): JsonObject {
  const object: { [key: string]: JsonValue } = Object.create(null);
  if (reader.text.charCodeAt(reader.at) === 0x7d) return object;
  do {
    skipSpace(reader);
    const keyAt = reader.at;
    if (reader.text.charCodeAt(keyAt) !== 0x22) throw unexpected(reader, 'a key in double quotes');
    const key = readString(reader);
    if (key in object)
      throw faultAt(reader, keyAt, 'syntax', `The key "${excerpt(key)}" appears twice in one object`);
    skipSpace(reader);
    if (reader.text.charCodeAt(reader.at) !== 0x3a) throw unexpected(reader, '":"');
    reader.at += 1;
    skipSpace(reader);
    object[key] = readValue(reader);
  } while (readComma(reader, 0x7d, '"," or "}"'));
  return object;
}

/** True after a comma (which it takes), false at the closing bracket (which it leaves). */
function readComma(reader: Reader, closing: number, wanted: string): boolean {
  skipSpace(reader);
  const code = reader.text.charCodeAt(reader.at);
  if (code === closing) return false;
  if (code !== 0x2c) throw unexpected(reader, wanted);
  reader.at += 1;
  return true;
}

function readWord<T>(reader: Reader, word: string, value: T): T {
  if (!reader.text.startsWith(word, reader.at)) throw unexpected(reader, 'a JSON value');
  reader.at += word.length;
  return value;
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function readNumber(reader: Reader): number {
  numberPattern.lastIndex = reader.at;
  const match = numberPattern.exec(reader.text);
  if (match === null) throw unexpected(reader, 'a JSON value');
  const value = Number(match[0]);
  if (!Number.isFinite(value)) throw fault(reader, 'value', 'The number is too large');
  reader.at += match[0].length;
  return value;
}

const plainRun = /[^"\\\u0000-\u001f]*/y;

function readString(reader: Reader): string {
  const opening = reader.at;
  let value = '';
  let hasEscape = false;
  reader.at += 1;
  for (;;) {
    value += readPlainRun(reader);
    const code = reader.text.charCodeAt(reader.at);
    if (code === 0x22) break;
    if (code !== 0x5c) throw unexpected(reader, 'the end of the string');
    value += readEscape(reader);
    hasEscape = true;
  }
  reader.at += 1;
  // The text itself was checked as a whole: only an escape can bring half a pair into a string.
  if (hasEscape && /\p{Surrogate}/u.test(value)) {
    throw faultAt(reader, opening, 'encoding', 'The string holds half of a surrogate pair');
  }
  return value;
}

function readPlainRun(reader: Reader): string {
  plainRun.lastIndex = reader.at;
  const start = reader.at;
  plainRun.test(reader.text);
  reader.at = plainRun.lastIndex;
  return reader.text.slice(start, reader.at);
}

const simpleEscapes = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

function readEscape(reader: Reader): string {
  const letter = reader.text.charAt(reader.at + 1);
  const simple = simpleEscapes.get(letter);
  if (simple !== undefined) {
    reader.at += 2;
    return simple;
  }
  const digits = reader.text.slice(reader.at + 2, reader.at + 6);
  if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) throw unexpected(reader, 'a JSON escape');
  reader.at += 6;
  return String.fromCharCode(Number.parseInt(digits, 16));
}

function skipSpace(reader: Reader): void {
  for (;;) {
    const code = reader.text.charCodeAt(reader.at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    reader.at += 1;
  }
}

function unexpected(reader: Reader, wanted: string): StrictError {
  const codePoint = reader.text.codePointAt(reader.at);
  const found =
    codePoint === undefined ? 'the end of the text' : `"${excerpt(String.fromCodePoint(codePoint))}"`;
  return fault(reader, 'syntax', `Expected ${wanted}, found ${found}`);
}

function fault(reader: Reader, code: StrictCode, message: string): StrictError {
  return faultAt(reader, reader.at, code, message);
}

function faultAt(reader: Reader, at: number, code: StrictCode, message: string): StrictError {
  return new StrictError(code, message, positionAt(reader.text, at));
}
