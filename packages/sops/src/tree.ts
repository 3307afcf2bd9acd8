// The ordered tree of keys, values and comments that every format is read into, and the one walk over it.
// Values are bytes; order and duplicates are kept, because the MAC and the reader's diff depend on them.

/** How a scalar was written; only YAML has more than one way. */
export type ScalarStyle = 'plain' | 'single' | 'double' | 'literal' | 'folded';

/** Where something stands in the text: line and column from 1, offsets in UTF-16 units without a byte order mark. */
export type SourceSpan = {
  readonly line: number;
  readonly column: number;
  readonly start: number;
  readonly end: number;
};

/** What a value is. `bytes` is only ever read from files of others: our own writers make `str` of it. */
export type LeafType = 'str' | 'int' | 'float' | 'bool' | 'time' | 'null' | 'bytes';

/** A value. `bytes` are the canonical bytes of its type: what is encrypted and what the MAC is made of. */
export type Leaf = {
  readonly kind: 'leaf';
  readonly type: LeafType;
  readonly bytes: Uint8Array;
  readonly style?: ScalarStyle;
  readonly at?: SourceSpan;
};

/** One line of comment, without its marker. */
export type Comment = {
  readonly kind: 'comment';
  readonly text: string;
  /**
   * Set on a comment of a decrypted tree that was not decrypted, because it stood there in clear or its ciphertext did
   * not open: it stays as it is when the tree is encrypted again.
   */
  readonly verbatim?: true;
  readonly at?: SourceSpan;
};

/** A key with its value; `at` is the place of the key. */
export type Entry = {
  readonly kind: 'entry';
  readonly key: string;
  readonly value: TreeNode;
  readonly at?: SourceSpan;
};

/** Keys and comments in the order of the file. `flow`: written in braces. */
export type Mapping = {
  readonly kind: 'mapping';
  readonly items: readonly (Entry | Comment)[];
  readonly flow?: true;
  readonly at?: SourceSpan;
};

/** Elements and comments in the order of the file. `flow`: written in brackets. */
export type Sequence = {
  readonly kind: 'sequence';
  readonly items: readonly (TreeNode | Comment)[];
  readonly flow?: true;
  readonly at?: SourceSpan;
};

/** Whatever may stand behind a key or in a list. */
export type TreeNode = Leaf | Mapping | Sequence;

/** A whole file: one mapping per document. */
export type Tree = { readonly documents: readonly Mapping[] };

/** The keys and list indices from the root of a document to a node. */
export type TreePath = readonly (string | number)[];

/** Where the walk is. `aad` is the authenticated path of SOPS: keys joined and followed by colons, no list indices. */
export type Place = {
  readonly document: number;
  readonly keys: readonly string[];
  readonly aad: string;
  readonly container: 'mapping' | 'sequence';
  /** Comments in force here: in each container on the way, those since its last entry. */
  readonly activeComments: () => readonly string[];
};

/** What {@link mapTree} asks for each leaf and comment; a leaf may become a comment and the reverse only in a sequence. */
export type TreeVisitor = {
  readonly leaf: (leaf: Leaf, place: Place) => Leaf | Comment;
  readonly comment: (comment: Comment, place: Place) => Comment | Leaf;
};

const encoder = new TextEncoder();

/** A string value, from text or from raw bytes. */
export function stringLeaf(value: string | Uint8Array): Leaf {
  return { kind: 'leaf', type: 'str', bytes: typeof value === 'string' ? encoder.encode(value) : value };
}

/** A mapping from plain pairs, for callers that build trees by hand. */
export function mappingOf(entries: Iterable<readonly [key: string, value: TreeNode]>): Mapping {
  const items = Array.from(entries, ([key, value]): Entry => ({ kind: 'entry', key, value }));
  return { kind: 'mapping', items };
}

/** The first entry of that key, or undefined. */
export function findEntry(mapping: Mapping, key: string): Entry | undefined {
  return mapping.items.find((item): item is Entry => item.kind === 'entry' && item.key === key);
}

/** The entries of a mapping without its comments, in order. */
export function entriesOf(mapping: Mapping): readonly Entry[] {
  return mapping.items.filter((item): item is Entry => item.kind === 'entry');
}

/**
 * Walks all documents depth-first in file order and builds the tree of what the visitor returns.
 *
 * The only traversal there is: encryption, decryption and the MAC see the same places in the same order.
 */
export function mapTree(tree: Tree, visitor: TreeVisitor): Tree {
  return {
    documents: tree.documents.map((document, index) => {
      const root: Frame = { document: index, keys: [], aad: ':', comments: [], parent: undefined };
      return mapMapping(document, root, visitor);
    }),
  };
}

