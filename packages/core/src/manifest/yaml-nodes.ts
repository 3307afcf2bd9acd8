// Where things of a parsed YAML text lie in its characters: what the splices cut and insert by.

import { isMap as isMapNode, isScalar, isSeq, type Node, type Pair, type YAMLMap, type YAMLSeq } from 'yaml';
import type { FieldPath } from './faults.ts';

/** What a path leads to. `pair` is the map entry whose value it is, where it is one. */
export type Place = {
  readonly node: unknown;
  readonly pair: Pair | undefined;
  /** The list or map that holds it. */
  readonly parent: unknown;
  /** It stands somewhere within brackets or braces, where no line may begin an entry. */
  readonly isInFlow: boolean;
};

/** The place of `path` in a document; its `node` and `pair` are undefined where there is none. */
export function findPlace(contents: unknown, path: FieldPath): Place {
  let place: Place = { node: contents, pair: undefined, parent: undefined, isInFlow: false };
  for (const step of path) {
    const parent = place.node;
    const pair = isMapNode(parent)
      ? parent.items.find((item) => isScalar(item.key) && item.key.value === step)
      : undefined;
    const node = isSeq(parent) && typeof step === 'number' ? parent.items[step] : pair?.value;
    place = { node, pair, parent, isInFlow: place.isInFlow || isFlow(parent) };
  }
  return place;
}

/** Whether a list or map is written with brackets or braces. */
export function isFlow(node: unknown): boolean {
  return (isSeq(node) || isMapNode(node)) && node.flow === true;
}

/** Where the last character of a node's own content ends: trailing comments and blanks are not part of it. */
export function lastOffset(node: Node): number {
  if (isSeq(node) && node.flow !== true) return lastOffset(node.items.at(-1) as Node);
  if (isMapNode(node) && node.flow !== true) {
    const pair = node.items.at(-1);
    return lastOffset((pair?.value ?? pair?.key) as Node);
  }
  return node.range?.[1] ?? 0;
}

/** From the first character of a map entry to its last. */
export function pairSpan(pair: Pair): Span {
  return { start: startOf(pair.key as Node), end: lastOffset((pair.value ?? pair.key) as Node) };
}

export type Span = { readonly start: number; readonly end: number };

export function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

type Token = { readonly type: string; readonly offset: number };
type SourceItem = { readonly start?: readonly Token[]; readonly sep?: readonly Token[] };

/** Where the dash of each entry of a block list stands. */
export function dashOffsets(list: YAMLSeq): readonly number[] {
  const { items = [] } = (list.srcToken ?? {}) as { readonly items?: readonly SourceItem[] };
  return items.flatMap(({ start = [] }) => {
    const dash = start.find((token) => token.type === 'seq-item-ind');
    return dash === undefined ? [] : [dash.offset];
  });
}

/** Just behind the colon of a map entry. */
export function afterColon(pair: Pair): number | undefined {
  const { sep = [] } = ((pair as { readonly srcToken?: SourceItem }).srcToken ?? {}) as SourceItem;
  const colon = sep.find((token) => token.type === 'map-value-ind');
  return colon === undefined ? undefined : colon.offset + 1;
}

/** The blanks before the first key of a block map. */
export function indentOfMap(text: string, map: YAMLMap): number {
  const [first] = map.items;
  return first === undefined ? 0 : columnOf(text, startOf(first.key as Node));
}

/** How many characters stand before `offset` on its line. */
export function columnOf(text: string, offset: number): number {
  return offset - startOfLine(text, offset);
}

export function startOfLine(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
}

/** The offset just before the line break (of either kind) that ends the line of `from`. */
export function endOfLine(text: string, from: number): number {
  if (from > 0 && text[from - 1] === '\n') return endOfLine(text, from - (text[from - 2] === '\r' ? 2 : 1));
  const end = text.indexOf('\n', from);
  if (end === -1) return text.length;
  return text[end - 1] === '\r' ? end - 1 : end;
}
