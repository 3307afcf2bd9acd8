// Bytes to the text that the YAML parser is given: limits, encoding, files that are something else, one repair.
import { decodeUtf8, StrictError } from '@clef/strict';
import { SopsError } from '../sops-error.ts';
import { checkSize, type Limits } from './format.ts';

/**
 * The text of a file without its byte order mark.
 *
 * Throws SopsError 'limit', or 'parse_error' for what is not UTF-8 and for files that are known to be something else.
 */
export function decodeYamlText(bytes: Uint8Array, limits: Limits): string {
  const text = decodeBytes(bytes, limits);
  refuseOtherFiles(text);
  return text;
}

function decodeBytes(bytes: Uint8Array, limits: Limits): string {
  checkSize(bytes, limits);
  if (bytes.length > 0 && bytes.every((byte) => byte === 0)) {
    throw new SopsError(
      'parse_error',
      'The file holds nothing but NUL bytes, as after a crash while writing',
    );
  }
  if (Buffer.from(bytes.subarray(0, 10)).toString('latin1') === '\0GITCRYPT\0') {
    throw new SopsError('parse_error', 'The file is locked by git-crypt');
  }
  try {
    return decodeUtf8(bytes, { allowBom: true });
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    const details = error.position === undefined ? {} : { position: error.position };
    throw new SopsError('parse_error', 'The file is not valid UTF-8', details);
  }
}

function refuseOtherFiles(text: string): void {
  if (text.startsWith('version https://git-lfs.github.com/spec/')) {
    throw new SopsError('parse_error', 'The file is a Git LFS pointer, not the file itself');
  }
  const marker = /^(?:<<<<<<<|>>>>>>>|\|\|\|\|\|\|\|) /m.exec(text);
  if (marker !== null) {
    const position = { line: text.slice(0, marker.index).split('\n').length, column: 1 };
    throw new SopsError('parse_error', 'The file holds the conflict markers of an unfinished merge', {
      position,
    });
  }
}

/**
 * Indents the closing brace that SOPS writes in column one for an empty mapping with comments, which is not YAML below
 * the top level (spec sops-format, section 10.1). The text is otherwise untouched.
 */
export function repairEmptyMappings(text: string): string {
  if (!/^\}/m.test(text)) return text;
  const lines = text.split('\n');
  return lines.map((line, at) => (/^\}\r?$/.test(line) ? commentIndent(lines, at) + line : line)).join('\n');
}

// The blanks before the comments above a line, when they stand alone between it and an opening brace.
function commentIndent(lines: readonly string[], below: number): string {
  let at = below - 1;
  while (/^ +#/.test(lines[at] ?? '')) at -= 1;
  const isEmptyMapping = at < below - 1 && /\{\r?$/.test(lines[at] ?? '');
  return isEmptyMapping ? (/^ +/.exec(lines[below - 1] ?? '')?.[0] ?? '') : '';
}
