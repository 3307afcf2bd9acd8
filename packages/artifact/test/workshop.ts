// What the tests build artifacts with: a KMS in memory that counts its calls, keys, and an envelope maker that keeps no rule.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto';
import { type KeyReference, type Kms, type KmsContext, KmsError, parseKeyReference } from '@clef/kms';
import { formatTimestamp } from '@clef/strict';
import type { OpenPolicy } from '../src/open.ts';
import { type SealRequest, sealArtifact } from '../src/seal.ts';
import {
  createEd25519Signer,
  generateEd25519KeyPair,
  parseVerifyKey,
  preAuthenticationEncoding,
  type Signer,
  type VerifyKey,
} from '../src/signature.ts';

export const now = Date.parse('2026-11-24T12:00:00Z');
const day = 24 * 60 * 60 * 1000;

const arn = (region: string, digit: string): string =>
  `awskms:///arn:aws:kms:${region}:111122223333:key/0000000${digit}-0000-4000-8000-000000000000`;
export const kmsKey = parseKeyReference(arn('eu-west-1', '1'));
export const otherKmsKey = parseKeyReference(arn('eu-west-1', '2'));
export const otherRegionKey = parseKeyReference(arn('eu-west-2', '1'));

export const header = {
  version: 1,
  repository: '5f0c6a3e-0000-4000-8000-000000000000',
  identity: 'api-gateway',
  environment: 'production',
  revision: now,
  commit: '0123456789abcdef0123456789abcdef01234567',
  packedAt: formatTimestamp(now),
  expiresAt: formatTimestamp(now + 30 * day),
} as const;

export type CountingKms = Kms & { calls: number };

/** AES-256-GCM with the key's name and the context as associated data, as a cloud would bind them. */
export function memoryKms(): CountingKms {
  const secret = randomBytes(32);
  const aad = (key: KeyReference, context: KmsContext | undefined): Buffer =>
    Buffer.from(JSON.stringify([key.text, context?.label, context?.entries]));
  const kms: CountingKms = {
    calls: 0,
    wrap: async (key, plaintext, context) => {
      kms.calls += 1;
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(aad(key, context));
      const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
      return Buffer.concat([iv, body, cipher.getAuthTag()]);
    },
    unwrap: async (key, wrapped, context) => {
      kms.calls += 1;
      try {
        const decipher = createDecipheriv('aes-256-gcm', secret, wrapped.subarray(0, 12), {
          authTagLength: 16,
        });
        decipher.setAAD(aad(key, context)).setAuthTag(wrapped.subarray(-16));
        return Buffer.concat([decipher.update(wrapped.subarray(12, -16)), decipher.final()]);
      } catch {
        throw new KmsError('denied', 'AWS KMS refused to unwrap', { key: key.text });
      }
    },
  };
  return kms;
}

export function newSigner(): Signer {
  return createEd25519Signer(generateEd25519KeyPair().privateKeyPem);
}

/** A P-256 signer as a KMS would be one: DER signatures over SHA-256. */
export function newP256Signer(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  return {
    verifyKey: parseVerifyKey(`p256:${spki}`),
    sign: async (message) => sign('sha256', message, { key: privateKey, dsaEncoding: 'der' }),
  };
}

export const signer = newSigner();

export function policyWith(changes: Partial<OpenPolicy> = {}): OpenPolicy {
  const { repository, identity, environment } = header;
  const verifyKeys: VerifyKey[] = [signer.verifyKey];
  return {
    repository,
    identity,
    environment,
    sealingKey: kmsKey,
    verifyKeys,
    allowUnsigned: false,
    now,
    ...changes,
  };
}

export async function seal(kms: Kms, changes: Partial<SealRequest> = {}): Promise<Uint8Array> {
  const secrets = new Map([['DB_URL', 'postgres://localhost:5432/myapp']]);
  return await sealArtifact({ header, secrets, sealingKey: kmsKey, kms, signer, ...changes });
}

export type Json = { [name: string]: unknown };

export function envelopeOf(artifact: Uint8Array): {
  payloadType: string;
  payload: string;
  signatures: { keyid: string; sig: string }[];
} {
  return JSON.parse(Buffer.from(artifact).toString());
}

export function payloadOf(artifact: Uint8Array): Json & { seal: Json } {
  return JSON.parse(Buffer.from(envelopeOf(artifact).payload, 'base64').toString());
}

/** Puts any payload, well formed or not, under a good signature. */
export async function signed(payload: unknown, by: Signer = signer): Promise<Uint8Array> {
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const sig = Buffer.from(await by.sign(preAuthenticationEncoding(bytes))).toString('base64');
  return envelope(bytes, [{ keyid: by.verifyKey.keyId, sig }]);
}

export function envelope(payload: Uint8Array, signatures: unknown): Uint8Array {
  const encoded = Buffer.from(payload).toString('base64');
  return Buffer.from(
    JSON.stringify({ payloadType: 'application/vnd.clef.artifact.v1+json', payload: encoded, signatures }),
  );
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
