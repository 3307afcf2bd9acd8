// INI as SOPS reads and writes it: sections of strings, the metadata flattened in the section "sops" at the end.
// Whatever is written has been read back: go-ini's quotes cannot hold every text, and what they cannot is refused.
import { SopsError } from '../sops-error.ts';
import { type Entry, entriesOf, type Mapping, type Tree } from '../tree.ts';
import { type FlatField, flattenMetadata, inOrderOf, unflattenMetadata } from './flat-metadata.ts';
import { defaultLimits, type Format, type Limits, onlyDocument, type ParsedText } from './format.ts';
import { defaultSection, readIni, type TextSection, writeIni } from './ini-text.ts';
import { decodeRawText, encodeRawText } from './raw-text.ts';
import { isBlock, refuseBlock } from './sops-block.ts';
import { sealedTextOf, textOf } from './text-values.ts';

/** A parsed INI file with the order in which its metadata stand: SOPS 3.12 writes them at random. */
export type ParsedIni = ParsedText & { readonly fieldNames: readonly string[]; readonly hasCrlf: boolean };

export const iniFormat: Format<ParsedIni> = {
  name: 'ini',
  typedMetadata: false,
  hasRules: true,
  parse: parseIni,
  parsePlain(bytes, limits) {
    const root = readIni(bytes, limits);
    refuseBlock(root);
    return { documents: [root] };
  },
  format: (tree, metadata) => {
    return encodeRawText(writeChecked(sectionsOf(tree, sealedTextOf), flattenMetadata(metadata)));
  },
  formatPlain: (tree) => encodeRawText(writeChecked(sectionsOf(tree, textOf), [])),
  rewrite(parsed, tree, metadata) {
    const fields = inOrderOf(parsed.fieldNames, flattenMetadata(metadata));
    const sections = sectionsOf(tree, sealedTextOf);
    const text = writeChecked(sections, fields);
    const crlf = text.replaceAll('\n', '\r\n');
    const isKept = parsed.hasCrlf && readsBack(crlf, sections) === undefined;
    return parseIni(encodeRawText(isKept ? crlf : text), defaultLimits);
  },
};

function parseIni(bytes: Uint8Array, limits: Limits): ParsedIni {
  const root = readIni(bytes, limits);
  const [block, second] = root.items.filter(isBlock) as Entry[];
  if (second?.at !== undefined) {
    throw new SopsError('parse_error', 'The section "sops" stands there twice', { position: second.at });
  }
  const fields = block === undefined ? [] : fieldsOf(block);
  const document: Mapping = { ...root, items: root.items.filter((item) => item !== block) };
  return {
    tree: { documents: [document] },
    metadata: block === undefined ? undefined : unflattenMetadata(fields),
    features: [],
    bytes,
    fieldNames: fields.map(({ name }) => name),
    hasCrlf: Buffer.from(bytes).includes('\r\n'),
  };
}

function fieldsOf({ value }: Entry): FlatField[] {
  if (value.kind !== 'mapping') return [];
  return entriesOf(value).map(({ key, value: field, ...place }) => {
    return { ...place, name: key, text: field.kind === 'leaf' ? decodeRawText(field.bytes) : '' };
  });
}

function sectionsOf(tree: Tree, print: typeof textOf): TextSection[] {
  return entriesOf(onlyDocument(tree)).map(({ key: name, value }) => {
    if (value.kind !== 'mapping') {
      const message = 'INI has two levels: what is at top level must be a mapping';
      throw new SopsError('unsupported', message, { path: [name] });
    }
    const items = value.items.map((item) => {
      if (item.kind === 'comment') return item;
      return { kind: item.kind, key: item.key, text: print(item.value, [name, item.key]) };
    });
    return { name, items };
  });
}

function writeChecked(sections: readonly TextSection[], fields: readonly FlatField[]): string {
  const block = fields.map(({ name, text }) => {
    return { kind: 'entry' as const, key: name, text: text.replaceAll('\n', '\\n') };
  });
  const text = writeIni(fields.length === 0 ? sections : [...sections, { name: 'sops', items: block }]);
  const lost = readsBack(text, sections);
  if (lost === undefined) return text;
  throw new SopsError('unsupported', 'INI cannot hold a name or value of this section', { path: [lost] });
}

// The name of the first section that the text does not hold as it was meant; undefined when all is well.
function readsBack(text: string, sections: readonly TextSection[]): string | undefined {
  const wanted = sections.filter(isNotEmptyDefault);
  const read = sectionsIn(text).filter(isNotEmptyDefault);
  const wrong = wanted.findIndex((section, index) => !isSameSection(section, read[index]));
  if (wrong !== -1) return wanted[wrong]?.name;
  return read.length === wanted.length ? undefined : read[wanted.length]?.name;
}

function sectionsIn(text: string): TextSection[] {
  try {
    const root = readIni(encodeRawText(text), defaultLimits);
    return sectionsOf(
      { documents: [{ ...root, items: root.items.filter((item) => !isBlock(item)) }] },
      textOf,
    );
  } catch (error) {
    if (error instanceof SopsError) return [];
    throw error;
  }
}

// One is there in any case, before the first header.
function isNotEmptyDefault({ name, items }: TextSection): boolean {
  return name !== defaultSection || items.some(({ kind }) => kind === 'entry');
}

function isSameSection(a: TextSection, b: TextSection | undefined): boolean {
  const [ours, theirs] = [a, b].map((section) =>
    section?.items.flatMap((item) => {
      return item.kind === 'entry' ? [[item.key, item.text]] : [];
    }),
  );
  return a.name === b?.name && JSON.stringify(ours) === JSON.stringify(theirs);
}