type Frame = {
  readonly document: number;
  readonly keys: readonly string[];
  readonly aad: string;
  comments: string[];
  readonly parent: Frame | undefined;
};

function mapMapping(mapping: Mapping, frame: Frame, visitor: TreeVisitor): Mapping {
  const items = mapping.items.map((item): Entry | Comment => {
    if (item.kind === 'comment') {
      const comment = mapComment(item, frame, 'mapping', visitor);
      if (comment.kind !== 'comment') throw new Error('A comment of a mapping stays a comment');
      return comment;
    }
    const inside: Frame = {
      document: frame.document,
      keys: [...frame.keys, item.key],
      aad: childAad(frame, item.key),
      comments: frame.comments,
      parent: frame.parent,
    };
    const value = mapNode(item.value, inside, 'mapping', visitor);
    if (value.kind === 'comment') throw new Error('A value of a mapping stays a value');
    if (frame.comments.length > 0) frame.comments = [];
    return item.at === undefined ? { ...item, value } : { kind: 'entry', key: item.key, at: item.at, value };
  });
  return { ...mapping, items };
}

function mapSequence(sequence: Sequence, frame: Frame, visitor: TreeVisitor): Sequence {
  const items = sequence.items.map((item) => {
    if (item.kind === 'comment') return mapComment(item, frame, 'sequence', visitor);
    const node = mapNode(item, frame, 'sequence', visitor);
    frame.comments = [];
    return node;
  });
  return { ...sequence, items };
}

function mapNode(
  node: TreeNode,
  frame: Frame,
  container: Place['container'],
  visitor: TreeVisitor,
): TreeNode | Comment {
  if (node.kind === 'leaf') return visitor.leaf(node, placeOf(frame, container));
  const inner: Frame = { ...frame, comments: [], parent: frame };
  return node.kind === 'mapping' ? mapMapping(node, inner, visitor) : mapSequence(node, inner, visitor);
}

function mapComment(
  comment: Comment,
  frame: Frame,
  container: Place['container'],
  visitor: TreeVisitor,
): Comment | Leaf {
  const result = visitor.comment(comment, placeOf(frame, container));
  frame.comments.push(comment.text);
  return result;
}

function childAad(frame: Frame, key: string): string {
  return frame.keys.length === 0 ? `${key}:` : `${frame.aad}${key}:`;
}

function placeOf(frame: Frame, container: Place['container']): Place {
  const activeComments = () => {
    const all: string[] = [];
    for (let at: Frame | undefined = frame; at !== undefined; at = at.parent) all.unshift(...at.comments);
    return all;
  };
  return { document: frame.document, keys: frame.keys, aad: frame.aad, container, activeComments };
}

/** The same mapping without any comment below it. */
export function withoutComments(mapping: Mapping): Mapping {
  const items = mapping.items.flatMap((item) =>
    item.kind === 'comment' ? [] : [{ ...item, value: withoutInnerComments(item.value) }],
  );
  return { ...mapping, items };
}

function withoutInnerComments(node: TreeNode): TreeNode {
  if (node.kind === 'leaf') return node;
  if (node.kind === 'mapping') return withoutComments(node);
  const items = node.items.flatMap((item) => (item.kind === 'comment' ? [] : [withoutInnerComments(item)]));
  return { ...node, items };
}

/** True when both hold the same keys, values, types and comments in the same order; places and styles do not count. */
export function isSameNode(a: TreeNode | Comment | Entry, b: TreeNode | Comment | Entry): boolean {
  if (a.kind === 'leaf') return b.kind === 'leaf' && isSameLeaf(a, b);
  if (a.kind === 'comment') return b.kind === 'comment' && a.text === b.text;
  if (a.kind === 'entry') return b.kind === 'entry' && a.key === b.key && isSameNode(a.value, b.value);
  if (b.kind !== a.kind || a.items.length !== b.items.length) return false;
  return a.items.every((item, index) => isSameNode(item, b.items[index] as TreeNode));
}

/** {@link isSameNode} over all documents. */
export function isSameTree(a: Tree, b: Tree): boolean {
  if (a.documents.length !== b.documents.length) return false;
  return a.documents.every((document, index) => isSameNode(document, b.documents[index] as Mapping));
}

function isSameLeaf(a: Leaf, b: Leaf): boolean {
  return a.type === b.type && Buffer.compare(a.bytes, b.bytes) === 0;
}
