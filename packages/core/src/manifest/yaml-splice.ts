// Adds one entry to a list of a YAML text by splicing characters in: every other byte, comment and blank stays.

import { isMap as isMapNode, isScalar, isSeq, type Node, type Pair, type YAMLSeq } from 'yaml';
import type { FieldPath } from './faults.ts';
import { isMap, type StrictYaml, type YamlValue } from './strict-yaml.ts';

/**
 * The text of `yaml` with `entry` as the last one of the list at `path`, in the style of the list. A missing top-level
 * list is added at the end of the text. The caller must parse the result: a layout that this does not foresee gives
 * a text that reads otherwise, never a silent loss.
 */
export function spliceEntry(yaml: StrictYaml, path: FieldPath, entry: YamlValue): string {
  const newline = yaml.text.includes('\r\n') ? '\r\n' : '\n';
  const splice: Splice = { text: yaml.text, newline };
  const pair = findPair(yaml.document.contents, path);
  if (pair === undefined) return addSection(splice, path, entry);
  const list = pair.value;
  if (isSeq(list) && list.items.length > 0) {
    return list.flow === true ? addToFlowList(splice, list, entry) : addToBlockList(splice, list, entry);
  }
  return fillEmptyList(splice, pair, list as Node, entry);
}

type Splice = { readonly text: string; readonly newline: string };

function addSection({ text, newline }: Splice, path: FieldPath, entry: YamlValue): string {
  const body = text === '' || text.endsWith('\n') ? text : `${text}${newline}`;
  return [body, `${path.join('.')}:`, ...blockEntry(entry, '  '), ''].join(newline);
}

function addToBlockList(splice: Splice, list: YAMLSeq, entry: YamlValue): string {
  const token = list.srcToken as { readonly indent?: number } | undefined;
  const indent = ' '.repeat(token?.indent ?? 2);
  return insertLines(splice, endOfLine(splice.text, lastOffset(list)), blockEntry(entry, indent));
}

function addToFlowList({ text }: Splice, list: YAMLSeq, entry: YamlValue): string {
  const end = lastOffset(list.items.at(-1) as Node);
  return `${text.slice(0, end)}, ${flowForm(entry)}${text.slice(end)}`;
}

/** `key: []` becomes a block list; a comment on the line stays. */
function fillEmptyList(splice: Splice, pair: Pair, list: Node, entry: YamlValue): string {
  const key = pair.key as Node;
  const lineStart = splice.text.lastIndexOf('\n', (key.range?.[0] ?? 0) - 1) + 1;
  const indent = ' '.repeat((key.range?.[0] ?? 0) - lineStart + 2);
  const [start, end] = list.range ?? [0, 0];
  const rest = splice.text.slice(end, endOfLine(splice.text, end)).trimEnd();
  const kept = {
    ...splice,
    text: `${splice.text.slice(0, start).trimEnd()}${rest}${splice.text.slice(endOfLine(splice.text, end))}`,
  };
  return insertLines(kept, endOfLine(kept.text, key.range?.[1] ?? 0), blockEntry(entry, indent));
}

function insertLines({ text, newline }: Splice, at: number, lines: readonly string[]): string {
  return `${text.slice(0, at)}${lines.map((line) => `${newline}${line}`).join('')}${text.slice(at)}`;
}

/** The offset just before the line break (of either kind) that ends the line of `from`. */
function endOfLine(text: string, from: number): number {
  if (from > 0 && text[from - 1] === '\n') return endOfLine(text, from - (text[from - 2] === '\r' ? 2 : 1));
  const end = text.indexOf('\n', from);
  if (end === -1) return text.length;
  return text[end - 1] === '\r' ? end - 1 : end;
}

/** Where the last character of a node's own content ends: trailing comments and blanks are not part of it. */
function lastOffset(node: Node): number {
  if (isSeq(node) && node.flow !== true) return lastOffset(node.items.at(-1) as Node);
  if (isMapNode(node) && node.flow !== true) {
    const pair = node.items.at(-1);
    return lastOffset((pair?.value ?? pair?.key) as Node);
  }
  return node.range?.[1] ?? 0;
}

function findPair(contents: unknown, path: FieldPath): Pair | undefined {
  let node: unknown = contents;
  let pair: Pair | undefined;
  for (const step of path) {
    pair = isMapNode(node)
      ? node.items.find((item) => isScalar(item.key) && item.key.value === step)
      : undefined;
    node = isSeq(node) && typeof step === 'number' ? node.items[step] : pair?.value;
  }
  return pair;
}

function blockEntry(entry: YamlValue, indent: string): string[] {
  return blockLines(entry).map((line, index) => `${indent}${index === 0 ? '- ' : '  '}${line}`);
}

function blockLines(value: YamlValue): string[] {
  if (!isMap(value)) return [flowForm(value)];
  return Object.entries(value).flatMap(([key, field]) => {
    if (!isMap(field)) return [`${scalarForm(key)}: ${flowForm(field)}`];
    return [`${scalarForm(key)}:`, ...blockLines(field).map((line) => `  ${line}`)];
  });
}

function flowForm(value: YamlValue): string {
  if (Array.isArray(value)) return `[${value.map(flowForm).join(', ')}]`;
  if (!isMap(value)) return scalarForm(value as null | boolean | number | string);
  return `{ ${Object.entries(value)
    .map(([key, field]) => `${scalarForm(key)}: ${flowForm(field)}`)
    .join(', ')} }`;
}

const plainText = /^[A-Za-z](?:[A-Za-z0-9_./@+=-]|:(?=[A-Za-z0-9/])| (?=[A-Za-z0-9(]))*$/;
const looksTyped = /^(true|false|null|yes|no|on|off|y|n)$/i;

function scalarForm(value: null | boolean | number | string): string {
  if (typeof value !== 'string') return String(value);
  if (plainText.test(value) && !looksTyped.test(value)) return value;
  return JSON.stringify(value).replaceAll(
    /[\x7f-\x9f\u2028\u2029\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
