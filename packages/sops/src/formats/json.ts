// JSON as SOPS reads and writes it: one object, the sops block as its last member.
// Values in clear are only written where every version of SOPS makes the same MAC of them.
import { isUtf8 } from 'node:buffer';
import { formatFloat, typedLeaf } from '../leaf-values.ts';
import { SopsError } from '../sops-error.ts';
import {
  entriesOf,
  findEntry,
  isSameNode,
  type Leaf,
  type Mapping,
  mapTree,
  type Tree,
  type TreeNode,
} from '../tree.ts';
import {
  defaultLimits,
  type Format,
  type Layout,
  type Limits,
  onlyDocument,
  type ParsedText,
} from './format.ts';
import { type JsonLayout, type JsonText, readJson, writeJson, writeJsonLeaf } from './json-text.ts';
import { blockEntry, blockOf, isBlock, refuseBlock, withoutBlock } from './sops-block.ts';
import { applySplices, type Splice } from './yaml-splice.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A parsed JSON file with what is needed to change its text. */
export type ParsedJson = ParsedText & { readonly source: JsonText };

export const jsonFormat: Format<ParsedJson> = {
  name: 'json',
  typedMetadata: true,
  hasRules: true,
  parse: parseJsonFile,
  parsePlain(bytes, limits) {
    const { root } = readJson(bytes, limits);
    refuseBlock(root);
    return { documents: [root] };
  },
  format(tree, metadata, layout) {
    const root = sealedRoot(tree, metadata);
    return encoder.encode(
      writeJson({ ...root, items: [...root.items, jsonBlock(metadata)] }, layoutOf(layout)),
    );
  },
  formatPlain: (tree, layout) => encoder.encode(writeJson(onlyDocument(tree), layoutOf(layout))),
  rewrite(parsed, tree, metadata) {
    const wanted = blockInPlace(parsed.source.root, sealedRoot(tree, metadata), metadata);
    const text = spliced(parsed.source, wanted) ?? writeJson(wanted, layoutLike(parsed.source.text));
    const result = parseJsonFile(encoder.encode(text), defaultLimits);
    if (!saysTheSame(result.source.root, wanted))
      throw new Error('The JSON written does not read back as meant');
    return result;
  },
};

function parseJsonFile(bytes: Uint8Array, limits: Limits): ParsedJson {
  const source = readJson(bytes, limits);
  const { root } = source;
  refuseTwoBlocks(root);
  const metadata = blockOf(root);
  const tree = { documents: [withoutBlock(root)] };
  const isOld = metadata !== undefined && knowsOnlyFloats(metadata) && mayHoldLongIntegers(source.text);
  return { tree: isOld ? withFloats(tree) : tree, metadata, features: [], bytes, source };
}

// Which of two would count differs from version to version.
function refuseTwoBlocks(root: Mapping): void {
  const [first, second] = root.items.filter(isBlock);
  if (second?.at !== undefined) {
    throw new SopsError('parse_error', 'The key "sops" stands there twice', { position: second.at });
  }
  if (first?.kind === 'entry') refuseDuplicates(first.value);
}

function refuseDuplicates(node: TreeNode): void {
  if (node.kind === 'leaf') return;
  const seen = new Set<string>();
  for (const item of node.items) {
    if (item.kind === 'comment') continue;
    if (item.kind === 'entry' && seen.has(item.key)) {
      const details = item.at === undefined ? {} : { position: item.at };
      throw new SopsError('parse_error', 'The sops block has a key twice', details);
    }
    if (item.kind === 'entry') seen.add(item.key);
    refuseDuplicates(item.kind === 'entry' ? item.value : item);
  }
}

function layoutOf({ indent }: Layout = {}): JsonLayout {
  return { indent: indent === undefined || indent < 0 ? '\t' : ' '.repeat(indent), newline: '\n' };
}

