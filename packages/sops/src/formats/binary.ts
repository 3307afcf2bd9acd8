// Any file as one value: encrypted it is JSON with the key "data", whose bytes are the file's.

import { SopsError } from '../sops-error.ts';
import { type Entry, findEntry, mappingOf, stringLeaf } from '../tree.ts';
import { checkSize, type Format, onlyDocument } from './format.ts';
import { jsonFormat, type ParsedJson } from './json.ts';

const dataKey = 'data';

export const binaryFormat: Format<ParsedJson> = {
  ...jsonFormat,
  name: 'binary',
  hasRules: false,
  parsePlain(bytes, limits) {
    checkSize(bytes, limits);
    return { documents: [mappingOf([[dataKey, stringLeaf(bytes)]])] };
  },
  formatPlain: (tree) => dataOf(findEntry(onlyDocument(tree), dataKey)),
};

function dataOf(entry: Entry | undefined): Uint8Array {
  if (entry?.value.kind === 'leaf' && ['str', 'bytes'].includes(entry.value.type)) return entry.value.bytes;
  const message = 'Only a file whose top level has a string named "data" can be printed as binary';
  throw new SopsError('unsupported', message);
}
