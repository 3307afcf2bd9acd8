// What a provider is given, and what it does for its kind of key.
import type { KmsKey } from './key-reference.ts';

/**
 * What a wrapped key is bound to. AWS takes the entries as its encryption context; GCP and Vault take, as additional data,
 * the label, a NUL, and each value with its length before it; for Azure the hash of those bytes is wrapped with the key.
 */
export type KmsContext = {
  readonly label: string;
  readonly entries: readonly (readonly [name: string, value: string])[];
};

/** Whose rights are used: a profile by name, a role by its ARN. */
export type AwsIdentity = { readonly profile?: string; readonly role?: string };

export type KmsSettings = {
  /** Where endpoints and credentials are looked up. The SDKs read the process's own environment besides. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told once where an endpoint override is in force. */
  readonly notify?: (message: string) => void;
  /** For one call with all its attempts; 15 by default. */
  readonly timeoutSeconds?: number;
  /** Tries of one call; 3 by default. */
  readonly attempts?: number;
  /**
   * Another identity for AWS than the environment's own: a profile of its configuration files, and a role that is taken on
   * first. They choose whose rights are used, so they come from the person or from a file that the person opened on purpose.
   */
  readonly aws?: AwsIdentity;
  /** From 0 up to 1, for the pauses between tries; node:crypto by default. */
  readonly random?: () => number;
};

/** One cloud: what the `Kms` of kms.ts does for its kind of key. */
export type Provider<K extends KmsKey = KmsKey> = {
  wrap(key: K, plaintext: Uint8Array, context: KmsContext | undefined): Promise<Uint8Array>;
  unwrap(key: K, wrapped: Uint8Array, context: KmsContext | undefined): Promise<Uint8Array>;
  /** Absent where keys of the cloud do not sign for Clef. */
  readonly signing?: Signing<K>;
};

export type Signing<K extends KmsKey = KmsKey> = {
  /** `digest` is a SHA-256; what comes back has not been verified yet. */
  sign(key: K, digest: Uint8Array): Promise<Uint8Array>;
  /** The SPKI in DER, as the service gave it. */
  publicKey(key: K): Promise<Uint8Array>;
};
