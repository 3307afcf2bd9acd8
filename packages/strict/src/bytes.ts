// Bytes as text: exactly one spelling of every byte string is accepted, so that two readers can never differ.
import { StrictError } from './strict-error.ts';

/**
 * Decodes RFC 4648 section 4 base64 in its canonical form: standard alphabet, padded, unused bits zero, no space or
 * line break. Throws `syntax` on any other spelling; the message holds nothing of the text.
 */
export function decodeBase64(text: string): Uint8Array {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array(text.length % 4 === 0 ? Math.max(0, (text.length / 4) * 3 - padding) : 0);
  const buffer = Buffer.from(bytes.buffer);
  buffer.write(text, 'base64');
  // Node's decoder skips what it does not know; only the canonical spelling survives the way back.
  if (buffer.toString('base64') !== text) {
    throw new StrictError('syntax', 'Expected canonical base64 (standard alphabet, padded)');
  }
  return bytes;
}

/** Encodes as canonical, padded, standard-alphabet base64. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Decodes lower-case hexadecimal. Throws `syntax` on upper case, odd length or anything else. */
export function decodeHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || /[^0-9a-f]/.test(text)) {
    throw new StrictError('syntax', 'Expected lower-case hexadecimal of even length');
  }
  const bytes = new Uint8Array(text.length / 2);
  Buffer.from(bytes.buffer).write(text, 'hex');
  return bytes;
}

/** Encodes as lower-case hexadecimal. */
export function encodeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
