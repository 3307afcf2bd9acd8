// The tree as YAML text in the style of the real tool: block style, its indentation, its choice of quotes.
// Whatever is written here reads back as the same tree, by go-yaml as by us.
import { encodeBase64 } from '@clef/strict';
import { shortestFloat } from '../leaf-values.ts';
import type { Comment, Entry, Leaf, Mapping, Sequence, TreeNode } from '../tree.ts';
import { resolvesToString } from './yaml-scalars.ts';

const maxSimpleKeyBytes = 128;
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const decoder = new TextDecoder();

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
  return `${' '.repeat(indent)}#${comment.text}`;
}

/** The scalar as one line, or undefined when it takes a block or a line break. */
export function writeInlineScalar(leaf: Leaf): string | undefined {
  const lines = scalarLines(leaf, 0);
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
  const isSimple = key.length === 1 && Buffer.byteLength(key[0] ?? '') <= maxSimpleKeyBytes;
  if (isSimple) return [`${pad}${key[0]}${separator}${first}`, ...rest];
  return [`${pad}? ${key[0]}`, ...key.slice(1), `${pad}${separator}${first}`, ...rest];
}

function keyLines(key: string, indent: number, step: number): string[] {
  return canBeLiteral(key) ? literalLines(key, nextIndent(indent, step)) : [quoteIfNeeded(key)];
}

// The first line goes behind the key or dash, the others are whole lines.
function valueLines(node: TreeNode, indent: number, step: number): string[] {
  if (node.kind === 'leaf') return scalarLines(node, nextIndent(indent, step));
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

// A container behind a dash is moved by the two columns of "- "; its first line shares the line of the dash.
function elementLines(node: TreeNode, indent: number, step: number): string[] {
  const dash = `${' '.repeat(indent)}-`;
  const inner = indent + 2;
  const body = containerLines(node, inner, step);
  if (body === undefined) {
    const [first = '', ...rest] = valueLines(node, indent, step);
    return [`${dash} ${first}`, ...rest];
  }
  const [first = '', ...rest] = body;
  return first.trimStart().startsWith('#') ? [dash, ...body] : [`${dash} ${first.slice(inner)}`, ...rest];
}

function containerLines(node: TreeNode, indent: number, step: number): string[] | undefined {
  if (node.kind === 'mapping' && node.items.some((item) => item.kind === 'entry')) {
    return mappingLines(node, indent, step);
  }
  if (node.kind === 'sequence' && node.items.some((item) => item.kind !== 'comment')) {
    return sequenceLines(node, indent, step);
  }
  return undefined;
}

// Every level is a multiple of the step, also below a dash.
function nextIndent(indent: number, step: number): number {
  return step * Math.floor((indent + step) / step);
}

function scalarLines(leaf: Leaf, blockIndent: number): string[] {
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
    case 'str':
    case 'bytes':
      return stringLines(leaf.bytes, blockIndent);
  }
}

function stringLines(bytes: Uint8Array, blockIndent: number): string[] {
  const text = decodeOrUndefined(bytes);
  if (text === undefined) return [`!!binary ${encodeBase64(bytes)}`];
  return canBeLiteral(text) ? literalLines(text, blockIndent) : [quoteIfNeeded(text)];
}

function decodeOrUndefined(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

// Blocks that begin with a blank need an indentation sign, which the real tool gets wrong; quotes are safe.
function canBeLiteral(text: string): boolean {
  return text.includes('\n') && !/^[ \t\n]|[ \t]$|[ \t]\n/.test(text) && !mustBeEscaped(text);
}

function literalLines(text: string, indent: number): string[] {
  const chomping = !text.endsWith('\n') ? '-' : text.endsWith('\n\n') ? '+' : '';
  const lines = text.replace(/\n$/, '').split('\n');
  return [`|${chomping}`, ...lines.map((line) => (line === '' ? '' : ' '.repeat(indent) + line))];
}

function quoteIfNeeded(text: string): string {
  if (text === '' || !resolvesToString(text) || isLegacyWord(text) || text === '<<')
    return doubleQuoted(text);
  if (/[\t\n]/.test(text) || mustBeEscaped(text)) return doubleQuoted(text);
  return canBePlain(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

// Words and base-60 numbers that YAML 1.1 readers take for something else.
function isLegacyWord(text: string): boolean {
  return (
    /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/.test(text) ||
    /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/.test(text)
  );
}

function canBePlain(text: string): boolean {
  if (/^ | $|^(?:---|\.\.\.)/.test(text)) return false;
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text) || /^[-?:](?: |$)/.test(text)) return false;
  return !/:(?: |$)| #/.test(text);
}

// What go-yaml does not print raw, and the line breaks of YAML 1.1 and of JavaScript, which it prints ambiguously.
function mustBeEscaped(text: string): boolean {
  return /[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]|[\u2028\u2029]/u.test(text);
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

function doubleQuoted(text: string): string {
  const escaped = Array.from(text, (character) => {
    const short = shortEscapes[character];
    if (short !== undefined) return short;
    return mustBeEscaped(character) ? escapeCodePoint(character.codePointAt(0) ?? 0) : character;
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
