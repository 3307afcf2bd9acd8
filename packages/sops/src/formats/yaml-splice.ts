// Changes as replacements in the text, so that lines which did not change stay byte for byte.
// Undefined means "too entangled": the caller then writes the document anew.
import { type Comment, type Entry, isSameNode, type Leaf, type Mapping, type TreeNode } from '../tree.ts';
import { writeComment, writeEntry, writeInlineScalar } from './yaml-write.ts';

export type Splice = { readonly start: number; readonly end: number; readonly text: string };
type Item = Entry | Comment;

/** The replacements that turn the text of `before` into one of `after`. */
export function planSplices(
  text: string,
  before: Mapping,
  after: Mapping,
  step: number,
): Splice[] | undefined {
  const indent = (before.at?.column ?? 1) - 1;
  if (before.flow === true || before.items.length === 0 || after.items.length === 0) return undefined;
  const splices: Splice[] = [];
  const kept = { index: 0, end: -1 };
  for (const item of after.items) {
    const match = matchFrom(before.items, item, kept.index);
    if (match === undefined) {
      const at = insertionPoint(text, before.items, kept);
      if (at === undefined) return undefined;
      splices.push({ start: at, end: at, text: writeItem(item, indent, step) });
      continue;
    }
    const removed = removeAll(text, before.items.slice(kept.index, match));
    const changed = changeItem(text, before.items[match] as Item, item, step);
    if (removed === undefined || changed === undefined) return undefined;
    splices.push(...removed, ...changed);
    kept.index = match + 1;
    kept.end = itemEnd(text, before.items[match] as Item);
  }
  const removed = removeAll(text, before.items.slice(kept.index));
  return removed === undefined ? undefined : [...splices, ...removed];
}

/** The text with all replacements made; they must not overlap. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  const ordered = splices.map((splice, index) => ({ splice, index }));
  ordered.sort((a, b) => a.splice.start - b.splice.start || a.index - b.index);
  let [result, done] = ['', 0];
  for (const { splice } of ordered) {
    result += text.slice(done, Math.max(done, splice.start)) + splice.text;
    done = Math.max(done, splice.end);
  }
  return result + text.slice(done);
}

function matchFrom(items: readonly Item[], wanted: Item, from: number): number | undefined {
  const isMatch = (item: Item) =>
    item.kind === 'entry' && wanted.kind === 'entry' ? item.key === wanted.key : isSameNode(item, wanted);
  for (let index = from; index < items.length; index += 1) if (isMatch(items[index] as Item)) return index;
  return undefined;
}

// Behind what was kept last; at the very beginning, in front of the first item.
function insertionPoint(
  text: string,
  items: readonly Item[],
  kept: { index: number; end: number },
): number | undefined {
  if (kept.end !== -1) return text[kept.end - 1] === '\n' ? kept.end : undefined;
  const first = items[0]?.at;
  return first === undefined ? undefined : wholeLineStart(text, first.start);
}

function writeItem(item: Item, indent: number, step: number): string {
  return item.kind === 'comment' ? `${writeComment(item, indent)}\n` : writeEntry(item, indent, step);
}

function removeAll(text: string, items: readonly Item[]): Splice[] | undefined {
  const splices: Splice[] = [];
  for (const item of items) {
    const start = item.at === undefined ? undefined : wholeLineStart(text, item.at.start);
    if (start === undefined) return undefined;
    splices.push({ start, end: itemEnd(text, item), text: '' });
  }
  return splices;
}

function changeItem(text: string, before: Item, after: Item, step: number): Splice[] | undefined {
  if (before.kind === 'comment' || after.kind === 'comment' || isSameNode(before, after)) return [];
  if (before.value.kind === 'mapping' && after.value.kind === 'mapping') {
    const inner = planSplices(text, before.value, after.value, step);
    if (inner !== undefined) return inner;
  }
  return replaceScalar(text, before, after) ?? replaceEntry(text, before, after, step);
}

// Only the scalar itself, when nothing but a colon stands between it and its key.
function replaceScalar(text: string, before: Entry, after: Entry): Splice[] | undefined {
  const { value, at } = before;
  if (value.kind !== 'leaf' || after.value.kind !== 'leaf' || value.at === undefined || at === undefined) {
    return undefined;
  }
  const isInline = isOneLine(value) && /^: +$/.test(text.slice(at.end, value.at.start));
  const scalar = isInline ? writeInlineScalar(after.value) : undefined;
  return scalar === undefined ? undefined : [{ start: value.at.start, end: value.at.end, text: scalar }];
}

function isOneLine(leaf: Leaf): boolean {
  return leaf.style !== 'literal' && leaf.style !== 'folded';
}

function replaceEntry(text: string, before: Entry, after: Entry, step: number): Splice[] | undefined {
  const start = before.at === undefined ? undefined : wholeLineStart(text, before.at.start);
  if (start === undefined || before.at === undefined) return undefined;
  const written = writeEntry(after, before.at.column - 1, step);
  return [{ start, end: itemEnd(text, before), text: written }];
}

// Undefined when something else shares the line, such as the dash of a list.
function wholeLineStart(text: string, offset: number): number | undefined {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  return /^ *$/.test(text.slice(start, offset)) ? start : undefined;
}

/** Behind the newline of the last line that the item takes. */
function itemEnd(text: string, item: Item): number {
  const end = lastOffset(item);
  if (end > 0 && text[end - 1] === '\n') return end;
  const newline = text.indexOf('\n', end);
  return newline === -1 ? text.length : newline + 1;
}

function lastOffset(item: Item | TreeNode): number {
  const own = item.at?.end ?? 0;
  if (item.kind === 'comment' || item.kind === 'leaf') return own;
  if (item.kind === 'entry') return Math.max(own, lastOffset(item.value));
  const last = item.items.at(-1);
  return item.flow === true || last === undefined ? own : lastOffset(last);
}
