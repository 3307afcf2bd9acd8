// Bytes as text where not all of them need be UTF-8: a byte that is not becomes half a surrogate pair (U+DC80 to
// U+DCFF), which UTF-8 has no other use for, so that every file goes through a string unharmed.
import { isUtf8 } from 'node:buffer';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/** The text of some bytes; {@link encodeRawText} gives the same bytes back. A byte order mark is a character like any other. */
export function decodeRawText(bytes: Uint8Array): string {
  return isUtf8(bytes) ? decoder.decode(bytes) : Array.from(decodedParts(bytes)).join('');
}

/** The bytes of a text that {@link decodeRawText} gave. */
export function encodeRawText(text: string): Uint8Array {
  if (isCleanText(text)) return encoder.encode(text);
  const parts = text.split(/([\udc80-\udcff])/u).map((part, index) => {
    return index % 2 === 0 ? encoder.encode(part) : Uint8Array.of(part.charCodeAt(0) - 0xdc00);
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** True when the text stands for valid UTF-8. */
export function isCleanText(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

function* decodedParts(bytes: Uint8Array): Generator<string> {
  let [start, at] = [0, 0];
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      if (start < at) yield decoder.decode(bytes.subarray(start, at));
      yield String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      start = at + 1;
    }
    at += Math.max(1, length);
  }
  yield decoder.decode(bytes.subarray(start));
}

// How many bytes the character at a place has; 0 when there is none.
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}
