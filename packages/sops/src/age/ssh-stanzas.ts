// The two stanzas for SSH keys, both ways (spec age-format, section 5). Ed25519 keys are used in their Montgomery form.
import { constants, hkdfSync, privateDecrypt, publicEncrypt } from 'node:crypto';
import { SopsError } from '../sops-error.ts';
import type { RandomBytes } from '../value-cipher.ts';
import { type AgeStanza, decodeUnpadded, unpadded } from './age-file.ts';
import type { SshIdentity, SshPrivateKey, SshPublicKey } from './ssh-keys.ts';
import {
  openChaCha20Poly1305,
  sealChaCha20Poly1305,
  sharedSecret,
  x25519PrivateKey,
  x25519PublicBytes,
} from './x25519.ts';

const ed25519Info = 'age-encryption.org/v1/ssh-ed25519';
const rsaLabel = Buffer.from('age-encryption.org/v1/ssh-rsa');
const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256', oaepLabel: rsaLabel } as const;
const zeroNonce = new Uint8Array(12);
const tagBytes = 4;

/** The stanza that wraps a file key for an SSH key. Throws 'bad_recipient' for a point that protects nothing. */
export async function makeSshStanza(
  publicKey: SshPublicKey,
  fileKey: Uint8Array,
  randomBytes: RandomBytes,
): Promise<AgeStanza> {
  const tag = unpadded(publicKey.tag);
  if (publicKey.kind === 'ssh-rsa') {
    return { args: ['ssh-rsa', tag], body: publicEncrypt({ key: publicKey.key, ...oaep }, fileKey) };
  }
  const point = await montgomeryOf(publicKey.point);
  const ephemeral = x25519PrivateKey(randomBytes(32));
  const secret = point === undefined ? undefined : sharedSecret(ephemeral, point);
  const key = secret === undefined || point === undefined ? undefined : { secret, point };
  if (key === undefined)
    throw new SopsError('bad_recipient', 'The SSH recipient is a point that protects nothing');
  const share = x25519PublicBytes(ephemeral);
  const wrapping = wrappingKey(key.secret, { share, point: key.point, wire: publicKey.wire });
  if (wrapping === undefined)
    throw new SopsError('bad_recipient', 'The SSH recipient is a point that protects nothing');
  return {
    args: ['ssh-ed25519', tag, unpadded(share)],
    body: sealChaCha20Poly1305(wrapping, zeroNonce, fileKey),
  };
}

/** The file key, or why not; the key is unlocked only when a stanza names it. */
export async function openSshStanza(
  stanza: AgeStanza,
  identity: SshIdentity,
): Promise<Uint8Array | 'malformed' | 'no_match'> {
  const { publicKey } = identity;
  if (stanza.args[0] !== publicKey.kind) return 'no_match';
  const parts = partsOf(stanza);
  if (parts === undefined) return 'malformed';
  if (!Buffer.from(parts.tag).equals(publicKey.tag)) return 'no_match';
  const privateKey = await identity.unlock();
  if (privateKey === undefined) return 'no_match';
  return openWith(privateKey, publicKey, stanza.body, parts.share) ?? 'malformed';
}

function openWith(
  privateKey: SshPrivateKey,
  { wire }: SshPublicKey,
  body: Uint8Array,
  share: Uint8Array,
): Uint8Array | undefined {
  if (privateKey.kind === 'ssh-rsa') return rsaDecrypt(privateKey, body);
  const secret = sharedSecret(privateKey.scalar, share);
  const key = secret && wrappingKey(secret, { share, point: privateKey.montgomery, wire });
  return key && openChaCha20Poly1305(key, zeroNonce, body);
}

function rsaDecrypt(
  { key }: Extract<SshPrivateKey, { kind: 'ssh-rsa' }>,
  body: Uint8Array,
): Uint8Array | undefined {
  try {
    return new Uint8Array(privateDecrypt({ key, ...oaep }, body));
  } catch {
    // Whatever the reason, it is one: the stanza does not open.
    return undefined;
  }
}

function partsOf({ args, body }: AgeStanza): { tag: Uint8Array; share: Uint8Array } | undefined {
  const isEd25519 = args[0] === 'ssh-ed25519';
  const [tag, share] = args.slice(1).map(decodeUnpadded);
  if (args.length !== (isEd25519 ? 3 : 2) || tag?.length !== tagBytes) return undefined;
  if (!isEd25519) return { tag, share: new Uint8Array() };
  return share?.length === 32 && body.length === 32 ? { tag, share } : undefined;
}

// The tweak binds the secret to this SSH key: the wire encoding is the salt, and there is no key material in it.
function wrappingKey(
  secret: Uint8Array,
  { share, point, wire }: { share: Uint8Array; point: Uint8Array; wire: Uint8Array },
): Uint8Array | undefined {
  const tweak = new Uint8Array(hkdfSync('sha256', new Uint8Array(), wire, ed25519Info, 32));
  const tweaked = sharedSecret(x25519PrivateKey(tweak), secret);
  if (tweaked === undefined) return undefined;
  return new Uint8Array(hkdfSync('sha256', tweaked, Buffer.concat([share, point]), ed25519Info, 32));
}

async function montgomeryOf(edwardsPoint: Uint8Array): Promise<Uint8Array | undefined> {
  const { ed25519 } = await import('@noble/curves/ed25519.js');
  try {
    return ed25519.utils.toMontgomery(edwardsPoint);
  } catch {
    // Bytes that are no point of the curve.
    return undefined;
  }
}
