// The one interface to keys that live in a cloud, and the table of who provides which kind. A provider's SDK is loaded
// when its first key is used.
import type { KeyReference, KmsKey } from './key-reference.ts';
import { KmsError } from './kms-error.ts';

/**
 * What a wrapped key is bound to. AWS takes the entries as its encryption context; GCP takes, as additional authenticated
 * data, the label, a NUL, and each value with its length before it.
 */
export type KmsContext = {
  readonly label: string;
  readonly entries: readonly (readonly [name: string, value: string])[];
};

/**
 * Wraps and unwraps small secrets. Both throw KmsError: `denied`, `no_credentials`, `not_found`, `throttled`,
 * `unavailable`, `mismatch` (an answer that does not fit the question), `bad_endpoint`, `unsupported`.
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
};

/** One cloud: what {@link Kms} does for its kind of key. */
export type Provider<K extends KmsKey = KmsKey> = {
  wrap(key: K, plaintext: Uint8Array, context: KmsContext | undefined): Promise<Uint8Array>;
  unwrap(key: K, wrapped: Uint8Array, context: KmsContext | undefined): Promise<Uint8Array>;
};

/** One row a provider: each is given only keys of its own kind. */
const providers: Partial<Record<KmsKey['kind'], (settings: KmsSettings) => Promise<Provider>>> = {
  awskms: async (settings) => (await import('./aws.ts')).openAws(settings),
  gcpkms: async (settings) => (await import('./gcp.ts')).openGcp(settings),
};

/** The KMS of whichever cloud a key is in. Nothing is loaded or asked before the first call. */
export function openKms(settings: KmsSettings): Kms {
  const opened = new Map<KmsKey['kind'], Promise<Provider>>();
  const providerOf = (key: KeyReference): Promise<Provider> => {
    const open = providers[key.kind as KmsKey['kind']];
    if (open === undefined) throw unsupported(key);
    const provider = opened.get(key.kind as KmsKey['kind']) ?? open(settings);
    opened.set(key.kind as KmsKey['kind'], provider);
    return provider;
  };
  return {
    wrap: async (key, plaintext, context) => (await providerOf(key)).wrap(key as KmsKey, plaintext, context),
    unwrap: async (key, wrapped, context) => (await providerOf(key)).unwrap(key as KmsKey, wrapped, context),
  };
}

function unsupported(key: KeyReference): KmsError {
  return new KmsError(
    'unsupported',
    `Keys of the kind ${key.kind} cannot wrap here yet: use awskms or gcpkms`,
    { key: key.text },
  );
}
