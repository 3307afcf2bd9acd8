// SSH keys as age recipients and identities: ssh-ed25519 and ssh-rsa (spec age-format, section 5). A private key with a
// passphrase is unlocked only when a stanza is for it. No error here ever holds a key's text.
import {
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { decodeBase64, encodeBase64, StrictError } from '@clef/strict';
import { SopsError } from '../sops-error.ts';
import { readWire, type WireReader, wireNatural, wireString } from './ssh-wire.ts';
import { x25519PrivateKey, x25519PublicBytes } from './x25519.ts';

/** A public key. `wire` is its SSH encoding, `tag` what a stanza names it by. */
export type SshPublicKey = { readonly wire: Uint8Array; readonly tag: Uint8Array } & (
  | { readonly kind: 'ssh-ed25519'; readonly point: Uint8Array }
  | { readonly kind: 'ssh-rsa'; readonly key: KeyObject }
);

/** A private key as stanzas need it: for Ed25519 its Montgomery form. */
export type SshPrivateKey =
  | { readonly kind: 'ssh-ed25519'; readonly scalar: KeyObject; readonly montgomery: Uint8Array }
  | { readonly kind: 'ssh-rsa'; readonly key: KeyObject };

/** An SSH private key as an age identity. `recipient` is its public line, without a comment. */
export type SshIdentity = {
  readonly kind: 'ssh';
  readonly recipient: string;
  readonly publicKey: SshPublicKey;
  /** Undefined when a passphrase is needed and there is nobody to ask. Asks once; throws 'bad_identity' when it is wrong. */
  readonly unlock: () => Promise<SshPrivateKey | undefined>;
};

/** What a private key with a passphrase needs beside itself. */
export type SshIdentityOptions = {
  /** Asked when a stanza is for this key and the key has a passphrase. */
  readonly askPassphrase?: () => Promise<string>;
  /** The line of the `.pub` file, needed for old PEM files with a passphrase only. */
  readonly publicKey?: string;
};

const maxTextCharacters = 64 * 1024;
const leastRsaBits = 2048;
const mostRsaBits = 16_384;
const mostKdfRounds = 1024;
const magic = 'openssh-key-v1\0';

type Cipher = { readonly name: string; readonly keyBytes: number };

/** The ciphers that OpenSSH protects private keys with, those that authenticate excepted. */
const ciphers: ReadonlyMap<string, Cipher> = new Map(
  [128, 192, 256].flatMap((bits) =>
    ['ctr', 'cbc'].map((mode) => [`aes${bits}-${mode}`, { name: `aes-${bits}-${mode}`, keyBytes: bits / 8 }]),
  ),
);
const blockBytes = 16;

/**
 * A public key from a line of an `authorized_keys` or `.pub` file, comment allowed.
 *
 * Throws SopsError 'bad_recipient'; 'unsupported' for other algorithms. The text is never quoted.
 */
export function parseSshPublicKey(line: string): SshPublicKey {
  const [, algorithm, base64 = ''] = /^(ssh-\S+) ([A-Za-z0-9+/]+={0,2})(?: .*)?$/.exec(line) ?? [];
  if (algorithm !== undefined && algorithm !== 'ssh-ed25519' && algorithm !== 'ssh-rsa') {
    throw new SopsError('unsupported', 'Of SSH keys only ssh-ed25519 and ssh-rsa are age recipients');
  }
  const wire = line.length > maxTextCharacters ? undefined : decodeOrUndefined(base64);
  const key = wire === undefined ? undefined : publicKeyOf(wire);
  if (key !== undefined && key.kind === algorithm) return key;
  throw new SopsError(
    'bad_recipient',
    'The SSH recipient has a typing error, is cut short, or is under 2,048 bits',
  );
}

/**
 * A private key from the text of a key file: OpenSSH's own form, or PEM. With a passphrase it stays locked until a stanza
 * is for it.
 *
 * Throws SopsError 'bad_identity', and 'unsupported' for other algorithms and ciphers.
 */
export function parseSshIdentity(text: string, options: SshIdentityOptions = {}): SshIdentity {
  const { label, body } = pemOf(text);
  if (label === 'OPENSSH PRIVATE KEY') return openSshIdentity(decodeOrUndefined(body), options);
  const isLocked = label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type: 4,ENCRYPTED/m.test(text);
  return isLocked ? lockedPemIdentity(text, options) : identityOf(pemKey(text));
}

function lockedPemIdentity(text: string, { askPassphrase, publicKey }: SshIdentityOptions): SshIdentity {
  if (publicKey === undefined) {
    throw bad('has a passphrase and does not show its public key: its .pub file is needed beside it');
  }
  const expected = parseSshPublicKey(publicKey.trim());
  return lockedIdentity(expected, askPassphrase, (passphrase) => pemKey(text, passphrase));
}

function openSshIdentity(bytes: Uint8Array | undefined, options: SshIdentityOptions): SshIdentity {
  if (bytes === undefined || !startsWithMagic(bytes)) throw bad('is not in the form of OpenSSH');
  const { protection, wire, sealed } = openSshParts(readWire(bytes.subarray(magic.length)));
  const publicKey = publicKeyOf(wire);
  if (publicKey === undefined) throw otherAlgorithm();
  if (protection === undefined) return identityOf(readPrivate(sealed, publicKey), publicKey);
  return lockedIdentity(publicKey, options.askPassphrase, async (passphrase) =>
    readPrivate(await open(sealed, protection, passphrase), publicKey),
  );
}

function openSshParts(reader: WireReader): {
  protection: Protection | undefined;
  wire: Uint8Array;
  sealed: Uint8Array;
} {
  const [cipher, kdf, kdfOptions] = [reader.text(), reader.text(), reader.string()];
  if (cipher === undefined || kdf === undefined || kdfOptions === undefined) throw bad('is damaged');
  const isOpen = cipher === 'none' && kdf === 'none' && kdfOptions.length === 0;
  const protection = isOpen ? undefined : protectionOf(cipher, kdf, kdfOptions);
  const [count, wire, sealed] = [reader.uint32(), reader.string(), reader.string()];
  if (count === 1 && wire !== undefined && sealed !== undefined && reader.rest().length === 0) {
    return { protection, wire, sealed };
  }
  throw bad('is damaged, or holds more than one key');
}

type Protection = { readonly cipher: string; readonly salt: Uint8Array; readonly rounds: number };

function protectionOf(cipher: string, kdf: string, options: Uint8Array): Protection {
  if (kdf !== 'bcrypt' || !ciphers.has(cipher)) {
    throw new SopsError(
      'unsupported',
      'The SSH private key is protected in a way that is not supported: use ssh-keygen -Z aes256-ctr',
    );
  }
  const reader = readWire(options);
  const [salt, rounds] = [reader.string(), reader.uint32()];
  const isSane = salt !== undefined && salt.length > 0 && salt.length <= 64 && reader.rest().length === 0;
  if (!isSane || rounds === undefined || rounds < 1 || rounds > mostKdfRounds) {
    throw bad(`has a protection that is damaged, or of more than ${mostKdfRounds} rounds`);
  }
  return { cipher, salt, rounds };
}

async function open(
  sealed: Uint8Array,
  { cipher, salt, rounds }: Protection,
  passphrase: string,
): Promise<Uint8Array> {
  const { name, keyBytes } = ciphers.get(cipher) as Cipher;
  if (sealed.length === 0 || sealed.length % blockBytes !== 0) throw bad('is damaged');
  const { default: bcrypt } = await import('bcrypt-pbkdf');
  const material = new Uint8Array(keyBytes + blockBytes);
  const secret = Buffer.from(passphrase, 'utf8');
  const status = bcrypt.pbkdf(secret, secret.length, salt, salt.length, material, material.length, rounds);
  if (status !== 0) throw bad('does not open with an empty passphrase');
  const decipher = createDecipheriv(name, material.subarray(0, keyBytes), material.subarray(keyBytes));
  decipher.setAutoPadding(false);
  return Buffer.concat([decipher.update(sealed), decipher.final()]);
}

function lockedIdentity(
  publicKey: SshPublicKey,
  askPassphrase: (() => Promise<string>) | undefined,
  openWith: (passphrase: string) => KeyObject | Promise<KeyObject>,
): SshIdentity {
  let unlocked: Promise<SshPrivateKey> | undefined;
  const unlockOnce = async (ask: () => Promise<string>): Promise<SshPrivateKey> => {
    const key = await openWith(await ask());
    if (!Buffer.from(wireOf(key)).equals(publicKey.wire)) throw bad('is not the one of its public key');
    return privateKeyOf(key, publicKey);
  };
  return {
    kind: 'ssh',
    recipient: lineOf(publicKey),
    publicKey,
    unlock: async () => {
      if (askPassphrase === undefined) return undefined;
      unlocked ??= unlockOnce(askPassphrase);
      return unlocked;
    },
  };
}

function identityOf(key: KeyObject, known?: SshPublicKey): SshIdentity {
  const publicKey = known ?? publicKeyOf(wireOf(key));
  if (publicKey === undefined) throw otherAlgorithm();
  if (!Buffer.from(wireOf(key)).equals(publicKey.wire)) throw bad('is not the one of its public key');
  const privateKey = privateKeyOf(key, publicKey);
  return { kind: 'ssh', recipient: lineOf(publicKey), publicKey, unlock: async () => privateKey };
}

function privateKeyOf(key: KeyObject, { kind }: SshPublicKey): SshPrivateKey {
  if (kind === 'ssh-rsa') return { kind, key };
  const seed = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url');
  const scalar = x25519PrivateKey(createHash('sha512').update(seed).digest().subarray(0, 32));
  return { kind, scalar, montgomery: x25519PublicBytes(scalar) };
}

/** The secret part: two equal numbers, the key, a comment, and the padding 1, 2, 3… */
function readPrivate(bytes: Uint8Array, { kind }: SshPublicKey): KeyObject {
  const reader = readWire(bytes);
  const [check, again] = [reader.uint32(), reader.uint32()];
  if (check === undefined || check !== again) throw bad('does not open with this passphrase, or is damaged');
  const algorithm = reader.text();
  const jwk = algorithm !== kind ? undefined : kind === 'ssh-rsa' ? readRsa(reader) : readEd25519(reader);
  const hasComment = reader.string() !== undefined;
  const isPadded = hasComment && reader.rest().every((byte, index) => byte === index + 1);
  if (jwk === undefined || !isPadded) throw bad('is damaged');
  return keyFrom(() => createPrivateKey({ key: jwk, format: 'jwk' }));
}

function readEd25519(reader: WireReader): JsonWebKey | undefined {
  const [x, secret] = [reader.string(), reader.string()];
  if (x?.length !== 32 || secret?.length !== 64 || !Buffer.from(secret.subarray(32)).equals(x))
    return undefined;
  return { kty: 'OKP', crv: 'Ed25519', x: base64Url(x), d: base64Url(secret.subarray(0, 32)) };
}

function readRsa(reader: WireReader): JsonWebKey | undefined {
  const [n, e, d] = [reader.natural(), reader.natural(), reader.natural()];
  const [qi, p, q] = [reader.natural(), reader.natural(), reader.natural()];
  if (!n || !e || !d || !qi || !p || !q) return undefined;
  const part = (prime: Uint8Array): string => base64Url(bytesOf(numberOf(d) % (numberOf(prime) - 1n)));
  if (numberOf(p) < 3n || numberOf(q) < 3n) return undefined;
  return {
    kty: 'RSA',
    n: base64Url(n),
    e: base64Url(e),
    d: base64Url(d),
    p: base64Url(p),
    q: base64Url(q),
    dp: part(p),
    dq: part(q),
    qi: base64Url(qi),
  };
}

function pemKey(text: string, passphrase?: string): KeyObject {
  return keyFrom(() => createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) }));
}

