// How the kit's artifacts are put together, from formats.md and not from the product: a DSSE envelope, a payload, an age
// file, each step open to one fault. All chance comes from a label, so that the same label gives the same bytes.
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { Encrypter, identityToRecipient } from 'age-encryption';
import { awsArn, gcpName, wrapOnAws, wrapOnGcp } from './kms.mjs';

export const payloadType = 'application/vnd.clef.artifact.v1+json';
export const sha256 = (data) => createHash('sha256').update(data).digest();
const base64 = (bytes) => Buffer.from(bytes).toString('base64');
const seedOf = (name) => sha256(`clef artifact vectors: ${name}`);

/** Runs `make` with all chance drawn from a label. */
export async function withLabel(label, make) {
  const original = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  const platform = globalThis.crypto;
  let block = 0;
  const getRandomValues = (array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let at = 0; at < bytes.length; at += 32, block += 1) {
      bytes.set(seedOf(`${label} ${block}`).subarray(0, bytes.length - at), at);
    }
    return array;
  };
  const seeded = { getRandomValues, subtle: platform.subtle };
  Object.defineProperty(globalThis, 'crypto', { value: seeded, configurable: true, writable: true });
  try {
    return await make();
  } finally {
    Object.defineProperty(globalThis, 'crypto', original);
  }
}

const spkiP256 = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
const pkcs8Ed25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const orderP256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** A test key that signs: `text` is its key reference, `keyId` its ID, `sign` signs bytes. */
export function ed25519(name) {
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Ed25519, seedOf(name)]),
    format: 'der',
    type: 'pkcs8',
  });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return signer('ed25519', spki, (message) => sign(null, message, privateKey), privateKey);
}

export function ecdsa(name) {
  const secret = seedOf(name);
  const spki = Buffer.concat([spkiP256, p256.getPublicKey(secret, false)]);
  const signWith = (format) => (message) =>
    Buffer.from(p256.sign(sha256(message), secret, { prehash: false, lowS: false, format }));
  return { ...signer('p256', spki, signWith('der')), signRaw: signWith('compact') };
}

function signer(kind, spki, signBytes, privateKey) {
  const keyId = sha256(spki).toString('hex');
  return { text: `${kind}:${base64(spki)}`, keyId, sign: signBytes, privateKey };
}

/** The other valid signature that anybody can make of one of ECDSA: (r, n - s). */
export function flipS(der) {
  const length = der[3];
  const r = der.subarray(4, 4 + length);
  const s = BigInt(`0x${der.subarray(6 + length).toString('hex')}`);
  const hex = (orderP256 - s).toString(16).padStart(64, '0');
  const bytes = Buffer.from(hex, 'hex');
  const flipped = bytes[0] >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  const body = Buffer.concat([Buffer.of(2, r.length), r, Buffer.of(2, flipped.length), flipped]);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

/** DSSE v1, "PAE". */
export function preAuthenticationEncoding(payload, type = payloadType) {
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `),
    payload,
  ]);
}

export const header = {
  version: 1,
  repository: '5f0c6a3e-1b2c-4d3e-8f40-51627384a5b6',
  identity: 'api-gateway',
  environment: 'production',
  revision: 1767225600000,
  commit: '0123456789abcdef0123456789abcdef01234567',
  packedAt: '2026-01-01T00:00:00Z',
  expiresAt: '2026-01-31T00:00:00Z',
};
export const secrets = { DB_URL: 'postgres://localhost:5432/myapp', API_KEY: 'k-123' };

export function contextEntries({ repository, identity, environment, revision }, ciphertext) {
  return [
    ['clef:version', '1'],
    ['clef:repository', repository],
    ['clef:identity', identity],
    ['clef:environment', environment],
    ['clef:revision', String(revision)],
    ['clef:digest', sha256(ciphertext).toString('hex')],
  ];
}

export function additionalData(entries) {
  const parts = entries.map(([, value]) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(value));
    return Buffer.concat([length, Buffer.from(value)]);
  });
  return Buffer.concat([Buffer.from('clef.artifact.v1\0'), ...parts]);
}

/** JSON and spaces up to the next multiple of 4,096. */
export function padded(json) {
  const length = Buffer.byteLength(json);
  return Buffer.concat([Buffer.from(json), Buffer.alloc(Math.ceil(length / 4096) * 4096 - length, ' ')]);
}

export async function encryptTo(recipients, plaintext) {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return Buffer.from(await encrypter.encrypt(plaintext));
}

export async function encryptWithPassphrase(plaintext) {
  const encrypter = new Encrypter();
  encrypter.setPassphrase('passphrase');
  encrypter.setScryptWorkFactor(2);
  return Buffer.from(await encrypter.encrypt(plaintext));
}

/** A hybrid or X25519 identity of bytes, as age writes it. */
export function identityOf(kind, name) {
  const prefix = kind === 'hybrid' ? 'age-secret-key-pq-' : 'age-secret-key-';
  return bech32(prefix, seedOf(name)).toUpperCase();
}

const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

function bech32(prefix, bytes) {
  const words = [];
  let [value, bits] = [0, 0];
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) words.push((value >> (bits - 5)) & 31);
    value &= 0xfff;
  }
  if (bits > 0) words.push((value << (5 - bits)) & 31);
  const letters = [...prefix].map((letter) => letter.charCodeAt(0));
  const expanded = [...letters.map((code) => code >> 5), 0, ...letters.map((code) => code & 31)];
  const sum = polymod([...expanded, ...words, 0, 0, 0, 0, 0, 0]) ^ 1;
  const checksum = [0, 1, 2, 3, 4, 5].map((index) => (sum >> (5 * (5 - index))) & 31);
  return `${prefix}1${[...words, ...checksum].map((word) => alphabet[word]).join('')}`;
}

function polymod(values) {
  const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    generators.forEach((generator, bit) => {
      if ((top >> bit) & 1) sum ^= generator;
    });
  }
  return sum >>> 0;
}

export const awsKey = `awskms:///${awsArn}`;
export const gcpKey = `gcpkms://${gcpName}`;

/** Wraps a one-time private key under a context, for AWS or Google Cloud. */
export function wrap(key, identity, entries, label) {
  const nonce = seedOf(`nonce ${label}`).subarray(0, 12);
  const plaintext = Buffer.from(identity);
  return key === gcpKey
    ? wrapOnGcp(plaintext, additionalData(entries), nonce)
    : wrapOnAws(plaintext, entries, nonce);
}

/** The payload as text; `json` are fields in their order, texts stand as they are. */
export function payloadText(head, rest) {
  return JSON.stringify({ ...head, ...rest });
}

export function envelopeText(payload, signatures, { type = payloadType } = {}) {
  return JSON.stringify({ payloadType: type, payload: base64(payload), signatures });
}

export function signatureOf(key, payload) {
  return { keyid: key.keyId, sig: base64(key.sign(preAuthenticationEncoding(Buffer.from(payload)))) };
}

export { base64, identityToRecipient };
