// One change of a YAML text by cutting and inserting characters: every other byte, comment and blank stays. A result may
// read otherwise than meant where a layout was not foreseen, so the caller parses and compares it.

import { isMap as isMapNode, isScalar, isSeq, type Node, type Pair, type YAMLMap, type YAMLSeq } from 'yaml';
import type { FieldPath } from './faults.ts';
import type { StrictYaml, YamlMap, YamlValue } from './strict-yaml.ts';
import { blockEntry, blockLines, flowForm, scalarForm } from './yaml-forms.ts';
import {
  afterColon,
  columnOf,
  endOfLine,
  findPlace,
  indentOfMap,
  isFlow,
  lastOffset,
  pairSpan,
  startOf,
} from './yaml-nodes.ts';
import { spliceRemoval } from './yaml-removal.ts';

/**
 * A change of one place.
 * `append`: one entry more at the end of the list at `path`. `put`: a new entry of a map, `path` ends in its key.
 * `replace`: another text for the one at `path`. `rename`: another key for the map entry at `path`.
 * `remove`: the list entry or map entry at `path`, with the comments directly above it and within it.
 * A list or map that is missing at the top level is made.
 */
export type YamlEdit =
  | { readonly op: 'append'; readonly path: FieldPath; readonly value: YamlValue }
  | { readonly op: 'put'; readonly path: FieldPath; readonly value: YamlValue }
  | { readonly op: 'replace'; readonly path: FieldPath; readonly value: string }
  | { readonly op: 'rename'; readonly path: FieldPath; readonly to: string }
  | { readonly op: 'remove'; readonly path: FieldPath };

/** The text of `yaml` after one edit; undefined where the edit has no place in the layout. */
export function spliceEdit(yaml: StrictYaml, edit: YamlEdit): string | undefined {
  switch (edit.op) {
    case 'append':
      return spliceEntry(yaml, edit.path, edit.value);
    case 'put':
      return splicePair(yaml, edit.path, edit.value);
    case 'replace':
      return spliceScalar(yaml.text, findPlace(yaml.document.contents, edit.path).node, edit.value);
    case 'rename':
      return spliceScalar(yaml.text, findPlace(yaml.document.contents, edit.path).pair?.key, edit.to);
    case 'remove':
      return spliceRemoval(yaml, edit.path);
  }
}

type Splice = { readonly text: string; readonly newline: string };

function spliceOf({ text }: StrictYaml): Splice {
  return { text, newline: text.includes('\r\n') ? '\r\n' : '\n' };
}

function spliceEntry(yaml: StrictYaml, path: FieldPath, entry: YamlValue): string | undefined {
  const splice = spliceOf(yaml);
  const { node, pair, isInFlow } = findPlace(yaml.document.contents, path);
  if (pair === undefined) return addSection(splice, path, blockEntry(entry, '  '));
  if (isSeq(node) && node.items.length > 0) {
    return isFlow(node)
      ? insertBehind(splice.text, lastOffset(node.items.at(-1) as Node), flowForm(entry))
      : addToBlockList(splice, node, entry);
  }
  const isShort = typeof entry === 'string' && isFlow(node);
  if (isInFlow || isShort) return replaceNode(splice.text, node as Node, flowForm([entry]));
  return fillEmpty(splice, pair, (indent) => blockEntry(entry, indent));
}

function splicePair(yaml: StrictYaml, path: FieldPath, value: YamlValue): string | undefined {
  const splice = spliceOf(yaml);
  const key = String(path.at(-1));
  const entry: YamlMap = { [key]: value };
  const { node, pair, isInFlow } = findPlace(yaml.document.contents, path.slice(0, -1));
  // First what is there: a map that is an entry of a list belongs to no pair.
  if (isMapNode(node) && node.items.length > 0) return addToMap(splice, node, entry);
  if (pair === undefined) {
    return addSection(
      splice,
      path.slice(0, -1),
      blockLines(entry).map((line) => `  ${line}`),
    );
  }
  if (isInFlow) return replaceNode(splice.text, node as Node, flowForm(entry));
  return fillEmpty(splice, pair, (indent) => blockLines(entry).map((line) => `${indent}${line}`));
}

/** Keeps the quotes that are there. */
function spliceScalar(text: string, node: unknown, to: string): string | undefined {
  if (!isScalar(node) || !node.range) return undefined;
  const plain = scalarForm(to);
  const quote = text[node.range[0]] ?? '';
  const isQuoted = (quote === '"' || quote === "'") && plain === to;
  return replaceNode(text, node, isQuoted ? `${quote}${to}${quote}` : plain);
}

function replaceNode(text: string, node: Node, form: string): string {
  const [start, end] = node.range ?? [0, 0];
  return `${text.slice(0, start)}${form}${text.slice(end)}`;
}

function addSection(
  { text, newline }: Splice,
  path: FieldPath,
  lines: readonly string[],
): string | undefined {
  if (path.length !== 1) return undefined;
  const body = text === '' || text.endsWith('\n') ? text : `${text}${newline}`;
  return [body, `${path[0]}:`, ...lines, ''].join(newline);
}

function addToBlockList(splice: Splice, list: YAMLSeq, entry: YamlValue): string {
  const token = list.srcToken as { readonly indent?: number } | undefined;
  const indent = ' '.repeat(token?.indent ?? 2);
  return insertLines(splice, endOfLine(splice.text, lastOffset(list)), blockEntry(entry, indent));
}

function addToMap(splice: Splice, map: YAMLMap, entry: YamlMap): string {
  const { text } = splice;
  if (isFlow(map)) {
    const [form = ''] = Object.entries(entry).map(([key, value]) => `${scalarForm(key)}: ${flowForm(value)}`);
    return insertBehind(text, pairSpan(map.items.at(-1) as Pair).end, form);
  }
  const indent = ' '.repeat(indentOfMap(text, map));
  return insertLines(
    splice,
    endOfLine(text, lastOffset(map)),
    blockLines(entry).map((line) => `${indent}${line}`),
  );
}

function insertBehind(text: string, end: number, form: string): string {
  return `${text.slice(0, end)}, ${form}${text.slice(end)}`;
}

/** `key: []` or `key:` becomes a list or map in block style; a comment on the line stays. */
function fillEmpty(
  splice: Splice,
  pair: Pair,
  linesAt: (indent: string) => readonly string[],
): string | undefined {
  const { text } = splice;
  const colon = afterColon(pair);
  if (colon === undefined) return undefined;
  const end = Math.max((pair.value as Node | null)?.range?.[1] ?? 0, colon);
  const rest = text.slice(end, endOfLine(text, end)).trimEnd();
  const kept = { ...splice, text: `${text.slice(0, colon)}${rest}${text.slice(endOfLine(text, end))}` };
  const indent = ' '.repeat(columnOf(text, startOf(pair.key as Node)) + 2);
  return insertLines(kept, endOfLine(kept.text, colon), linesAt(indent));
}

function insertLines({ text, newline }: Splice, at: number, lines: readonly string[]): string {
  return `${text.slice(0, at)}${lines.map((line) => `${newline}${line}`).join('')}${text.slice(at)}`;
}
