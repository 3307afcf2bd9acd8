// Bytes that must be text: nothing is replaced, nothing is dropped without the caller asking for it.
import { isUtf8 } from 'node:buffer';
import { positionAt, StrictError } from './strict-error.ts';

const byteOrderMark = '\ufeff';

/**
 * Decodes UTF-8. Throws `encoding` at the first byte that is not UTF-8, and at a byte order mark unless `allowBom`
 * is given, in which case a leading one is left out of the result. NUL is text here: the format's reader judges it.
 */
export function decodeUtf8(bytes: Uint8Array, options: { readonly allowBom?: boolean } = {}): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isUtf8(buffer)) throw invalidUtf8(buffer);
  const text = buffer.toString('utf8');
  if (!text.startsWith(byteOrderMark)) return text;
  if (options.allowBom === true) return text.slice(1);
  throw byteOrderMarkFound();
}

/** Throws `encoding` when `text` holds half of a surrogate pair or begins with a byte order mark. */
export function checkText(text: string): void {
  if (text.startsWith(byteOrderMark)) throw byteOrderMarkFound();
  const at = text.search(/\p{Surrogate}/u);
  if (at !== -1)
    throw new StrictError('encoding', 'The text holds half of a surrogate pair', positionAt(text, at));
}

function byteOrderMarkFound(): StrictError {
  return new StrictError('encoding', 'The text begins with a byte order mark; save it as plain UTF-8', {
    line: 1,
    column: 1,
  });
}

function invalidUtf8(bytes: Buffer): StrictError {
  // A lenient decode writes U+FFFD for what it cannot read, so the first difference after encoding again is the fault.
  const again = Buffer.from(bytes.toString('utf8'));
  let offset = 0;
  while (offset < bytes.length && bytes[offset] === again[offset]) offset += 1;
  const before = bytes.subarray(0, offset).toString('utf8');
  return new StrictError('encoding', 'The text is not valid UTF-8', positionAt(before, before.length));
}
