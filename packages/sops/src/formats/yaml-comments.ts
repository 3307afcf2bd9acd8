// Which container a YAML comment belongs to (spec sops-format, section 5), decided by its line and column.
import type { Comment, Entry, SourceSpan, TreeNode } from '../tree.ts';
import type { OpenMapping, OpenSequence } from './yaml-read.ts';

type Container = OpenMapping | OpenSequence;
type FoundComment = { readonly text: string; readonly at: SourceSpan };

/** An entry or element and where it begins, in file order. */
type Slot = {
  readonly start: number;
  readonly container: Container;
  readonly item: Entry | TreeNode;
  readonly ancestors: readonly Container[];
};

/** Inserts each comment into the container it belongs to, before the item that follows it. */
export function placeComments(
  text: string,
  roots: readonly (OpenMapping | undefined)[],
  starts: readonly number[],
  comments: readonly FoundComment[],
): void {
  if (comments.length === 0) return;
  const slotsOfRoots = roots.map((root) => (root === undefined ? [] : slotsOf(root)));
  const targets = comments.map(({ at }) => {
    const index = documentAt(starts, at.start);
    const root = roots[index];
    return root === undefined ? undefined : findTarget(text, at, slotsOfRoots[index] ?? [], root);
  });
  comments.forEach(({ text: line, at }, index) => {
    const target = targets[index];
    if (target !== undefined) insertComment(target, { kind: 'comment', text: line, at });
  });
}

type Target = { readonly container: Container; readonly before: number };

function insertComment({ container, before }: Target, comment: Comment): void {
  const items = container.items as (Comment | Entry | TreeNode)[];
  const found = items.findIndex((item) => item.kind !== 'comment' && (item.at?.start ?? 0) >= before);
  items.splice(found === -1 ? items.length : found, 0, comment);
}

// Comments before the first document belong to it; the parser starts a document after the comments that precede it.
function documentAt(starts: readonly number[], offset: number): number {
  let index = 0;
  starts.forEach((start, at) => {
    if (start <= offset) index = at;
  });
  return index;
}

function slotsOf(root: Container): Slot[] {
  const slots: Slot[] = [];
  const visit = (container: Container, ancestors: readonly Container[]) => {
    const inside = [...ancestors, container];
    for (const item of container.items) {
      if (item.kind === 'comment') continue;
      slots.push({ start: item.at?.start ?? 0, container, item, ancestors: inside });
      const value = item.kind === 'entry' ? item.value : item;
      if (value.kind !== 'leaf' && isOwn(value as Container, item)) visit(value as Container, inside);
    }
  };
  visit(root, []);
  return slots;
}

// What an alias stands for was written elsewhere; its items have no place here.
function isOwn(value: Container, item: Entry | TreeNode): boolean {
  const first = value.items.find((inner) => inner.kind !== 'comment');
  return first?.at === undefined || first.at.start >= (item.at?.start ?? 0);
}

function findTarget(text: string, at: SourceSpan, slots: readonly Slot[], root: Container): Target {
  const before = text.slice(at.start - at.column + 1, at.start);
  const next = firstAfter(slots, at.start);
  const previous = slots[next - 1];
  const flow = innermostFlow(previous, at.start);
  if (flow !== undefined) return { container: flow, before: at.start };
  if (/^\s*$/.test(before))
    return { container: ownLineContainer(at, previous, slots[next], root), before: at.start };
  if (/^[\s-]*$/.test(before)) return afterDash(slots, next, root, at);
  return inlineTarget(text, at, slots, next, root);
}

function firstAfter(slots: readonly Slot[], offset: number): number {
  let [low, high] = [0, slots.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((slots[middle]?.start ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function innermostFlow(previous: Slot | undefined, offset: number): Container | undefined {
  if (previous === undefined) return undefined;
  const value = previous.item.kind === 'entry' ? previous.item.value : previous.item;
  const candidates = value.kind === 'leaf' ? previous.ancestors : [...previous.ancestors, value as Container];
  return candidates.findLast(({ flow, at }) => flow === true && at.start < offset && offset < at.end);
}

function ownLineContainer(
  at: SourceSpan,
  previous: Slot | undefined,
  next: Slot | undefined,
  root: Container,
): Container {
  if (next !== undefined && columnOf(next.container) === at.column) return next.container;
  const open = (previous?.ancestors ?? []).filter(({ flow }) => flow !== true);
  const exact = open.findLast((container) => columnOf(container) === at.column);
  if (exact !== undefined) return exact;
  if (next !== undefined && !open.includes(next.container)) return next.container;
  return open.findLast((container) => columnOf(container) <= at.column) ?? root;
}

function columnOf(container: Container): number {
  return container.at.column;
}

// `- # text` belongs to the list, before the element that follows.
function afterDash(slots: readonly Slot[], next: number, root: Container, at: SourceSpan): Target {
  const slot = slots.slice(next).find(({ container }) => container.kind === 'sequence');
  return slot === undefined
    ? { container: root, before: at.start }
    : { container: slot.container, before: slot.start };
}

function inlineTarget(
  text: string,
  at: SourceSpan,
  slots: readonly Slot[],
  next: number,
  root: Container,
): Target {
  let index = next - 1;
  while (index >= 0 && slots[index]?.container.flow === true) index -= 1;
  const slot = slots[index];
  if (slot === undefined) return { container: root, before: at.start };
  const value = slot.item.kind === 'entry' ? slot.item.value : slot.item;
  if (value.kind !== 'leaf' && belongsInside(text, at, slot, value as Container)) {
    return { container: value as Container, before: 0 };
  }
  return { container: slot.container, before: slot.start };
}

// After a flow collection the comment is its first content; after `key: &anchor` it opens the block below.
function belongsInside(text: string, at: SourceSpan, slot: Slot, value: Container): boolean {
  if (value.flow === true) return true;
  const keyEnd = slot.item.kind === 'entry' ? (slot.item.at?.end ?? 0) : slot.start;
  return value.at.start > at.start && text.slice(keyEnd, at.start).includes('&');
}
