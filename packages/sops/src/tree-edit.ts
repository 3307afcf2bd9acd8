// Setting and deleting in a tree by path, as new trees: the old one stays as it was.
import { excerpt } from '@clef/strict';
import { SopsError } from './sops-error.ts';
import {
  type Entry,
  findEntry,
  type Mapping,
  type Sequence,
  stringLeaf,
  type TreeNode,
  type TreePath,
} from './tree.ts';

/** What to put at a path: text or bytes for a string, or any node. */
export type NewValue = string | Uint8Array | TreeNode;

/**
 * The mapping with a value at a path. Missing mappings are created at the end, an index equal to the length appends.
 *
 * Throws SopsError 'unsupported' for an empty path, an index into a mapping or beyond a list.
 */
export function setAt(root: Mapping, path: TreePath, value: NewValue): Mapping {
  return requireMapping(setIn(root, path, nodeOf(value)));
}

/** The mapping without the entry or element at a path. Throws SopsError 'unsupported' when there is none. */
export function deleteAt(root: Mapping, path: TreePath): Mapping {
  return requireMapping(deleteIn(root, path));
}

function nodeOf(value: NewValue): TreeNode {
  return typeof value === 'string' || value instanceof Uint8Array ? stringLeaf(value) : value;
}

function requireMapping(node: TreeNode): Mapping {
  if (node.kind !== 'mapping')
    throw new SopsError('unsupported', 'A path must name a place inside the document');
  return node;
}

function setIn(node: TreeNode | undefined, path: TreePath, value: TreeNode): TreeNode {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (typeof step === 'number') return setElement(node, step, rest, value);
  const mapping: Mapping = node?.kind === 'mapping' ? node : { kind: 'mapping', items: [] };
  if (node?.kind === 'sequence') throw missing(step);
  const before = findEntry(mapping, step);
  const changed: Entry = {
    ...(before ?? { kind: 'entry', key: step }),
    value: setIn(before?.value, rest, value),
  };
  if (before === undefined) return { ...mapping, items: [...mapping.items, changed] };
  return { ...mapping, items: mapping.items.map((item) => (item === before ? changed : item)) };
}

function setElement(node: TreeNode | undefined, index: number, rest: TreePath, value: TreeNode): TreeNode {
  const sequence: Sequence =
    node === undefined ? { kind: 'sequence', items: [] } : requireSequence(node, index);
  const at = itemIndex(sequence, index);
  const before = sequence.items[at];
  const changed = setIn(before?.kind === 'comment' ? undefined : before, rest, value);
  return { ...sequence, items: [...sequence.items.slice(0, at), changed, ...sequence.items.slice(at + 1)] };
}

function deleteIn(node: TreeNode, path: TreePath): TreeNode {
  const [step, ...rest] = path;
  if (step === undefined) throw new SopsError('unsupported', 'A path must name a place inside the document');
  if (typeof step === 'number') return deleteElement(requireSequence(node, step), step, rest);
  const before = node.kind === 'mapping' ? findEntry(node, step) : undefined;
  if (before === undefined || node.kind !== 'mapping') throw missing(step);
  const items = node.items.flatMap((item) => {
    if (item !== before) return [item];
    return rest.length === 0 ? [] : [{ ...before, value: deleteIn(before.value, rest) }];
  });
  return { ...node, items };
}

function deleteElement(sequence: Sequence, index: number, rest: TreePath): TreeNode {
  const at = itemIndex(sequence, index);
  const before = sequence.items[at];
  if (before === undefined || before.kind === 'comment') throw missing(index);
  const kept = rest.length === 0 ? [] : [deleteIn(before, rest)];
  return { ...sequence, items: [...sequence.items.slice(0, at), ...kept, ...sequence.items.slice(at + 1)] };
}

function requireSequence(node: TreeNode, index: number): Sequence {
  if (node.kind !== 'sequence') throw missing(index);
  return node;
}

// Where the element of that number stands among the comments; the number of elements gives the end.
function itemIndex(sequence: Sequence, index: number): number {
  const places = sequence.items.flatMap((item, at) => (item.kind === 'comment' ? [] : [at]));
  if (!Number.isInteger(index) || index < 0 || index > places.length) throw missing(index);
  return places[index] ?? sequence.items.length;
}

function missing(step: string | number): SopsError {
  const name = typeof step === 'number' ? `element ${step}` : `key "${excerpt(step)}"`;
  return new SopsError('unsupported', `There is no place for ${name} in the file`);
}
