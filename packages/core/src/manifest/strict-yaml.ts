// YAML as clef.yaml may use it: one document of maps, lists and scalars. Anchors, tags, directives, merge keys and
// duplicates are refused, limits are checked before the parser runs, and only the canonical spelling of a boolean or an
// integer is one: everything else is text.

import { decodeUtf8, type Position, positionAt, StrictError } from '@clef/strict';
import {
  type Document,
  isAlias,
  isMap as isMapNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from 'yaml';
import { type FieldPath, formatFieldPath, type ManifestFault } from './faults.ts';
import { quoteName } from './names.ts';
import { readPlainYaml, typeOfWord } from './plain-yaml.ts';

/** Largest clef.yaml, in bytes: room for 200 people with hybrid keys. */
export const maxManifestBytes = 512 * 1024;

const maxDepth = 16;
const maxOpenBrackets = 64;

export type YamlValue = null | boolean | number | string | readonly YamlValue[] | YamlMap;
/** Null-prototype: `__proto__` is an ordinary key. */
export type YamlMap = { readonly [key: string]: YamlValue };

/** A parsed file; `positionOf` finds where the value (or the key that leads to it) of a path begins. */
export type StrictYaml = {
  readonly text: string;
  readonly document: Document;
  readonly value: YamlValue;
  positionOf(path: FieldPath, what?: 'value' | 'key'): Position | undefined;
};

/** Whether a value is a map. */
export function isMap(value: YamlValue | undefined): value is YamlMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses `bytes`, or gives everything that is wrong with them. Never throws on bad input. */
export function parseStrictYaml(
  bytes: Uint8Array,
  { maxBytes = maxManifestBytes }: { readonly maxBytes?: number } = {},
): StrictYaml | { readonly faults: readonly ManifestFault[] } {
  const decoded = decodeText(bytes, maxBytes);
  if (typeof decoded !== 'string') return { faults: [decoded] };
  const early = textFault(decoded) ?? depthFault(decoded);
  if (early !== undefined) return { faults: [early] };
  return parseText(decoded);
}

function decodeText(bytes: Uint8Array, maxBytes: number): string | ManifestFault {
  if (bytes.length > maxBytes) {
    return { class: 'limit', message: `The file has ${bytes.length} bytes; ${maxBytes} is the most` };
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return { class: 'format', message: 'The file is UTF-16', hint: 'save it as UTF-8' };
  }
  try {
    return decodeUtf8(bytes, { allowBom: true });
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    return { class: 'format', message: error.message, position: error.position, hint: 'save it as UTF-8' };
  }
}

function textFault(text: string): ManifestFault | undefined {
  const conflict = /^(<{7}|={7}|>{7}|\|{7})( |\r?$)/m.exec(text);
  if (conflict !== null) {
    const message = 'There is a merge conflict in the file';
    return {
      class: 'format',
      message,
      hint: 'resolve the conflict with git first',
      position: positionAt(text, conflict.index),
    };
  }
  const directive = /^%/m.exec(text);
  if (directive !== null) return formatFault('YAML directives are not allowed here', text, directive.index);
  const control = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(text);
  return control === null ? undefined : formatFault('There is a control character here', text, control.index);
}

/** A rough scan that knows nothing of quotes; the parser's own limit and {@link readNode} count exactly. */
function depthFault(text: string): ManifestFault | undefined {
  const dashes = /^[ \t]*([-?:][ \t]+){17}/m.exec(text);
  const index = dashes?.index ?? deepestBracket(text);
  if (index === undefined) return undefined;
  return {
    class: 'limit',
    message: `The nesting is deeper than ${maxDepth} levels`,
    position: positionAt(text, index),
  };
}

function deepestBracket(text: string): number | undefined {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x5b || code === 0x7b) depth += 1;
    else if ((code === 0x5d || code === 0x7d) && depth > 0) depth -= 1;
    if (depth > maxOpenBrackets) return index;
  }
  return undefined;
}

/** Of plain text only the value, until somebody asks for more. */
function parseText(text: string): StrictYaml | { readonly faults: readonly ManifestFault[] } {
  const value = readPlainYaml(text);
  if (value === undefined) return parseWholeYaml(text);
  let parsed: StrictYaml | undefined;
  const whole = (): StrictYaml => {
    parsed ??= wholeOf(parseWholeYaml(text));
    return parsed;
  };
  return {
    text,
    value,
    get document() {
      return whole().document;
    },
    positionOf: (path, what) => whole().positionOf(path, what),
  };
}

function wholeOf(yaml: ReturnType<typeof parseWholeYaml>): StrictYaml {
  if (!('faults' in yaml)) return yaml;
  throw new Error('what is read line by line must be without faults');
}

/** What the parser makes of a text that was looked at before. Only for what is above, and to test it. */
export function parseWholeYaml(text: string): StrictYaml | { readonly faults: readonly ManifestFault[] } {
  const lines = new LineCounter();
  const document = parseTolerantly(text, lines);
  if (document === undefined)
    return { faults: [{ class: 'limit', message: 'The nesting is too deep to read' }] };
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const syntax = document.errors.slice(0, 20).map((error): ManifestFault => {
    const message = syntaxMessages[error.code] ?? 'The YAML syntax is wrong here';
    return {
      class: error.code === 'RESOURCE_EXHAUSTION' ? 'limit' : 'format',
      message,
      position: at(error.pos[0]),
    };
  });
  if (syntax.length > 0) return { faults: syntax };
  const reader: Reader = { faults: [], at };
  const value = readNode(document.contents, [], reader);
  if (reader.faults.length > 0) return { faults: reader.faults };
  return {
    text,
    document,
    value,
    positionOf: (path, what) => positionOf(document, path, what ?? 'value', at),
  };
}

