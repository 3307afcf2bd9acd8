// YAML as clef itself writes it, read line by line: clef.yaml and the small files beside it are read at every start, and a
// whole YAML parser takes longer than the rest of a command. It reads what it fully understands and nothing else: for any
// other text the answer is "undefined", and the parser decides.
import type { YamlMap, YamlValue } from './strict-yaml.ts';

/** Of lines, and of brackets in one line. */
const mostLevels = 6;
/** A key, and what follows it on its line. */
const entryHead = /([A-Za-z_][A-Za-z0-9_.-]{0,127}):(?: +(.*))?$/y;
/** Signs that mean nothing inside a plain text; those that may, not even at its beginning. Blanks are looked at apart. */
const plainText = /^[A-Za-z0-9_/][A-Za-z0-9_+/=,.:@{}()*;'"!?&%$ -]*$/;
const quotedText = /^(?:"([^"\\]*)"|'([^']*)')$/;
/** What may stand in brackets and braces: there, a colon is part of a word before another sign of a word only. */
const flowWord = /"[^"\\]*"|'[^']*'|[A-Za-z0-9_./](?:[A-Za-z0-9_./+=-]|:(?=[A-Za-z0-9_./+=-]))*/y;
const flowKey = /([A-Za-z_][A-Za-z0-9_.-]{0,127}): +/y;
const flowSpace = / */y;
/** Also what only looks like one, inside quotes: without its end it is not plain, and left to the parser. */
const comment = /(?:^| )#.*$/s;

/** Thrown where the text is not of the plain form; never leaves this file. */
const notPlain = Symbol('not plain');

/**
 * The map that a text holds, exactly as the parser reads it; undefined where the text is not plain: anything but printable
 * ASCII outside comments, anchors, tags, escapes, blocks of text, values over several lines, nothing as a value, keys twice.
 */
export function readPlainYaml(text: string): YamlMap | undefined {
  // The parser takes a carriage return for a part of a line's end.
  if (text.includes('\r')) return undefined;
  try {
    const lines = linesOf(text);
    const reader: Reader = { lines, at: 0 };
    const map = readMap(reader, 0, 1);
    return reader.at === lines.length ? map : giveUp();
  } catch (reason) {
    if (reason !== notPlain) throw reason;
    return undefined;
  }
}

/** What a word without quotes is. */
export function typeOfWord(text: string): YamlValue {
  if (text === '' || text === 'null' || text === '~') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^(0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : text;
}

type Line = { readonly indent: number; readonly text: string };
type Reader = { readonly lines: Line[]; at: number };

/** The lines that say something, without their comments. */
function linesOf(whole: string): Line[] {
  const lines: Line[] = [];
  for (const line of whole.split('\n')) {
    const content = line.replace(comment, '');
    if (!/^[\x20-\x7e]*$/.test(content)) giveUp();
    const text = content.trim();
    if (text !== '') lines.push({ indent: content.length - content.trimStart().length, text });
  }
  return lines;
}

function readMap(reader: Reader, column: number, depth: number): YamlMap {
  if (depth > mostLevels || indentOf(reader) !== column) giveUp();
  const map: Record<string, YamlValue> = Object.create(null);
  while (indentOf(reader) === column && !isElement(reader)) {
    const [, key = '', rest = ''] = headOf(reader) ?? giveUp();
    if (key in map) giveUp();
    reader.at += 1;
    map[key] = rest === '' ? readContainer(reader, column, depth + 1) : readValue(reader, rest, column);
  }
  return map;
}

/** Below a key: a map further in, or a list further in or in its own column. */
function readContainer(reader: Reader, column: number, depth: number): YamlValue {
  const indent = indentOf(reader);
  if (isElement(reader) && indent >= column) return readList(reader, indent, depth);
  return indent > column ? readMap(reader, indent, depth) : giveUp();
}

function readList(reader: Reader, column: number, depth: number): readonly YamlValue[] {
  if (depth > mostLevels) giveUp();
  const items: YamlValue[] = [];
  while (indentOf(reader) === column && isElement(reader)) {
    const text = (reader.lines[reader.at] as Line).text.slice(2);
    // The rest of the line, as if it stood in a line of its own.
    reader.lines[reader.at] = { indent: column + 2, text };
    if (headOf(reader) !== null) {
      items.push(readMap(reader, column + 2, depth + 1));
    } else {
      reader.at += 1;
      items.push(readValue(reader, text, column));
    }
  }
  return items;
}

/** What stands in one line; a line further in would continue it. */
function readValue(reader: Reader, text: string, column: number): YamlValue {
  if (indentOf(reader) > column) giveUp();
  if (!/^[[{]/.test(text)) return wordOf(text);
  const flow = { text, at: 0 };
  const value = readFlow(flow, 1);
  return flow.at === text.length ? value : giveUp();
}

type Flow = { readonly text: string; at: number };

function readFlow(flow: Flow, depth: number): YamlValue {
  if (depth > mostLevels) giveUp();
  const open = flow.text[flow.at];
  if (open === '[') {
    const items: YamlValue[] = [];
    readItems(flow, ']', () => items.push(readFlow(flow, depth + 1)));
    return items;
  }
  if (open !== '{') return wordOf(take(flow, flowWord)[0]);
  const map: Record<string, YamlValue> = Object.create(null);
  readItems(flow, '}', () => {
    const [, key = ''] = take(flow, flowKey);
    if (key in map) giveUp();
    map[key] = readFlow(flow, depth + 1);
  });
  return map;
}

/** Up to the bracket that closes. */
function readItems(flow: Flow, close: string, readItem: () => void): void {
  flow.at += 1;
  take(flow, flowSpace);
  while (flow.text[flow.at] !== close) {
    readItem();
    take(flow, flowSpace);
    if (flow.text[flow.at] !== ',') break;
    flow.at += 1;
    take(flow, flowSpace);
  }
  if (flow.text[flow.at] !== close) giveUp();
  flow.at += 1;
}

function take(flow: Flow, pattern: RegExp): RegExpExecArray {
  pattern.lastIndex = flow.at;
  const match = pattern.exec(flow.text) ?? giveUp();
  flow.at = pattern.lastIndex;
  return match;
}

function wordOf(text: string): YamlValue {
  const quoted = quotedText.exec(text);
  if (quoted !== null) return quoted[1] ?? quoted[2] ?? giveUp();
  if (!plainText.test(text) || text.includes(': ') || text.endsWith(':')) giveUp();
  return typeOfWord(text);
}

function headOf({ lines, at }: Reader): RegExpExecArray | null {
  entryHead.lastIndex = 0;
  return entryHead.exec(lines[at]?.text ?? '');
}

function isElement({ lines, at }: Reader): boolean {
  return lines[at]?.text.startsWith('- ') === true;
}

/** At the end of the text less than everything: -1. */
function indentOf({ lines, at }: Reader): number {
  return lines[at]?.indent ?? -1;
}

function giveUp(): never {
  throw notPlain;
}