function layoutLike(text: string): JsonLayout {
  const [, newline = '\n', indent = '\t'] = /^\s*\{(\r?\n)([ \t]*)"/.exec(text) ?? [];
  return { indent, newline };
}

// SOPS writes the empty lists of a key group as null in JSON (spec sops-format, section 8).
function jsonBlock(metadata: Mapping): ReturnType<typeof blockEntry> {
  const inGroup = (node: TreeNode): TreeNode => {
    if (node.kind !== 'mapping') return node;
    const items = node.items.map((item) => {
      const isEmpty =
        item.kind === 'entry' && item.value.kind === 'sequence' && item.value.items.length === 0;
      return isEmpty ? { ...item, value: typedLeaf('null', '') } : item;
    });
    return { ...node, items };
  };
  const items = metadata.items.map((item) => {
    if (item.kind === 'comment' || item.key !== 'key_groups' || item.value.kind !== 'sequence') return item;
    const groups = item.value.items.map((group) => (group.kind === 'comment' ? group : inGroup(group)));
    return { ...item, value: { ...item.value, items: groups } };
  });
  return blockEntry({ ...metadata, items });
}

// Up to 3.13.1 every number is a double, and so is what the MAC was made of (spec sops-format, section 10.2).
function knowsOnlyFloats(metadata: Mapping): boolean {
  const version = findEntry(metadata, 'version')?.value;
  const text = version?.kind === 'leaf' ? decoder.decode(version.bytes) : '';
  const [, major = 0, minor = 0, patch = 0] = (/^v?([0-9]+)\.([0-9]+)\.([0-9]+)/.exec(text) ?? []).map(
    Number,
  );
  return major !== 3 ? major < 3 : minor !== 13 ? minor < 13 : patch < 2;
}

function mayHoldLongIntegers(text: string): boolean {
  return /[\s:,[]-?[0-9]{16}/.test(text);
}

function withFloats(tree: Tree): Tree {
  return mapTree(tree, {
    leaf(leaf) {
      if (!isLongInteger(leaf)) return leaf;
      return { ...leaf, ...typedLeaf('float', formatFloat(Number(decoder.decode(leaf.bytes)))) };
    },
    comment: (comment) => comment,
  });
}

function isLongInteger(leaf: Leaf): boolean {
  return leaf.type === 'int' && !Number.isSafeInteger(Number(decoder.decode(leaf.bytes)));
}

// What stands in clear must read back as what the MAC was made of, whoever reads it.
function sealedRoot(tree: Tree, metadata: Mapping): Mapping {
  const isOld = knowsOnlyFloats(metadata);
  mapTree(tree, {
    leaf(leaf, { keys }) {
      if (isOld && isLongInteger(leaf)) {
        const message = 'An integer beyond 2^53 in clear is read in two ways by the versions of SOPS';
        throw new SopsError('unsupported', message, { path: keys });
      }
      if (leaf.type === 'str' && !isUtf8(leaf.bytes)) {
        throw new SopsError('unsupported', 'JSON cannot hold a value in clear that is not UTF-8', {
          path: keys,
        });
      }
      return leaf;
    },
    comment: (comment) => comment,
  });
  return onlyDocument(tree);
}

// The block stays where it stood among the members, as long as there are as many.
function blockInPlace(before: Mapping, root: Mapping, metadata: Mapping): Mapping {
  const entries = entriesOf(root);
  const at = before.items.findIndex(isBlock);
  const index = before.items.length === entries.length + 1 && at !== -1 ? at : entries.length;
  return { ...root, items: [...entries.slice(0, index), jsonBlock(metadata), ...entries.slice(index)] };
}

function spliced({ text, root }: JsonText, wanted: Mapping): string | undefined {
  const splices: Splice[] = [];
  return planLeaves(root, wanted, splices) ? applySplices(text, splices) : undefined;
}

// False when more than values changed: the text is then laid out anew.
function planLeaves(before: TreeNode, after: TreeNode, splices: Splice[]): boolean {
  if (before.kind === 'leaf' && after.kind === 'leaf') {
    if (isSameNode(before, after)) return true;
    if (before.at === undefined) return false;
    splices.push({ start: before.at.start, end: before.at.end, text: writeJsonLeaf(after) });
    return true;
  }
  if (before.kind === 'leaf' || after.kind === 'leaf' || before.kind !== after.kind) return false;
  const items = after.items.filter((item) => item.kind !== 'comment');
  if (items.length !== before.items.length) return false;
  return before.items.every((item, index) => {
    const other = items[index];
    if (item.kind === 'comment' || other === undefined) return false;
    if (item.kind !== 'entry') return other.kind !== 'entry' && planLeaves(item, other, splices);
    return other.kind === 'entry' && item.key === other.key && planLeaves(item.value, other.value, splices);
  });
}

// Compared as text: a whole float and the integer it reads back as are one and the same to the MAC.
function saysTheSame(read: Mapping, wanted: Mapping): boolean {
  const layout = { indent: '', newline: '\n' };
  return writeJson(read, layout) === writeJson(wanted, layout);
}
