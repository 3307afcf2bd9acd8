// dotenv as SOPS reads and writes it (spec sops-format, section 10.3): no quotes, no trimming, one line per value, and the
// two characters `\n` for a line break. Metadata are the keys that begin with "sops_".
import { SopsError } from '../sops-error.ts';
import type { Comment, Entry, Mapping, SourceSpan, Tree } from '../tree.ts';
import { stringLeaf } from '../tree.ts';
import { flattenMetadata, unflattenMetadata } from './flat-metadata.ts';
import {
  checkSize,
  defaultLimits,
  type Format,
  type Limits,
  onlyDocument,
  type ParsedText,
} from './format.ts';
import { decodeRawText, encodeRawText, isCleanText } from './raw-text.ts';
import { sealedTextOf, textOf } from './text-values.ts';

const metadataPrefix = 'sops_';

type Item = Entry | Comment;

export const dotenvFormat: Format = {
  name: 'dotenv',
  typedMetadata: false,
  hasRules: true,
  parse: parseDotenv,
  parsePlain(bytes, limits) {
    const items = readLines(bytes, limits);
    const taken = items.find(isMetadata);
    if (taken === undefined) return { documents: [{ kind: 'mapping', items }] };
    const message = 'The file has a key that begins with "sops_", as encrypted files do';
    throw new SopsError('already_encrypted', message, placeOf(taken));
  },
  format: formatSealed,
  formatPlain(tree) {
    const lines = onlyDocument(tree).items.map((item) => writeItem(item, textOf));
    return encodeRawText(lines.join(''));
  },
  rewrite: (_parsed, tree, metadata) => parseDotenv(formatSealed(tree, metadata), defaultLimits),
};

function parseDotenv(bytes: Uint8Array, limits: Limits): ParsedText {
  const items = readLines(bytes, limits);
  const fields = items.filter(isMetadata).map(({ key, value, ...place }) => {
    const text = value.kind === 'leaf' ? decodeRawText(value.bytes) : '';
    return { ...place, name: key.slice(metadataPrefix.length), text };
  });
  const document: Mapping = { kind: 'mapping', items: items.filter((item) => !isMetadata(item)) };
  const metadata = fields.length === 0 ? undefined : unflattenMetadata(fields);
  return { tree: { documents: [document] }, metadata, features: [], bytes };
}

function isMetadata(item: Item): item is Entry {
  return item.kind === 'entry' && item.key.startsWith(metadataPrefix);
}

function readLines(bytes: Uint8Array, limits: Limits): Item[] {
  checkSize(bytes, limits);
  const items: Item[] = [];
  let [line, start] = [1, 0];
  for (const text of decodeRawText(bytes).split('\n')) {
    const at: SourceSpan = { line, column: 1, start, end: start + text.length };
    if (text !== '') items.push(readLine(text, at));
    line += 1;
    start = at.end + 1;
  }
  return items;
}

function readLine(text: string, at: SourceSpan): Item {
  const equals = text.indexOf('=');
  const isComment = text.startsWith('#');
  if (!isComment && equals === -1) {
    throw new SopsError('parse_error', 'The line is neither a comment nor KEY=value', { position: at });
  }
  const name = isComment ? text : text.slice(0, equals);
  if (!isCleanText(name)) {
    const message = `The ${isComment ? 'comment' : 'key'} is not valid UTF-8`;
    throw new SopsError('parse_error', message, { position: at });
  }
  if (isComment) return { kind: 'comment', text: text.slice(1), at };
  const valueAt = { ...at, column: equals + 2, start: at.start + equals + 1 };
  const value = stringLeaf(encodeRawText(text.slice(equals + 1).replaceAll('\\n', '\n')));
  return {
    kind: 'entry',
    key: name,
    value: { ...value, at: valueAt },
    at: { ...at, end: at.start + equals },
  };
}

function formatSealed(tree: Tree, metadata: Mapping): Uint8Array {
  const lines = onlyDocument(tree).items.map((item) => writeItem(item, exactTextOf));
  const fields = flattenMetadata(metadata).map(({ name, text }) => writeLine(metadataPrefix + name, text));
  return encodeRawText([...lines, ...fields].join(''));
}

// What has the two characters already would read back as a line break.
function exactTextOf(...[node, keys]: Parameters<typeof sealedTextOf>): string {
  const text = sealedTextOf(node, keys);
  if (!text.includes('\\n')) return text;
  const message = 'dotenv cannot hold a value in clear in which a backslash stands before an n';
  throw new SopsError('unsupported', message, { path: keys });
}

function writeItem(item: Item, print: typeof textOf): string {
  if (item.kind === 'comment') return `#${item.text.replaceAll('\n', '\n#')}\n`;
  if (!/^(?!#|sops_)[^=\n]*$/.test(item.key) || !isCleanText(item.key)) {
    const message =
      'dotenv cannot hold a key with "=" or a line break, nor one that begins with "#" or "sops_"';
    throw new SopsError('unsupported', message, { path: [item.key] });
  }
  return writeLine(item.key, print(item.value, [item.key]));
}

function writeLine(key: string, text: string): string {
  return `${key}=${text.replaceAll('\n', '\\n')}\n`;
}

function placeOf({ at }: Entry): { position?: { line: number; column: number } } {
  return at === undefined ? {} : { position: at };
}
