// The one interface to keys that live in a cloud, and the table of who provides which kind. A provider's SDK is loaded
// when its first key is used.
import { isKmsKey, type KeyReference, type KmsKey } from './key-reference.ts';
import { KmsError } from './kms-error.ts';
import { maxPlaintextBytes, maxWrappedBytes } from './limits.ts';

/**
 * What a wrapped key is bound to. AWS takes the entries as its encryption context; GCP and Vault take, as additional data,
 * the label, a NUL, and each value with its length before it; for Azure the hash of those bytes is wrapped with the key.
 */
export type KmsContext = {
  readonly label: string;
  readonly entries: readonly (readonly [name: string, value: string])[];
};

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

export type KmsSettings = {
  /** Where endpoints and credentials are looked up. The SDKs read the process's own environment besides. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told once where an endpoint override is in force. */
  readonly notify?: (message: string) => void;
  /** For one call with all its attempts; 15 by default. */
  readonly timeoutSeconds?: number;
  /** Tries of one call; 3 by default. */
  readonly attempts?: number;
  /** From 0 up to 1, for the pauses between tries; node:crypto by default. */
  readonly random?: () => number;
};

/** One cloud: what {@link Kms} does for its kind of key. */
export type Provider<K extends KmsKey = KmsKey> = {
  wrap(key: K, plaintext: Uint8Array, context: KmsContext | undefined): Promise<Uint8Array>;
  unwrap(key: K, wrapped: Uint8Array, context: KmsContext | undefined): Promise<Uint8Array>;
};

/** One row a provider: each is given only keys of its own kind. */
const providers: Record<KmsKey['kind'], (settings: KmsSettings) => Promise<Provider>> = {
  awskms: async (settings) => (await import('./aws.ts')).openAws(settings),
  gcpkms: async (settings) => (await import('./gcp.ts')).openGcp(settings),
  azurekms: async (settings) => (await import('./azure.ts')).openAzure(settings),
  hashivault: async (settings) => (await import('./vault.ts')).openVault(settings),
};

/** The KMS of whichever cloud a key is in. Nothing is loaded or asked before the first call. */
export function openKms(settings: KmsSettings): Kms {
  const providerOf = openOnce(settings);
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

function unusable(key: KeyReference, bytes: number): KmsError {
  const message = `What is to be unwrapped has ${bytes} bytes: no KMS gave it out`;
  return new KmsError('denied', message, { key: key.text });
}