function keyFrom(make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch {
    // OpenSSL's messages say nothing that helps, and may quote what they read.
    throw bad('does not open with this passphrase, or is damaged');
  }
}

function publicKeyOf(wire: Uint8Array): SshPublicKey | undefined {
  const reader = readWire(wire);
  const kind = reader.text();
  const tag = createHash('sha256').update(wire).digest().subarray(0, 4);
  if (kind === 'ssh-ed25519') {
    const point = reader.string();
    return point?.length === 32 && reader.rest().length === 0 ? { kind, wire, tag, point } : undefined;
  }
  if (kind !== 'ssh-rsa') return undefined;
  const [e, n] = [reader.natural(), reader.natural()];
  if (e === undefined || n === undefined || reader.rest().length > 0) return undefined;
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (bits < leastRsaBits || bits > mostRsaBits || e.length > 4 || ((e.at(-1) ?? 0) & 1) === 0)
    return undefined;
  const jwk = { kty: 'RSA', n: base64Url(n), e: base64Url(e) };
  return { kind, wire, tag, key: createPublicKey({ key: jwk, format: 'jwk' }) };
}

function wireOf(key: KeyObject): Uint8Array {
  const { kty, crv, n = '', e = '', x = '' } = createPublicKey(key).export({ format: 'jwk' });
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
  if (kty === 'RSA')
    return Buffer.concat([wireString('ssh-rsa'), wireNatural(bytes(e)), wireNatural(bytes(n))]);
  if (crv === 'Ed25519') return Buffer.concat([wireString('ssh-ed25519'), wireString(bytes(x))]);
  throw otherAlgorithm();
}

function lineOf({ kind, wire }: SshPublicKey): string {
  return `${kind} ${encodeBase64(wire)}`;
}

function pemOf(text: string): { label: string; body: string } {
  const pattern = /^\s*-----BEGIN ([A-Z ]*PRIVATE KEY)-----\r?\n([\s\S]*?)\r?\n-----END \1-----\s*$/;
  const [, label, body = ''] = (text.length > maxTextCharacters ? null : pattern.exec(text)) ?? [];
  if (label === undefined) throw bad('is not a private key file of SSH');
  return { label, body: body.replace(/[\r\n]+/g, '') };
}

function startsWithMagic(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, magic.length)).toString('latin1') === magic;
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);
}

function bytesOf(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function decodeOrUndefined(text: string): Uint8Array | undefined {
  try {
    return decodeBase64(text);
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

function otherAlgorithm(): SopsError {
  return new SopsError(
    'unsupported',
    'The SSH private key is neither Ed25519 nor RSA of 2,048 bits and more',
  );
}

function bad(why: string): SopsError {
  return new SopsError('bad_identity', `The SSH private key ${why}`);
}
