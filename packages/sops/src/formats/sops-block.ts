// The place of the metadata in formats with nested values: a mapping named "sops" at top level (spec sops-format, section 7.3).
import { SopsError } from '../sops-error.ts';
import { type Entry, findEntry, type Mapping, type Tree } from '../tree.ts';

const blockName = 'sops';

/** True for the entry that holds the metadata. */
export function isBlock(item: Mapping['items'][number]): boolean {
  return item.kind === 'entry' && item.key === blockName;
}

/** The metadata as an entry. */
export function blockEntry(metadata: Mapping): Entry {
  return { kind: 'entry', key: blockName, value: metadata };
}

/** The metadata of a document; `sops: null` is the same as none. Throws SopsError 'bad_metadata' for what is no mapping. */
export function blockOf(root: Mapping): Mapping | undefined {
  const value = findEntry(root, blockName)?.value;
  if (value === undefined || (value.kind === 'leaf' && value.type === 'null')) return undefined;
  if (value.kind === 'mapping') return value;
  throw new SopsError('bad_metadata', 'The sops block is not a mapping', placeOf(value));
}

/** The document without its metadata. */
export function withoutBlock(root: Mapping): Mapping {
  return { ...root, items: root.items.filter((item) => !isBlock(item)) };
}

/** The tree with the metadata as the last entry of every document. */
export function withBlocks(tree: Tree, metadata: Mapping): Tree {
  const block = blockEntry(metadata);
  return {
    documents: tree.documents.map((document) => ({ ...document, items: [...document.items, block] })),
  };
}

/** Throws SopsError 'already_encrypted' when something stands where the metadata will. */
export function refuseBlock(document: Mapping): void {
  const taken = findEntry(document, blockName);
  if (taken === undefined) return;
  const message = 'The file has a key "sops" at top level, as encrypted files do';
  throw new SopsError('already_encrypted', message, placeOf(taken));
}

function placeOf({ at }: Pick<Entry, 'at'>): { position?: { line: number; column: number } } {
  return at === undefined ? {} : { position: at };
}