function parseTolerantly(text: string, lineCounter: LineCounter): Document | undefined {
  try {
    return parseDocument(text, {
      schema: 'failsafe',
      uniqueKeys: false,
      prettyErrors: false,
      keepSourceTokens: true,
      logLevel: 'error',
      lineCounter,
    });
  } catch (error) {
    // The parser's own recursion: the scan before it should have caught this.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

// Own words for the parser's codes: its messages can quote the file.
const syntaxMessages: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'A second YAML document begins here; only one is allowed',
  TAB_AS_INDENT: 'A tab is used for indentation; YAML wants spaces',
  MISSING_CHAR: 'A quote, bracket or colon is missing here',
  BAD_INDENT: 'The indentation does not fit the lines above',
  BLOCK_AS_IMPLICIT_KEY: 'There is a second ": " on one line; put the text in quotes',
  BAD_SCALAR_START: 'A value cannot begin with this character; put it in quotes',
  BAD_DQ_ESCAPE: 'This is not an escape that YAML knows',
  UNEXPECTED_TOKEN: 'This character does not belong here',
  MULTILINE_IMPLICIT_KEY: 'A key must be on one line',
  RESOURCE_EXHAUSTION: 'The nesting is too deep to read',
};

type Reader = { readonly faults: ManifestFault[]; readonly at: (offset: number) => Position };

function readNode(node: unknown, path: FieldPath, reader: Reader): YamlValue {
  if (node === null || node === undefined) return null;
  if (isAlias(node)) return refuse(node, path, reader, 'Anchors and aliases are not allowed here');
  checkProperties(node as Node, path, reader);
  if (path.length >= maxDepth)
    return refuse(node as Node, path, reader, `The nesting is deeper than ${maxDepth} levels`, 'limit');
  if (isScalar(node)) return typeScalar(node.value, node.type);
  if (isSeq(node)) return node.items.map((item, index) => readNode(item, [...path, index], reader));
  if (isMapNode(node)) return readMap(node.items, path, reader);
  return refuse(node as Node, path, reader, 'This is neither a map, a list nor a value');
}

function readMap(pairs: readonly Pair[], path: FieldPath, reader: Reader): YamlMap {
  const map: Record<string, YamlValue> = Object.create(null);
  for (const { key, value } of pairs) {
    if (!isScalar(key)) {
      refuse(key as Node | null, path, reader, 'A key must be plain text');
      continue;
    }
    checkProperties(key, path, reader);
    const name = String(key.value ?? '');
    const fault = keyFault(name, map);
    if (fault !== undefined) refuse(key, [...path, name], reader, fault);
    map[name] = readNode(value, [...path, name], reader);
  }
  return map;
}

function keyFault(name: string, soFar: YamlMap): string | undefined {
  if (name === '<<') return 'Merge keys are not allowed here';
  return name in soFar ? `The field ${quoteName(name)} is there twice` : undefined;
}

function checkProperties(node: Node, path: FieldPath, reader: Reader): void {
  if ('anchor' in node && node.anchor !== undefined)
    refuse(node, path, reader, 'Anchors and aliases are not allowed here');
  if (node.tag !== undefined) refuse(node, path, reader, 'YAML tags are not allowed here');
}

function typeScalar(value: unknown, type: string | undefined): YamlValue {
  const text = typeof value === 'string' ? value : '';
  if (type !== 'PLAIN') return type === undefined && text === '' ? null : text;
  return typeOfWord(text);
}

function refuse(
  node: Node | null,
  path: FieldPath,
  reader: Reader,
  message: string,
  faultClass: 'format' | 'limit' = 'format',
): null {
  const offset = node?.range?.[0];
  const position = offset === undefined ? undefined : reader.at(offset);
  reader.faults.push({ class: faultClass, message, path: formatFieldPath(path), position });
  return null;
}

function positionOf(
  document: Document,
  path: FieldPath,
  what: 'value' | 'key',
  at: (offset: number) => Position,
): Position | undefined {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0];
  for (const [index, step] of path.entries()) {
    const pair = isMapNode(node)
      ? node.items.find((item) => isScalar(item.key) && item.key.value === step)
      : undefined;
    const child: unknown = isSeq(node) && typeof step === 'number' ? node.items[step] : pair?.value;
    const keyOffset = (pair?.key as Node | undefined)?.range?.[0];
    const childOffset = (child as Node | null | undefined)?.range?.[0];
    const isLast = index === path.length - 1;
    const next = isLast && what === 'key' ? (keyOffset ?? childOffset) : (childOffset ?? keyOffset);
    if (next === undefined) break;
    offset = next;
    node = child;
  }
  return offset === undefined ? undefined : at(offset);
}

function formatFault(message: string, text: string, index: number): ManifestFault {
  return { class: 'format', message, position: positionAt(text, index) };
}
