// One value and its text ENC[AES256_GCM,…], both ways. Decrypted bytes leave only through the return value, after the tag.
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { encodeBase64 } from '@clef/strict';
import { type EncryptedType, isEncryptedType } from './leaf-values.ts';
import { SopsError } from './sops-error.ts';

const prefix = 'ENC[AES256_GCM,data:';
const decoder = new TextDecoder();
const ivBytes = 32;
const tagBytes = 16;
// OpenSSL takes no longer ones; no writer of SOPS files ever made one of another length than 32.
const maxIvBytes = 128;

/** A source of cryptographically strong random bytes; `crypto.randomBytes` outside tests. */
export type RandomBytes = (size: number) => Uint8Array;

/** The key of one file's values. Opaque, so that printing or serialising it shows nothing. */
export type DataKey = { readonly secret: KeyObject };

/** The parts of an encrypted value. */
export type EncryptedValue = {
  readonly data: Uint8Array;
  readonly iv: Uint8Array;
  readonly tag: Uint8Array;
  readonly type: string;
  /** True when the text is exactly what a writer produces: nothing after `]`, IV of 32 bytes, tag of 16, known type. */
  readonly exact: boolean;
};

/**
 * A data key from its 32 bytes.
 *
 * Throws SopsError 'value_auth_failed' for any other length: such a key never made a SOPS file.
 */
export function dataKeyFromBytes(bytes: Uint8Array): DataKey {
  if (bytes.length !== 32) {
    throw new SopsError('value_auth_failed', `The data key has ${bytes.length} bytes where 32 are needed`);
  }
  return { secret: createSecretKey(bytes) };
}

/** The 32 secret bytes of a data key, for wrapping. Never print or store them. */
export function dataKeyBytes(key: DataKey): Uint8Array {
  return new Uint8Array(key.secret.export());
}

/**
 * The parts of `ENC[…]`, or undefined when the text is not of that form.
 *
 * As SOPS reads it: from the first character, fields greedy, text after the last `]` tolerated (see `exact`);
 * base64 is canonical (spec sops-format, section 2.6).
 */
export function parseEncryptedValue(text: string): EncryptedValue | undefined {
  const fields = splitFields(text);
  if (fields === undefined) return undefined;
  const [data, iv, tag] = [fromBase64(fields.data), fromBase64(fields.iv), fromBase64(fields.tag)];
  if (data === undefined || iv === undefined || tag === undefined) return undefined;
  const isWhole = fields.rest === '' && iv.length === ivBytes && tag.length === tagBytes;
  const exact = isWhole && isEncryptedType(fields.type);
  return { data, iv, tag, type: fields.type, exact };
}

/** The same from the bytes of the text. */
export function parseEncryptedBytes(bytes: Uint8Array): EncryptedValue | undefined {
  // All that counts is ASCII; whatever else stands behind the value keeps its place.
  const latin = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return parseEncryptedValue(latin) ?? parseEncryptedValue(decoder.decode(bytes));
}

/** Canonical base64, as `decodeBase64`, for ciphertext only: the bytes may share memory with others of their kind. */
function fromBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

type Fields = Readonly<Record<'data' | 'iv' | 'tag' | 'type' | 'rest', string>>;

// Searching from the right is what greedy groups mean, without a regular expression's backtracking. No field is empty.
function splitFields(text: string): Fields | undefined {
  if (!text.startsWith(prefix)) return undefined;
  const newline = text.indexOf('\n');
  const line = newline === -1 ? text : text.slice(0, newline);
  const close = line.lastIndexOf(']');
  const type = lastIndexBefore(line, ',type:', close);
  const tag = lastIndexBefore(line, ',tag:', type);
  const iv = lastIndexBefore(line, ',iv:', tag);
  if (iv <= prefix.length) return undefined;
  return {
    data: line.slice(prefix.length, iv),
    iv: line.slice(iv + 4, tag),
    tag: line.slice(tag + 5, type),
    type: line.slice(type + 6, close),
    rest: text.slice(close + 1),
  };
}

function lastIndexBefore(line: string, name: string, end: number): number {
  const latest = end - name.length - 1;
  return latest < 0 ? -1 : line.lastIndexOf(name, latest);
}

/** The `ENC[…]` text of some bytes under a fresh random IV of 32 bytes. The bytes must not be empty. */
export function encryptValue(
  key: DataKey,
  plaintext: Uint8Array,
  { aad, type, randomBytes }: { aad: string; type: EncryptedType; randomBytes: RandomBytes },
): string {
  const iv = randomBytes(ivBytes);
  if (iv.length !== ivBytes) throw new RangeError('The random source gave too few bytes');
  const cipher = createCipheriv('aes-256-gcm', key.secret, iv, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(aad, 'utf8'));
  const data = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const [data64, iv64, tag64] = [data, iv, cipher.getAuthTag()].map((part) => encodeBase64(part));
  return `${prefix}${data64},iv:${iv64},tag:${tag64},type:${type}]`;
}

/**
 * The bytes of an encrypted value, or undefined when the tag does not verify, whatever the reason.
 */
export function openValue(key: DataKey, value: EncryptedValue, aad: string): Uint8Array | undefined {
  if (value.tag.length !== tagBytes || value.iv.length > maxIvBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key.secret, value.iv, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(aad, 'utf8'));
  decipher.setAuthTag(value.tag);
  const plaintext = decipher.update(value.data);
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength);
}
