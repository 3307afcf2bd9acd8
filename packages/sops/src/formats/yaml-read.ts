// YAML text to the tree: ordered, duplicates refused in one pass, scalars as go-yaml reads them, places kept.
// The parser's own values are never used (it reorders and merges); its messages neither (they quote the text).
import { excerpt } from '@clef/strict';
import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Pair,
  Parser,
  type Scalar,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { typedLeaf } from '../leaf-values.ts';
import { SopsError } from '../sops-error.ts';
import type { Entry, Leaf, ScalarStyle, SourceSpan, TreeNode } from '../tree.ts';
import type { Feature, Limits } from './format.ts';
import { placeComments } from './yaml-comments.ts';
import type { OpenMapping, OpenSequence } from './yaml-containers.ts';
import { isWithinDepth, isWithinParts } from './yaml-depth.ts';
import { readPlainLines } from './yaml-lines.ts';
import { resolveScalar } from './yaml-scalars.ts';
import { decodeYamlText, repairEmptyMappings } from './yaml-text.ts';

export type YamlText = {
  /** The text after the byte order mark, with the one repair of {@link repairEmptyMappings}. */
  readonly text: string;
  readonly hasByteOrderMark: boolean;
  /** One mapping per document; undefined for a document that holds nothing and is not marked as one. */
  readonly roots: readonly (OpenMapping | undefined)[];
  readonly features: readonly Feature[];
};

const maxKeyCharacters = 64 * 1024;
const styles: Readonly<Record<string, ScalarStyle>> = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single',
  QUOTE_DOUBLE: 'double',
  BLOCK_LITERAL: 'literal',
  BLOCK_FOLDED: 'folded',
};

// As many as some 100,000 values with a comment each; a file in the plain form of SOPS may have any number.
const maxParts = 1_000_000;
// Each costs as much as some hundred values, in four characters.
const maxDocuments = 1000;

/** Reads all documents. Throws SopsError 'parse_error', 'unsupported' or 'limit'. */
export function readYaml(bytes: Uint8Array, limits: Limits): YamlText {
  const decoded = decodeYamlText(bytes, limits);
  const plain = readPlainLines(bytes, decoded, limits);
  if (plain !== undefined) {
    return { text: decoded, hasByteOrderMark: false, roots: [plain.root], features: plain.features };
  }
  return parseText(bytes, decoded, limits);
}

/** The same by the YAML parser, for texts that are not plain. */
export function parseText(bytes: Uint8Array, decoded: string, limits: Limits): YamlText {
  if (!isWithinDepth(decoded, limits.maxDepth)) {
    throw new SopsError('limit', `The file nests deeper than ${limits.maxDepth} levels`);
  }
  if (!isWithinParts(decoded, maxParts)) {
    throw new SopsError('limit', `The file has more than ${maxParts} marks, blanks and values`);
  }
  const text = repairEmptyMappings(decoded);
  const hasByteOrderMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const reader = new YamlReader(text, limits);
  const { tokens, documents } = parseDocuments(text, reader);
  if (hasByteOrderMark) reader.note('byte_order_mark', 0, 0);
  const roots = documents.map((document, index) => reader.readDocument(document, index));
  const comments = text.includes('#') ? commentTokens(tokens) : [];
  for (const { offset, source } of comments) reader.note('comment', offset, offset + source.length);
  const spans = comments.map(({ offset, source }) => ({
    text: source.slice(1),
    at: reader.span(offset, offset + source.length),
  }));
  placeComments(text, roots, reader.documentStarts, spans);
  return { text, hasByteOrderMark, roots, features: reader.features };
}

// The first error ends it: hostile text has them by the ten thousand, each with a stack of its own.
function parseDocuments(
  text: string,
  reader: YamlReader,
): { tokens: CST.Token[]; documents: Document.Parsed[] } {
  try {
    const tokens = tokensUpToError(text, reader);
    const composer = new Composer({
      schema: 'failsafe',
      merge: false,
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
      stringKeys: false,
    });
    const onError: ComposeErrorHandler = (source, code, _message, isWarning) => {
      if (isWarning !== true) throw reader.fail('parse_error', describeError(code), offsetOf(source));
    };
    // The types hide this field; if a later version drops it, the errors are still found on the documents.
    Object.assign(composer, { onError });
    return { tokens, documents: [...composer.compose(tokens, false, text.length)] as Document.Parsed[] };
  } catch (error) {
    if (error instanceof SopsError) throw error;
    // The parser may run out of stack or memory on hostile text; it has no error class of its own for that.
    throw new SopsError('parse_error', 'The text cannot be read as YAML');
  }
}

