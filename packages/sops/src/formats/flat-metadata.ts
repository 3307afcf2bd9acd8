// The sops block in formats without nesting: each scalar under a name that spells its path (spec sops-format, section 7.3).
import { SopsError } from '../sops-error.ts';
import {
  type Mapping,
  mappingOf,
  type Sequence,
  type SourceSpan,
  stringLeaf,
  type TreeNode,
} from '../tree.ts';
import { decodeRawText, encodeRawText } from './raw-text.ts';

/** One scalar of the block. `text` has real line breaks. */
export type FlatField = { readonly name: string; readonly text: string; readonly at?: SourceSpan };

const maxSteps = 20;

/** The scalars of a block, sorted by name. Nulls and empty containers are left out. */
export function flattenMetadata(block: Mapping): FlatField[] {
  return Array.from(flatten(block, '', '')).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function* flatten(node: TreeNode, name: string, separator: string): Generator<FlatField> {
  if (node.kind === 'leaf') {
    if (node.type !== 'null')
      yield { name, text: fieldText(decodeRawText(node.bytes), node.type === 'bool') };
    return;
  }
  const items = node.items.filter((item) => item.kind !== 'comment');
  for (const [index, item] of items.entries()) {
    const [step, value] = item.kind === 'entry' ? [item.key, item.value] : [String(index), item];
    yield* flatten(value, `${name}${separator}${step}`, value.kind === 'sequence' ? '__list_' : '__map_');
  }
}

function fieldText(text: string, isBool: boolean): string {
  if (!isBool) return text;
  return text === 'True' ? 'true' : 'false';
}

type Branch = {
  field: FlatField | undefined;
  readonly keys: Map<string, Branch>;
  readonly elements: Map<number, Branch>;
};

/**
 * The block that some fields spell; every value is a string, with the two characters `\n` turned into a line break.
 *
 * Throws SopsError 'bad_metadata' for fields that contradict each other or leave gaps in a list.
 */
export function unflattenMetadata(fields: readonly FlatField[]): Mapping {
  const root = newBranch();
  for (const field of fields) {
    const branch = branchAt(root, field);
    if (branch.field !== undefined) throw misplaced(field, 'stands there twice');
    branch.field = field;
  }
  const entries = Array.from(root.keys, ([key, branch]) => [key, nodeOf(branch)] as const);
  const first = fields[0]?.at;
  return { ...mappingOf(entries), ...(first === undefined ? {} : { at: first }) };
}

function newBranch(): Branch {
  return { field: undefined, keys: new Map(), elements: new Map() };
}

function branchAt(root: Branch, field: FlatField): Branch {
  const [first = '', ...rest] = field.name.split(/__(map|list)_/);
  if (rest.length > 2 * maxSteps) throw misplaced(field, 'is nested too deeply');
  let branch = childOf(root.keys, first);
  for (let at = 0; at < rest.length; at += 2) {
    const step = rest[at + 1] ?? '';
    if (rest[at] === 'map') branch = childOf(branch.keys, step);
    else if (/^(?:0|[1-9][0-9]{0,5})$/.test(step)) branch = childOf(branch.elements, Number(step));
    else throw misplaced(field, 'has no number where a place in a list is named');
  }
  return branch;
}

function childOf<K>(children: Map<K, Branch>, key: K): Branch {
  const branch = children.get(key) ?? newBranch();
  children.set(key, branch);
  return branch;
}

function nodeOf(branch: Branch): TreeNode {
  const { field, keys, elements } = branch;
  const kinds = [field !== undefined, keys.size > 0, elements.size > 0].filter(Boolean);
  const [any = field] = fieldsBelow(branch);
  if (kinds.length > 1)
    throw misplaced(any, 'is both a value and something with parts, or both a list and not');
  if (field !== undefined) return leafOf(field);
  const place = any?.at === undefined ? {} : { at: any.at };
  if (keys.size > 0) {
    return { ...mappingOf(Array.from(keys, ([key, child]) => [key, nodeOf(child)] as const)), ...place };
  }
  const items = Array.from({ length: elements.size }, (_, index) => {
    const element = elements.get(index);
    if (element === undefined) throw misplaced(any, 'belongs to a list that has gaps');
    return nodeOf(element);
  });
  const list: Sequence = { kind: 'sequence', items };
  return { ...list, ...place };
}

function* fieldsBelow({ field, keys, elements }: Branch): Generator<FlatField> {
  if (field !== undefined) yield field;
  for (const child of [...keys.values(), ...elements.values()]) yield* fieldsBelow(child);
}

function leafOf({ text, at }: FlatField): TreeNode {
  const leaf = stringLeaf(encodeRawText(text.replaceAll('\\n', '\n')));
  return at === undefined ? leaf : { ...leaf, at };
}

function misplaced(field: FlatField | undefined, problem: string): SopsError {
  const details = field?.at === undefined ? {} : { position: field.at };
  return new SopsError('bad_metadata', `A field of the sops block ${problem}`, details);
}

/** The fields in the order that their names had before; new ones come last. */
export function inOrderOf(names: readonly string[], fields: readonly FlatField[]): FlatField[] {
  const ranks = new Map(names.map((name, index) => [name, index]));
  const rank = ({ name }: FlatField): number => ranks.get(name) ?? names.length;
  return [...fields].sort((a, b) => rank(a) - rank(b));
}
