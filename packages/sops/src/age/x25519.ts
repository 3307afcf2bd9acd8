// X25519 keys and the X25519 stanza of age, on node:crypto. Raw key bytes live only inside key objects.
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

const info = 'age-encryption.org/v1/X25519';
const zeroNonce = new Uint8Array(12);
const pkcs8Prefix = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20,
]);
const spkiPrefix = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00]);

/** An X25519 private key from its 32 bytes. */
export function x25519PrivateKey(bytes: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, bytes]), format: 'der', type: 'pkcs8' });
}

/** The 32 bytes of the public key that belongs to a private key. */
export function x25519PublicBytes(privateKey: KeyObject): Uint8Array {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return new Uint8Array(spki.subarray(spkiPrefix.length));
}

/** True when a shared secret with this point would be known to everyone (a point of low order). */
export function isLowOrderPoint(point: Uint8Array): boolean {
  return sharedSecret(x25519PrivateKey(new Uint8Array(32).fill(1)), point) === undefined;
}

/** The file key in a stanza's body, or undefined when this key does not open it. Throws nothing on hostile input. */
export function openX25519Stanza(
  privateKey: KeyObject,
  publicBytes: Uint8Array,
  stanza: { share: Uint8Array; body: Uint8Array },
): Uint8Array | 'low_order' | undefined {
  const secret = sharedSecret(privateKey, stanza.share);
  if (secret === undefined) return 'low_order';
  const key = wrappingKey(secret, stanza.share, publicBytes);
  return openChaCha20Poly1305(key, zeroNonce, stanza.body);
}

/** The share and body that wrap a file key for a public key, or undefined when the point is of low order. */
export function makeX25519Stanza(
  publicBytes: Uint8Array,
  fileKey: Uint8Array,
  ephemeralBytes: Uint8Array,
): { share: Uint8Array; body: Uint8Array } | undefined {
  const ephemeral = x25519PrivateKey(ephemeralBytes);
  const secret = sharedSecret(ephemeral, publicBytes);
  if (secret === undefined) return undefined;
  const share = x25519PublicBytes(ephemeral);
  return { share, body: sealChaCha20Poly1305(wrappingKey(secret, share, publicBytes), zeroNonce, fileKey) };
}

/** Ciphertext followed by its 16-byte tag. */
export function sealChaCha20Poly1305(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  const parts = [cipher.update(plaintext), cipher.final()];
  return Buffer.concat([...parts, cipher.getAuthTag()]);
}

/** The plaintext of ciphertext followed by its 16-byte tag, or undefined when it does not verify. */
export function openChaCha20Poly1305(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < 16) return undefined;
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  decipher.setAuthTag(sealed.subarray(sealed.length - 16));
  const plaintext = decipher.update(sealed.subarray(0, sealed.length - 16));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plaintext;
}

/** The X25519 secret that a key has with a point, or undefined when it is the same for everybody. */
export function sharedSecret(privateKey: KeyObject, point: Uint8Array): Uint8Array | undefined {
  const publicKey = createPublicKey({
    key: Buffer.concat([spkiPrefix, point]),
    format: 'der',
    type: 'spki',
  });
  try {
    const secret = diffieHellman({ privateKey, publicKey });
    return secret.every((byte) => byte === 0) ? undefined : secret;
  } catch {
    // OpenSSL refuses the all-zero secret by itself, with different errors in different versions.
    return undefined;
  }
}

function wrappingKey(secret: Uint8Array, share: Uint8Array, publicBytes: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, Buffer.concat([share, publicBytes]), info, 32));
}
