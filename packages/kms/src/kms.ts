// The one interface to keys that live in a cloud, and the table of who provides which kind. A provider's SDK is loaded
// when its first key is used.
import { createHash } from 'node:crypto';
import { isKmsKey, type KeyReference, type KmsKey, type VerifyingKey } from './key-reference.ts';
import { KmsError } from './kms-error.ts';
import { maxPlaintextBytes, maxWrappedBytes } from './limits.ts';
import type { KmsContext, KmsSettings, Provider, Signing } from './provider.ts';
import { checkSignature, readPublicKey } from './signatures.ts';

/**
 * Wraps and unwraps small secrets, of 1 to 4,096 bytes. Both throw KmsError: `denied` (the service says no, and asking again
 * will not change that: a policy, a disabled key, another context, a changed blob), `no_credentials` (none found, or they
 * are expired or wrong), `not_found`, `throttled`, `unavailable`, `mismatch` (an answer that does not fit the question),
 * `bad_endpoint`, `unsupported`. A `RangeError` for what is too long to wrap is a bug of the caller.
 */
export type Kms = {
  readonly wrap: (key: KeyReference, plaintext: Uint8Array, context?: KmsContext) => Promise<Uint8Array>;
  readonly unwrap: (key: KeyReference, wrapped: Uint8Array, context?: KmsContext) => Promise<Uint8Array>;
};

/** The same with keys that sign. Throws as {@link Kms} does. */
export type SigningKms = {
  /**
   * Signs with ECDSA P-256 over SHA-256: ASN.1 DER, verified under the key's public half before it is given out. Keys of
   * AWS and Google Cloud sign, the latter by their version. Only the digest of the message travels.
   */
  readonly sign: (key: KeyReference, message: Uint8Array) => Promise<Uint8Array>;
  /** The public half of a key that signs, as the service states it; asked for once. */
  readonly publicKey: (key: KeyReference) => Promise<VerifyingKey>;
};

/** One row a provider: each is given only keys of its own kind. */
const providers: Record<KmsKey['kind'], (settings: KmsSettings) => Promise<Provider>> = {
  awskms: async (settings) => (await import('./aws.ts')).openAws(settings),
  gcpkms: async (settings) => (await import('./gcp.ts')).openGcp(settings),
  azurekms: async (settings) => (await import('./azure.ts')).openAzure(settings),
  hashivault: async (settings) => (await import('./vault.ts')).openVault(settings),
};

/** The KMS of whichever cloud a key is in. Nothing is loaded or asked before the first call. */
export function openKms(settings: KmsSettings): Kms & SigningKms {
  const providerOf = openOnce(settings);
  const publicKeyOf = askOnce(async (key) => {
    const { kmsKey, open } = signingKey(key);
    const { publicKey } = signingOf(kmsKey, await providerOf(kmsKey.kind, open));
    return readPublicKey(kmsKey, await publicKey(kmsKey));
  });
  return {
    wrap: async (key, plaintext, context) => {
      const { kmsKey, open } = wrappingKey(key);
      if (plaintext.length === 0 || plaintext.length > maxPlaintextBytes)
        throw new RangeError(`A KMS wraps 1 to ${maxPlaintextBytes} bytes, not ${plaintext.length}`);
      return (await providerOf(kmsKey.kind, open)).wrap(kmsKey, plaintext, context);
    },
    unwrap: async (key, wrapped, context) => {
      const { kmsKey, open } = wrappingKey(key);
      if (wrapped.length === 0 || wrapped.length > maxWrappedBytes) throw unusable(key, wrapped.length);
      return (await providerOf(kmsKey.kind, open)).unwrap(kmsKey, wrapped, context);
    },
    sign: async (key, message) => {
      const { kmsKey, open } = signingKey(key);
      const { sign } = signingOf(kmsKey, await providerOf(kmsKey.kind, open));
      const digest = createHash('sha256').update(message).digest();
      const [publicKey, signature] = await Promise.all([publicKeyOf(key), sign(kmsKey, digest)]);
      return checkSignature(kmsKey, publicKey, message, signature);
    },
    publicKey: (key) => publicKeyOf(key),
  };
}

/** One question a key. A failure is not kept: it may heal. */
function askOnce<T>(ask: (key: KeyReference) => Promise<T>): (key: KeyReference) => Promise<T> {
  const answers = new Map<string, Promise<T>>();
  return (key) => {
    const answer = answers.get(key.text) ?? ask(key);
    answers.set(key.text, answer);
    answer.catch(() => answers.delete(key.text));
    return answer;
  };
}

type Open = (settings: KmsSettings) => Promise<Provider>;

/** Each provider once. One that could not be opened is opened again with the next call, which fails or heals anew. */
function openOnce(settings: KmsSettings): (kind: KmsKey['kind'], open: Open) => Promise<Provider> {
  const opened = new Map<KmsKey['kind'], Promise<Provider>>();
  return async (kind, open) => {
    const provider = opened.get(kind) ?? open(settings);
    opened.set(kind, provider);
    try {
      return await provider;
    } catch (error) {
      if (opened.get(kind) === provider) opened.delete(kind);
      throw error;
    }
  };
}

function wrappingKey(key: KeyReference): { readonly kmsKey: KmsKey; readonly open: Open } {
  if (!isKmsKey(key)) {
    const message = `Keys of the kind ${key.kind} cannot wrap: use ${Object.keys(providers).join(', ')}`;
    throw new KmsError('unsupported', message, { key: key.text });
  }
  if (key.kind === 'gcpkms' && key.version !== undefined) {
    const message = 'A key version only signs: leave out /cryptoKeyVersions/N to wrap';
    throw new KmsError('unsupported', message, { key: key.text });
  }
  return { kmsKey: key, open: providers[key.kind] };
}

function signingKey(key: KeyReference): { readonly kmsKey: KmsKey; readonly open: Open } {
  if (!isKmsKey(key)) {
    throw new KmsError('unsupported', `Keys of the kind ${key.kind} are not in a KMS that signs`, {
      key: key.text,
    });
  }
  if (key.kind === 'gcpkms' && key.version === undefined) {
    const message = 'On Google Cloud a version signs: add /cryptoKeyVersions/N to the key';
    throw new KmsError('unsupported', message, { key: key.text });
  }
  return { kmsKey: key, open: providers[key.kind] };
}

function signingOf(key: KmsKey, { signing }: Provider): Signing {
  if (signing !== undefined) return signing;
  const message = `Keys of the kind ${key.kind} do not sign for Clef: use awskms or gcpkms`;
  throw new KmsError('unsupported', message, { key: key.text });
}

function unusable(key: KeyReference, bytes: number): KmsError {
  const message = `What is to be unwrapped has ${bytes} bytes: no KMS gave it out`;
  return new KmsError('denied', message, { key: key.text });
}