type ComposeErrorHandler = (
  source: number | readonly [number, number] | CST.Token,
  code: YAMLError['code'],
  message: string,
  isWarning?: boolean,
) => void;

function offsetOf(source: Parameters<ComposeErrorHandler>[0]): number {
  if (typeof source === 'number') return source;
  return 'offset' in source ? source.offset : source[0];
}

function tokensUpToError(text: string, reader: YamlReader): CST.Token[] {
  const tokens: CST.Token[] = [];
  let documents = 0;
  for (const token of new Parser().parse(text)) {
    if (token.type === 'document') documents += 1;
    if (documents > maxDocuments) {
      throw reader.fail('limit', `The file has more than ${maxDocuments} documents`, token.offset);
    }
    tokens.push(token);
    if (token.type === 'error') break;
  }
  return tokens;
}

type CommentToken = { readonly offset: number; readonly source: string };

function commentTokens(tokens: readonly CST.Token[]): CommentToken[] {
  const found: CommentToken[] = [];
  const pending: unknown[] = [...tokens];
  while (pending.length > 0) {
    const token = pending.pop();
    if (Array.isArray(token)) for (const inner of token) pending.push(inner);
    else if (typeof token === 'object' && token !== null) {
      const { type, offset, source } = token as { type?: string; offset?: number; source?: string };
      if (type === 'comment' && offset !== undefined && source !== undefined) found.push({ offset, source });
      else for (const inner of Object.values(token)) if (typeof inner === 'object') pending.push(inner);
    }
  }
  return found.sort((a, b) => a.offset - b.offset);
}

type ParsedNode = Scalar.Parsed | Alias.Parsed | YAMLMap.Parsed | YAMLSeq.Parsed;

class YamlReader {
  readonly features: Feature[] = [];
  readonly documentStarts: number[] = [];
  readonly #limits: Limits;
  readonly #lineStarts: number[] = [0];
  #anchors = new Map<string, ParsedNode>();
  readonly #open = new Set<ParsedNode>();
  #aliasedNodes = 0;
  #aliasDepth = 0;
  #lastLine = 0;

