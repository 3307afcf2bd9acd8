// Signatures of artifacts: DSSE v1 pre-authentication encoding, Ed25519 or ECDSA P-256. The verifying key alone decides
// which, and comes from the opener's own settings (catalogue INV-38, INV-53).
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { parseKeyReference, type RetiredKey, verifyKeysFault } from '@clef/kms';
import { encodeBase64 } from '@clef/strict';
import { type Envelope, payloadType, type Signature } from './artifact.ts';
import { ArtifactError } from './artifact-error.ts';

/** A public key that the opener trusts. `keyId` is the hex SHA-256 of the SPKI. */
export type VerifyKey = {
  readonly kind: 'ed25519' | 'p256';
  /** The key reference. */
  readonly text: string;
  readonly keyId: string;
  readonly publicKey: KeyObject;
};

/**
 * A place in the list of verify keys. The position is the epoch, so a key that is trusted no longer leaves `retired:` and
 * its ID in its place: the epochs after it, and the floors that openers keep, stay what they are.
 */
export type VerifySlot = VerifyKey | RetiredKey;

/**
 * Something that signs: a local key, or a KMS. `sign` takes the exact bytes to be signed and gives a signature that
 * `verifyKey` verifies: 64 bytes for Ed25519, ASN.1 DER over SHA-256 for P-256.
 */
export type Signer = {
  readonly verifyKey: VerifyKey;
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
};

/**
 * A key of `verify` in clef.yaml or of `CLEF_AGENT_VERIFY_KEYS`.
 * @throws {KmsError} `bad_reference`, `private_key`.
 * @throws {ArtifactError} `bad_signing_key` for a key of a kind that does not sign artifacts.
 */
export function parseVerifyKey(text: string): VerifyKey {
  const key = parseKeyReference(text);
  if (key.kind === 'ed25519' || key.kind === 'p256') return verifyKeyOf(key.kind, key.spki);
  throw new ArtifactError(
    'bad_signing_key',
    `A key of the kind ${key.kind} does not verify signatures: give ed25519:… or p256:…`,
  );
}

/**
 * A whole list of `verify` in clef.yaml or of `CLEF_AGENT_VERIFY_KEYS`, oldest first.
 * @throws {KmsError} `bad_reference`, `private_key`.
 * @throws {ArtifactError} `bad_signing_key` for a key of a kind that does not sign artifacts, and where the list breaks a rule
 * (`verifyKeysFault`).
 */
export function parseVerifyKeys(texts: readonly string[]): readonly VerifySlot[] {
  const fault = verifyKeysFault(texts.map(parseKeyReference));
  if (fault !== undefined) throw new ArtifactError('bad_signing_key', `The list of verify keys ${fault}`);
  return texts.map((text) => {
    const reference = parseKeyReference(text);
    return reference.kind === 'retired' ? reference : parseVerifyKey(text);
  });
}

function verifyKeyOf(kind: VerifyKey['kind'], spki: Uint8Array): VerifyKey {
  return {
    kind,
    text: `${kind}:${encodeBase64(spki)}`,
    keyId: createHash('sha256').update(spki).digest('hex'),
    publicKey: createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }),
  };
}

/**
 * A signer with an Ed25519 private key in PEM (PKCS #8, no passphrase). The bytes may be wiped afterwards.
 * @throws {ArtifactError} `bad_signing_key`; nothing of the file is in the message.
 */
export function createEd25519Signer(privateKeyPem: Uint8Array): Signer {
  const privateKey = readPrivateKey(privateKeyPem);
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    verifyKey: verifyKeyOf('ed25519', spki),
    sign: async (message) => new Uint8Array(sign(null, message, privateKey)),
  };
}

function readPrivateKey(pem: Uint8Array): KeyObject {
  const key = parsePem(pem);
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new ArtifactError('bad_signing_key', 'The private key is not an Ed25519 key');
}

function parsePem(pem: Uint8Array): KeyObject {
  const text = Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength);
  if (text.includes('ENCRYPTED PRIVATE KEY')) {
    throw new ArtifactError(
      'bad_signing_key',
      'The private key is locked with a passphrase, which Clef does not ask for',
    );
  }
  try {
    return createPrivateKey({ key: text, format: 'pem' });
  } catch {
    // OpenSSL's words say nothing useful, and the bytes may be of any secret.
    const isPublic = text.includes('PUBLIC KEY');
    throw new ArtifactError(
      'bad_signing_key',
      isPublic
        ? 'A public key stands where the private one is wanted'
        : 'There is no private key in PEM (PKCS #8)',
    );
  }
}

/** A new Ed25519 pair: the private key in PEM (wipe it after use) and the public key as a key reference. */
export function generateEd25519KeyPair(): { readonly privateKeyPem: Uint8Array; readonly verifyKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const privateKeyPem = Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' }) as string, 'utf8');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return { privateKeyPem, verifyKey: verifyKeyOf('ed25519', spki).text };
}

/** One signature over a payload. */
export async function signPayload(
  payload: Uint8Array,
  { verifyKey, sign: signBytes }: Signer,
): Promise<Signature> {
  return { keyId: verifyKey.keyId, bytes: await signBytes(preAuthenticationEncoding(payload)) };
}

/**
 * The highest position in `verifyKeys` of a key that signed the payload: the epoch. -1 where none did. A signature
 * counts only under the key that its `keyid` names; those of keys that are not trusted are passed over.
 */
export function findEpoch({ payload, signatures }: Envelope, verifyKeys: readonly VerifySlot[]): number {
  const message = preAuthenticationEncoding(payload);
  return verifyKeys.findLastIndex((key) => {
    if (key.kind === 'retired') return false;
    const signature = signatures.find(({ keyId }) => keyId === key.keyId);
    return signature !== undefined && isSignedBy(key, message, signature.bytes);
  });
}

function isSignedBy({ kind, publicKey }: VerifyKey, message: Uint8Array, signature: Uint8Array): boolean {
  return kind === 'ed25519'
    ? verify(null, message, publicKey, signature)
    : verify('sha256', message, { key: publicKey, dsaEncoding: 'der' }, signature);
}

/** What is signed (DSSE v1): the type and the exact bytes, each with its length before it. */
export function preAuthenticationEncoding(payload: Uint8Array): Uint8Array {
  const start = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(start, 'utf8'), payload]);
}
