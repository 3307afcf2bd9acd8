// What a file format must be able to do. A new format is one file that fills this interface and one row in all.ts.
import { SopsError } from '../sops-error.ts';
import type { Mapping, SourceSpan, Tree } from '../tree.ts';

/** The formats of files. `binary` is any file at all, as one value. */
export type FormatName = 'yaml' | 'json' | 'dotenv' | 'ini' | 'binary';

/** Bounds kept while reading. Bytes are those of the file, nodes those that aliases stand for. */
export type Limits = {
  readonly maxBytes: number;
  readonly maxDepth: number;
  readonly maxAliasedNodes: number;
};

export const defaultLimits: Limits = { maxBytes: 64 * 1024 * 1024, maxDepth: 100, maxAliasedNodes: 100_000 };

/** Throws SopsError 'limit' for a file of more bytes than that. */
export function checkSize(bytes: Uint8Array, { maxBytes }: Limits): void {
  if (bytes.length > maxBytes) {
    throw new SopsError('limit', `The file has ${bytes.length} bytes; at most ${maxBytes} are read`);
  }
}

/** The one document of a tree. Throws SopsError 'unsupported' when there are more: only YAML has a place for them. */
export function onlyDocument(tree: Tree): Mapping {
  const [document, ...more] = tree.documents;
  if (document === undefined || more.length > 0) {
    const message = `The file has ${tree.documents.length} documents, which only YAML can hold`;
    throw new SopsError('unsupported', message);
  }
  return document;
}

/**
 * How new text is laid out. `indent`: blanks per level, for the formats that have levels: YAML (4 unless told), JSON and
 * binary (a tab unless told or below 0; 0 is line breaks without indentation).
 */
export type Layout = { readonly indent?: number };

/**
 * Something about the text that a stricter profile may want to refuse; only YAML has any. `document` is reported for the second document
 * and after; `mapping`, `sequence` for containers among the values; `marker` for `---` and `...`; the others wherever
 * they stand, the sops block included.
 */
export type Feature = {
  readonly kind:
    | 'byte_order_mark'
    | 'directive'
    | 'document'
    | 'marker'
    | 'anchor'
    | 'alias'
    | 'tag'
    | 'merge_key'
    | 'flow'
    | 'comment'
    | 'mapping'
    | 'sequence';
  readonly at: SourceSpan;
};

/** An encrypted file as it stands: values are still `ENC[…]` strings, the sops block is apart. */
export type ParsedText = {
  readonly tree: Tree;
  /** The block of the first document; undefined when there is none. */
  readonly metadata: Mapping | undefined;
  readonly features: readonly Feature[];
  readonly bytes: Uint8Array;
};

/**
 * A file format. Every function is pure and throws SopsError: 'parse_error' with a position for text that is not of
 * the format, 'limit' beyond the limits, 'unsupported' for what SOPS has no form for.
 */
export type Format<P extends ParsedText = ParsedText> = {
  readonly name: FormatName;
  /** True when metadata has numbers and booleans; in the others every field is text. */
  readonly typedMetadata: boolean;
  /** False when a file is one value, and the rules that choose among values are neither used nor written. */
  readonly hasRules: boolean;
  readonly parse: (bytes: Uint8Array, limits: Limits) => P;
  /** Reads what is to be encrypted. Throws 'already_encrypted' when the place of the metadata is taken. */
  readonly parsePlain: (bytes: Uint8Array, limits: Limits) => Tree;
  /** Throws 'unsupported' for what would not read back as the same values, because the MAC is made of them. */
  readonly format: (tree: Tree, metadata: Mapping, layout?: Layout) => Uint8Array;
  /** As the real tool prints it, or 'unsupported' where that would lose or add values. */
  readonly formatPlain: (tree: Tree, layout?: Layout) => Uint8Array;
  /**
   * The file with another tree and metadata. The text of what did not change stays byte for byte where the format can
   * do that. The result has been parsed from its own bytes and says exactly what was asked for.
   */
  readonly rewrite: (parsed: P, tree: Tree, metadata: Mapping) => P;
};