  constructor(text: string, limits: Limits) {
    this.#limits = limits;
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1))
      this.#lineStarts.push(at + 1);
  }

  span(start: number, end: number): SourceSpan {
    // Mostly the line of the last answer or the one below.
    let [low, high] = [0, this.#lineStarts.length - 1];
    if ((this.#lineStarts[this.#lastLine] ?? 0) <= start) {
      low = this.#lastLine;
      if (start < (this.#lineStarts[low + 2] ?? 0)) high = low + 1;
    }
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= start) low = middle;
      else high = middle - 1;
    }
    this.#lastLine = low;
    return { line: low + 1, column: start - (this.#lineStarts[low] ?? 0) + 1, start, end };
  }

  note(kind: Feature['kind'], start: number, end: number): void {
    this.features.push({ kind, at: this.span(start, end) });
  }

  fail(code: 'parse_error' | 'unsupported' | 'limit', message: string, offset: number): SopsError {
    const { line, column } = this.span(offset, offset);
    return new SopsError(code, message, { position: { line, column } });
  }

  readDocument(document: Document.Parsed, index: number): OpenMapping | undefined {
    const [error] = document.errors;
    if (error !== undefined) throw this.fail('parse_error', describeError(error.code), error.pos[0]);
    const [start, , end] = document.range ?? [0, 0, 0];
    this.documentStarts.push(start);
    this.#noteDocument(document, index, start);
    this.#anchors = new Map();
    const contents = document.contents as ParsedNode | null;
    if (contents === null || this.#isNullScalar(contents)) {
      const isMarked = document.directives?.docStart === true || contents?.range[0] !== contents?.range[1];
      return isMarked ? { kind: 'mapping', items: [], at: this.span(end, end) } : undefined;
    }
    // An alias or a list at top level is refused before anything below it is read.
    if (!isMap(contents)) {
      throw this.fail('parse_error', 'A document must be a mapping of keys to values', contents.range[0]);
    }
    return this.#node(contents, 0) as OpenMapping;
  }

  #noteDocument(document: Document.Parsed, index: number, start: number): void {
    if (index > 0) this.note('document', start, start);
    if (document.directives?.docStart === true) this.note('marker', start, start);
    const { version, explicit } = document.directives?.yaml ?? {};
    if (explicit === true) {
      this.note('directive', start, start);
      if (version !== '1.1')
        throw this.fail('parse_error', 'The only %YAML version that is read is 1.1', start);
    }
  }

  #isNullScalar(node: ParsedNode): boolean {
    if (!isScalar(node)) return false;
    const leaf = this.#scalar(node as Scalar.Parsed);
    return leaf.type === 'null';
  }

  #node(node: ParsedNode, depth: number): TreeNode {
    if (depth > this.#limits.maxDepth) {
      throw this.fail('limit', `The file nests deeper than ${this.#limits.maxDepth} levels`, node.range[0]);
    }
    if (isAlias(node)) return this.#alias(node as Alias.Parsed, depth);
    this.#noteProperties(node);
    if (this.#aliasDepth > 0) this.#countAliased(node);
    if (isScalar(node)) return this.#scalar(node as Scalar.Parsed);
    this.#open.add(node);
    const result = isMap(node)
      ? this.#mapping(node as YAMLMap.Parsed, depth)
      : this.#sequence(node as YAMLSeq.Parsed, depth);
    this.#open.delete(node);
    return result;
  }

  #noteProperties(node: ParsedNode): void {
    const [start] = node.range;
    const { anchor, tag } = node as { anchor?: string; tag?: string };
    if (anchor !== undefined) {
      this.#anchors.set(anchor, node);
      if (this.#aliasDepth === 0) this.note('anchor', start, start);
    }
    if (this.#aliasDepth > 0) return;
    if (tag !== undefined) this.note('tag', start, start);
    if (isMap(node) || isSeq(node)) {
      if ((node as { flow?: boolean }).flow === true && node.items.length > 0)
        this.note('flow', start, start);
    }
  }

  #alias(node: Alias.Parsed, depth: number): TreeNode {
    const target = this.#anchors.get(node.source);
    if (this.#aliasDepth === 0) this.note('alias', node.range[0], node.range[1]);
    if (target === undefined)
      throw this.fail('parse_error', 'An alias names no anchor before it', node.range[0]);
    if (this.#open.has(target)) throw this.fail('parse_error', 'An alias contains itself', node.range[0]);
    this.#aliasDepth += 1;
    const result = this.#node(target, depth);
    this.#aliasDepth -= 1;
    return { ...result, at: this.span(node.range[0], node.range[1]) };
  }

  #countAliased(node: ParsedNode): void {
    this.#aliasedNodes += 1;
    if (this.#aliasedNodes > this.#limits.maxAliasedNodes) {
      throw this.fail('limit', 'The aliases of the file stand for too many values', node.range[0]);
    }
  }

  #mapping(node: YAMLMap.Parsed, depth: number): OpenMapping {
    const at = this.span(node.range[0], node.range[1]);
    const mapping: OpenMapping = { kind: 'mapping', items: [], at };
    if (node.flow === true) mapping.flow = true;
    const seen = new Set<string>();
    for (const pair of node.items as Pair<ParsedNode, ParsedNode | null>[]) {
      const entry = this.#entry(pair, depth);
      if (seen.has(entry.key)) {
        const message = `The key "${excerpt(entry.key)}" stands twice in one mapping`;
        throw this.fail('parse_error', message, entry.at?.start ?? at.start);
      }
      seen.add(entry.key);
      mapping.items.push(entry);
    }
    return mapping;
  }

  #entry({ key, value }: Pair<ParsedNode, ParsedNode | null>, depth: number): Entry {
    const at = this.span(key.range[0], key.range[1]);
    const text = this.#key(key);
    if (value === null) {
      const end = this.span(at.end, at.end);
      return { kind: 'entry', key: text, at, value: { ...typedLeaf('null', ''), style: 'plain', at: end } };
    }
    const isMetadata = depth === 0 && text === 'sops';
    const before = this.features.length;
    const node = this.#node(value, depth + 1);
    if (isMetadata) this.#forgetContainers(before);
    else if (node.kind !== 'leaf' && this.#aliasDepth === 0) this.features.push({ kind: node.kind, at });
    return { kind: 'entry', key: text, at, value: node };
  }

  // Containers are the normal form of the sops block; everything else in it is worth knowing.
  #forgetContainers(from: number): void {
    const kept = this.features.splice(from).filter(({ kind }) => kind !== 'mapping' && kind !== 'sequence');
    this.features.push(...kept);
  }

  #sequence(node: YAMLSeq.Parsed, depth: number): OpenSequence {
    const at = this.span(node.range[0], node.range[1]);
    const sequence: OpenSequence = { kind: 'sequence', items: [], at };
    if (node.flow === true) sequence.flow = true;
    for (const item of node.items) {
      // A flow list may hold a bare pair, which the parser gives as a one-entry mapping or as a pair.
      sequence.items.push(
        isPair(item) ? this.#barePair(item, depth) : this.#node(item as ParsedNode, depth + 1),
      );
    }
    return sequence;
  }

  #barePair(pair: unknown, depth: number): OpenMapping {
    const entry = this.#entry(pair as Pair<ParsedNode, ParsedNode | null>, depth + 1);
    const at = entry.at ?? this.span(0, 0);
    return { kind: 'mapping', items: [entry], flow: true, at };
  }

  #key(key: ParsedNode): string {
    const [start] = key.range;
    const node = isAlias(key) ? this.#anchors.get(key.source) : key;
    if (isAlias(key)) this.note('alias', start, start);
    if (node === undefined || !isScalar(node)) {
      throw this.fail('parse_error', 'A key must be a plain or quoted text', start);
    }
    if (!isAlias(key)) this.#noteProperties(key);
    if (node.source === '<<' && node.type === 'PLAIN') {
      this.note('merge_key', start, start);
      return '<<';
    }
    const leaf = this.#scalar(node as Scalar.Parsed);
    if (leaf.type !== 'str') {
      throw this.fail('unsupported', `A key that reads as ${leaf.type} must be quoted to be a string`, start);
    }
    const text = new TextDecoder().decode(leaf.bytes);
    if (text.length > maxKeyCharacters) {
      throw this.fail('limit', `A key has more than ${maxKeyCharacters} characters`, start);
    }
    return text;
  }

  #scalar(node: Scalar.Parsed): Leaf {
    const [start, end] = node.range;
    const style = styles[node.type ?? 'PLAIN'] ?? 'plain';
    const text = scalarText(node, style);
    const leaf = resolveScalar(text, style, node.tag);
    if (leaf === 'too_large') {
      throw this.fail('unsupported', 'An integer beyond 64 signed bits cannot be encrypted', start);
    }
    if (leaf === undefined) throw this.fail('parse_error', 'A value does not fit its tag', start);
    return { kind: 'leaf', type: leaf.type, bytes: leaf.bytes, style, at: this.span(start, end) };
  }
}

// YAML 1.1 takes U+2028 and U+2029 for line breaks, so go-yaml writes indentation after them that is no content.
function scalarText(node: Scalar.Parsed, style: ScalarStyle): string {
  const text = typeof node.value === 'string' ? node.value : (node.source ?? '');
  return style === 'plain' || style === 'single' ? text.replace(/([\u2028\u2029]) +/g, '$1') : text;
}

const errorTexts: Readonly<Record<string, string>> = {
  BAD_INDENT: 'The indentation does not fit',
  TAB_AS_INDENT: 'A tab is used for indentation',
  MISSING_CHAR: 'A closing quote, bracket or other sign is missing',
  BLOCK_AS_IMPLICIT_KEY: 'A block stands where a key is wanted',
  MULTILINE_IMPLICIT_KEY: 'A key without "?" must be on one line',
  BAD_SCALAR_START: 'A plain value cannot begin with this sign',
  UNEXPECTED_TOKEN: 'There is something here that does not belong',
  DUPLICATE_KEY: 'A key stands twice in one mapping',
};

function describeError(code: YAMLError['code']): string {
  return `The YAML cannot be read: ${errorTexts[code] ?? 'the syntax is wrong'}`;
}
