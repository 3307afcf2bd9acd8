// What a cloud says about a key that signs, judged on this machine: the public half must be a P-256 key, and a signature
// must verify under it before anybody sees it.
import { createPublicKey, verify } from 'node:crypto';
import { encodeBase64 } from '@clef/strict';
import { type KmsKey, parseKeyReference, type VerifyingKey } from './key-reference.ts';
import { KmsError } from './kms-error.ts';

/** @throws {KmsError} `mismatch` for anything but the SPKI of a P-256 key. */
export function readPublicKey(key: KmsKey, spki: Uint8Array): VerifyingKey {
  try {
    return parseKeyReference(`p256:${encodeBase64(spki)}`) as VerifyingKey;
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    throw mismatch(key, 'a public key that is none of P-256');
  }
}

/** @throws {KmsError} `mismatch` where the signature is not one of that key over that message. */
export function checkSignature(
  key: KmsKey,
  { spki }: VerifyingKey,
  message: Uint8Array,
  signature: Uint8Array,
): Uint8Array {
  const publicKey = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  if (verify('sha256', message, { key: publicKey, dsaEncoding: 'der' }, signature)) return signature;
  throw mismatch(key, 'a signature that its own public key does not verify');
}

function mismatch(key: KmsKey, what: string): KmsError {
  return new KmsError('mismatch', `The KMS gave ${what}`, { key: key.text });
}
