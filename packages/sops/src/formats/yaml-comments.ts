// Which container a YAML comment belongs to (spec sops-format, section 5), decided by its line and column.
import type { Comment, Entry, SourceSpan, TreeNode } from '../tree.ts';
import type { OpenMapping, OpenSequence } from './yaml-containers.ts';

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
  const placed = new Map<Container, Placed[]>();
  for (const { text: line, at } of comments) {
    const index = lowerBound(starts.length, (document) => (starts[document] ?? 0) > at.start);
    // Comments before the first document belong to it; the parser starts a document after the comments that precede it.
    const document = Math.max(0, index - 1);
    const root = roots[document];
    if (root === undefined) continue;
    const { container, before } = findTarget(text, at, slotsOfRoots[document] ?? [], root);
    const place = lowerBound(container.items.length, (item) => startOf(container.items[item]) >= before);
    const list = placed.get(container) ?? [];
    if (list.length === 0) placed.set(container, list);
    list.push({ comment: { kind: 'comment', text: line, at }, place });
  }
  for (const [container, list] of placed) insertComments(container, list);
}

/** A comment and the index of the item that it will stand before. */
type Placed = { readonly comment: Comment; readonly place: number };
type Target = { readonly container: Container; readonly before: number };

// All of a container at once: one by one takes quadratic time.
function insertComments(container: Container, list: Placed[]): void {
  const items = container.items as (Comment | Entry | TreeNode)[];
  const own = items.splice(0);
  let next = 0;
  for (const { comment, place } of list.sort((a, b) => a.place - b.place)) {
    for (; next < place; next += 1) items.push(own[next] as TreeNode);
    items.push(comment);
  }
  for (; next < own.length; next += 1) items.push(own[next] as TreeNode);
}

function startOf(item: Container['items'][number] | undefined): number {
  return item?.at?.start ?? 0;
}

// The first index of which something holds, where it holds of all that follow; the count when of none.
function lowerBound(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
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
  const next = lowerBound(slots.length, (slot) => (slots[slot]?.start ?? 0) >= at.start);
  const previous = slots[next - 1];
  const flow = innermostFlow(previous, at.start);
  if (flow !== undefined) return { container: flow, before: at.start };
  if (/^\s*$/.test(before))
    return { container: ownLineContainer(at, previous, slots[next], root), before: at.start };
  if (/^[\s-]*$/.test(before)) return afterDash(slots, next, root, at);
  return inlineTarget(text, at, slots, next, root);
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
  let index = next;
  while (index < slots.length && slots[index]?.container.kind !== 'sequence') index += 1;
  const slot = slots[index];
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
