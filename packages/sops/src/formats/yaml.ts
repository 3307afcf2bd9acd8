// YAML as SOPS reads and writes it: several documents, the sops block repeated as the last entry of each.
import { SopsError } from '../sops-error.ts';
import { type Entry, isSameTree, type Mapping, type Tree, withoutComments } from '../tree.ts';
import { defaultLimits, type Format, type Layout, type Limits, type ParsedText } from './format.ts';
import { blockOf, isBlock, refuseBlock, withBlocks, withoutBlock } from './sops-block.ts';
import { readYaml, type YamlText } from './yaml-read.ts';
import { applySplices, planSplices, type Splice } from './yaml-splice.ts';
import { writeDocument } from './yaml-write.ts';

const defaultStep = 4;
const encoder = new TextEncoder();

/** A parsed YAML file with what is needed to change its text. */
export type ParsedYaml = ParsedText & { readonly source: YamlText };

export const yamlFormat: Format<ParsedYaml> = {
  name: 'yaml',
  typedMetadata: true,
  hasRules: true,
  parse: parseYaml,
  parsePlain: parsePlainYaml,
  format: (tree, metadata, layout) => encoder.encode(writeTree(withBlocks(tree, metadata), stepOf(layout))),
  formatPlain: (tree, layout) => encoder.encode(writeTree(tree, stepOf(layout))),
  rewrite(parsed, tree, metadata) {
    const step = indentationStep(parsed.metadata);
    const wanted = withBlocks(tree, metadata);
    return readSpliced(parsed.source, wanted, step) ?? readWritten(parsed.source, wanted, step);
  },
};

function parseYaml(bytes: Uint8Array, limits: Limits): ParsedYaml {
  const source = readYaml(bytes, limits);
  const roots = source.roots.map((root): Mapping => root ?? { kind: 'mapping', items: [] });
  const block = roots[0] === undefined ? undefined : blockOf(roots[0]);
  const tree = { documents: roots.map(withoutBlock) };
  return { tree, metadata: block, features: source.features, bytes, source };
}

function parsePlainYaml(bytes: Uint8Array, limits: Limits): Tree {
  if (bytes.length === 0) throw new SopsError('empty_file', 'The file is empty');
  const { roots } = readYaml(bytes, limits);
  const documents = roots.filter((root) => root !== undefined);
  if (documents.length === 0) throw new SopsError('parse_error', 'The file holds no document');
  for (const document of documents) refuseBlock(document);
  return { documents };
}

function writeTree(tree: Tree, step: number): string {
  return tree.documents.map((document) => writeDocument(document, step)).join('---\n');
}

// What go-yaml makes of the number: none is 4, what it cannot do is 2.
function stepOf({ indent = defaultStep }: Layout = {}): number {
  if (indent === 0) return defaultStep;
  return indent >= 2 && indent <= 9 ? indent : 2;
}

// SOPS indents the whole file as it indents its own block.
function indentationStep(metadata: Mapping | undefined): number {
  const column = metadata?.items.find((item) => item.kind === 'entry')?.at?.column ?? defaultStep + 1;
  return column >= 3 && column <= 9 ? column - 1 : defaultStep;
}

function splice(source: YamlText, wanted: Tree, step: number): Uint8Array | undefined {
  if (source.roots.length !== wanted.documents.length) return undefined;
  const all: Splice[] = [];
  for (const [index, after] of wanted.documents.entries()) {
    const before = source.roots[index];
    if (before === undefined) return undefined;
    const planned = planSplices(source.text, before, inPlaceOf(before, after), step);
    if (planned === undefined) return undefined;
    all.push(...planned);
  }
  return encodeLike(
    source,
    applySplices(
      source.text,
      all.map((one) => withLineEnds(source.text, one)),
    ),
  );
}

// The block may stand anywhere in the file; it is compared where it is.
function inPlaceOf(before: Mapping, after: Mapping): Mapping {
  const at = before.items.findIndex(isBlock);
  if (at === -1 || at === before.items.length - 1) return after;
  const block = after.items.at(-1) as Entry;
  const rest = after.items.slice(0, -1);
  const following = before.items[at + 1];
  const index = rest.findIndex((item) => isCounterpart(item, following));
  return index === -1 ? after : { ...after, items: [...rest.slice(0, index), block, ...rest.slice(index)] };
}

function isCounterpart(item: Mapping['items'][number], other: Mapping['items'][number] | undefined): boolean {
  if (item.kind === 'entry') return other?.kind === 'entry' && item.key === other.key;
  return other?.kind === 'comment' && item.text === other.text;
}

function withLineEnds(text: string, one: Splice): Splice {
  return usesCrlf(text) ? { ...one, text: one.text.replaceAll('\n', '\r\n') } : one;
}

function usesCrlf(text: string): boolean {
  return text.includes('\r\n');
}

function encodeLike(source: YamlText, text: string): Uint8Array {
  return encoder.encode(source.hasByteOrderMark ? `\ufeff${text}` : text);
}

// The safety net under splicing: the text must say exactly what was meant, or it is written anew.
function readSpliced(source: YamlText, wanted: Tree, step: number): ParsedYaml | undefined {
  const bytes = splice(source, wanted, step);
  if (bytes === undefined) return undefined;
  try {
    const parsed = parseYaml(bytes, defaultLimits);
    return saysTheSame(parsed, wanted) ? parsed : undefined;
  } catch (error) {
    if (error instanceof SopsError) return undefined;
    throw error;
  }
}

function readWritten(source: YamlText, wanted: Tree, step: number): ParsedYaml {
  const parsed = parseYaml(encodeLike(source, writeTree(wanted, step)), defaultLimits);
  if (!saysTheSame(parsed, wanted, withoutComments))
    throw new Error('The YAML written does not read back as meant');
  return parsed;
}

function saysTheSame(
  { source }: ParsedYaml,
  wanted: Tree,
  prepare: (node: Mapping) => Mapping = (node) => node,
): boolean {
  const roots = source.roots.map((root): Mapping => root ?? { kind: 'mapping', items: [] });
  const [read, meant] = [roots, wanted.documents].map((documents) => ({
    documents: documents.map((document) => prepare(blockLast(document))),
  }));
  return read !== undefined && meant !== undefined && isSameTree(read, meant);
}

function blockLast(root: Mapping): Mapping {
  return { ...root, items: [...root.items.filter((item) => !isBlock(item)), ...root.items.filter(isBlock)] };
}
