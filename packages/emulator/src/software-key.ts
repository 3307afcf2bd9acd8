// A key in software: AES-256-GCM. A blob carries the name of its key in clear and authenticates it together with the
// caller's associated data, so that a blob is worth nothing under another key, name or context.
import { createCipheriv, createDecipheriv } from 'node:crypto';

export type RandomBytes = (length: number) => Uint8Array;

const magic = new TextEncoder().encode('CLEFEMU1');
const nonceBytes = 12;
const tagBytes = 16;

/** Encrypts to `magic, length and bytes of keyName, nonce, ciphertext, tag`. */
export function sealBlob(
  key: { readonly keyName: string; readonly material: Uint8Array },
  plaintext: Uint8Array,
  associatedData: Uint8Array,
  randomBytes: RandomBytes,
): Uint8Array {
  const header = formatHeader(key.keyName);
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key.material, nonce, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.concat([header, associatedData]));
  const body = cipher.update(plaintext);
  return Uint8Array.from(Buffer.concat([header, nonce, body, cipher.final(), cipher.getAuthTag()]));
}

/** The name of the key that a blob was made with; undefined when it is no blob of ours. Nothing is verified yet. */
export function keyNameOf(blob: Uint8Array): string | undefined {
  const at = magic.length;
  if (blob.length < at + 2 || !magic.every((byte, index) => blob[index] === byte)) return undefined;
  const length = Buffer.from(blob.buffer, blob.byteOffset).readUInt16BE(at);
  if (blob.length < at + 2 + length + nonceBytes + tagBytes) return undefined;
  return Buffer.from(blob.subarray(at + 2, at + 2 + length)).toString('latin1');
}

/** Decrypts; undefined, for whatever reason, when the blob, the key and the associated data do not belong together. */
export function openBlob(
  key: { readonly keyName: string; readonly material: Uint8Array },
  blob: Uint8Array,
  associatedData: Uint8Array,
): Uint8Array | undefined {
  if (keyNameOf(blob) !== key.keyName) return undefined;
  const header = formatHeader(key.keyName);
  const nonce = blob.subarray(header.length, header.length + nonceBytes);
  const body = blob.subarray(header.length + nonceBytes, blob.length - tagBytes);
  const decipher = createDecipheriv('aes-256-gcm', key.material, nonce, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.concat([header, associatedData]));
  decipher.setAuthTag(blob.subarray(blob.length - tagBytes));
  try {
    return Uint8Array.from(Buffer.concat([decipher.update(body), decipher.final()]));
  } catch {
    // The tag does not fit; the cipher has nothing more to say.
    return undefined;
  }
}

function formatHeader(keyName: string): Uint8Array {
  const name = Buffer.from(keyName, 'latin1');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(name.length);
  return Buffer.concat([magic, length, name]);
}
