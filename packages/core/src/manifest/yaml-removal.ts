// Takes one entry of a list or a map out of a YAML text. What goes with it are its own comments: on its lines, within it,
// and directly above it at the same indentation; everything else stays.

import { isMap as isMapNode, isSeq, type Node, type Pair } from 'yaml';
import type { FieldPath } from './faults.ts';
import type { StrictYaml } from './strict-yaml.ts';
import {
  afterColon,
  columnOf,
  dashOffsets,
  endOfLine,
  findPlace,
  isFlow,
  lastOffset,
  pairSpan,
  type Span,
  startOf,
  startOfLine,
} from './yaml-nodes.ts';

/** The text without the entry at `path`; undefined where the layout gives it no place of its own. */
export function spliceRemoval({ text, document }: StrictYaml, path: FieldPath): string | undefined {
  const container = findPlace(document.contents, path.slice(0, -1));
  const spans = spansOf(container.node);
  const index = indexOf(container.node, path.at(-1));
  const span = index === undefined ? undefined : spans[index];
  if (index === undefined || span === undefined) return undefined;
  if (isFlow(container.node)) return cut(text, flowRegion(text, spans, index));
  const region = blockRegion(text, span, { isFirst: index === 0, isLast: index === spans.length - 1 });
  if (region === undefined || spans.length > 1) return cut(text, region);
  // Without the last one nothing says any more that this is a list or a map.
  const colon = container.pair === undefined ? undefined : afterColon(container.pair);
  const rest = cut(text, region);
  if (colon === undefined || rest === undefined) return undefined;
  return `${rest.slice(0, colon)} ${isSeq(container.node) ? '[]' : '{}'}${rest.slice(colon)}`;
}

function spansOf(container: unknown): readonly Span[] {
  if (isMapNode(container)) return container.items.map(pairSpan);
  if (!isSeq(container)) return [];
  const items = container.items as readonly Node[];
  if (isFlow(container)) return items.map((item) => ({ start: startOf(item), end: lastOffset(item) }));
  return dashOffsets(container).map((start, index) => ({
    start,
    end: Math.max(start + 1, lastOffset(items[index] as Node)),
  }));
}

function indexOf(container: unknown, step: string | number | undefined): number | undefined {
  if (isSeq(container)) return typeof step === 'number' ? step : undefined;
  if (!isMapNode(container)) return undefined;
  const index = container.items.findIndex(({ key }: Pair) => (key as { value?: unknown }).value === step);
  return index === -1 ? undefined : index;
}

function cut(text: string, region: Span | undefined): string | undefined {
  return region === undefined ? undefined : `${text.slice(0, region.start)}${text.slice(region.end)}`;
}

/** Whole lines: undefined where something else begins on the first of them. */
function blockRegion(
  text: string,
  span: Span,
  { isFirst, isLast }: { readonly isFirst: boolean; readonly isLast: boolean },
): Span | undefined {
  const indent = columnOf(text, span.start);
  const first = startOfLine(text, span.start);
  if (text.slice(first, span.start).trim() !== '') return undefined;
  const start = extendUp(text, first, indent);
  const end = extendDown(text, nextLine(text, endOfLine(text, span.end)), indent);
  // One blank line between what is left, as there was between what was there.
  const above = lineBefore(text, start);
  if (above !== undefined && isBlank(text, above) && (isLast || isBlank(text, end)))
    return { start: above, end };
  return { start, end: isFirst && !isLast && isBlank(text, end) ? nextLine(text, end) : end };
}

/** Comments directly above, as far to the right as the entry itself: deeper ones belong to the entry before. */
function extendUp(text: string, start: number, indent: number): number {
  const above = lineBefore(text, start);
  return above !== undefined && commentIndent(text, above) === indent ? extendUp(text, above, indent) : start;
}

function extendDown(text: string, end: number, indent: number): number {
  const own = commentIndent(text, end);
  return own !== undefined && own > indent
    ? extendDown(text, nextLine(text, endOfLine(text, end + own)), indent)
    : end;
}

function lineBefore(text: string, lineStart: number): number | undefined {
  return lineStart === 0 ? undefined : startOfLine(text, lineStart - 1);
}

function nextLine(text: string, lineEnd: number): number {
  const breakAt = text.indexOf('\n', lineEnd);
  return breakAt === -1 ? text.length : breakAt + 1;
}

function commentIndent(text: string, lineStart: number): number | undefined {
  return /^ *(?=#)/.exec(text.slice(lineStart, endOfNonEmptyLine(text, lineStart)))?.[0].length;
}

function isBlank(text: string, lineStart: number): boolean {
  return text.slice(lineStart, endOfNonEmptyLine(text, lineStart)).trim() === '';
}

/** As the end of the line, for a line that may be empty. */
function endOfNonEmptyLine(text: string, lineStart: number): number {
  const end = text.indexOf('\n', lineStart);
  return end === -1 ? text.length : end;
}

/** Within brackets or braces: the lines of an entry that has them for itself, else the entry and one comma. */
function flowRegion(text: string, spans: readonly Span[], index: number): Span | undefined {
  const { start, end } = spans[index] as Span;
  const before = text.slice(startOfLine(text, start), start);
  const after = text.slice(end, endOfLine(text, end));
  if (before.trim() === '' && /^ *,? *(#.*)?$/.test(after)) {
    return { start: startOfLine(text, start), end: nextLine(text, endOfLine(text, end)) };
  }
  const next = spans[index + 1];
  if (next !== undefined && isComma(text.slice(end, next.start))) return { start, end: next.start };
  const previous = spans[index - 1];
  if (previous !== undefined && isComma(text.slice(previous.end, start))) return { start: previous.end, end };
  if (spans.length > 1) return undefined;
  const [lead = ''] = /\s*$/.exec(text.slice(0, start)) ?? [];
  const [tail = ''] = /^\s*,?\s*/.exec(text.slice(end)) ?? [];
  return { start: start - lead.length, end: end + tail.length };
}

function isComma(gap: string): boolean {
  return /^\s*,\s*$/.test(gap);
}
