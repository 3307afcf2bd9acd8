// What a kind of master key must be able to do: name itself in a stanza, wrap the data key, open it again.
// A new kind is one file that fills MasterKeyType and one row in all.ts.
import type { AgeIdentity } from '../age/age-keys.ts';
import type { AgePlugins } from '../age/plugin.ts';
import type { Mapping } from '../tree.ts';
import type { RandomBytes } from '../value-cipher.ts';

/** The lists of the `sops` block, in the order in which SOPS 3.12 reads them. */
export const stanzaLists = ['kms', 'gcp_kms', 'hckms', 'azure_kv', 'hc_vault', 'pgp', 'age'] as const;

/** The name of one of these lists. */
export type StanzaList = (typeof stanzaLists)[number];

/** Whom a data key is wrapped for. `context` pairs go to AWS unchanged, in this order. */
export type Recipient =
  | { readonly type: 'age'; readonly recipient: string }
  | {
      readonly type: 'kms';
      readonly arn: string;
      readonly role?: string;
      readonly context?: readonly (readonly [name: string, value: string])[];
      readonly profile?: string;
    }
  | { readonly type: 'gcp_kms'; readonly resourceId: string }
  | {
      readonly type: 'azure_kv';
      /** `https://NAME.vault.azure.net`, without a path. */
      readonly vaultUrl: string;
      readonly name: string;
      readonly version: string;
    }
  | {
      readonly type: 'hc_vault';
      /** Scheme and host only. */
      readonly address: string;
      readonly enginePath: string;
      readonly keyName: string;
    }
  | { readonly type: 'hckms'; readonly keyId: string }
  | { readonly type: 'pgp'; readonly fingerprint: string };

/** One wrapped copy of the data key. `fields` is the stanza as it stands, with everything we do not know. */
export type Stanza = {
  readonly list: StanzaList;
  readonly fields: Mapping;
  readonly enc: string;
  /** Whom it says it is for. */
  readonly recipient: Recipient;
};

/** A recipient whose key is in a cloud. */
export type CloudRecipient = Exclude<Recipient, { type: 'age' | 'pgp' }>;

/**
 * A service that wraps and unwraps with keys we never see. Bytes in, bytes out: how they are written into a stanza is
 * this package's business. For Vault the wrapped bytes are its text `vault:v1:…`. Both functions throw when the service
 * refuses or cannot be reached.
 */
export type KeyService = {
  readonly wrap: (recipient: CloudRecipient, plaintext: Uint8Array) => Promise<Uint8Array>;
  readonly unwrap: (recipient: CloudRecipient, wrapped: Uint8Array) => Promise<Uint8Array>;
};

/** The services of all clouds behind one interface; the type of the recipient says which is meant. */
export type CloudKeys = KeyService;

/** The `gpg` program: a path, or a name looked up in the PATH of `environment`, which is all that it gets (GNUPGHOME, GPG_TTY). */
export type GpgProgram = {
  readonly command: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** Where private keys come from. Each source is asked at most once, and only when a stanza needs it. */
export type Keyring = {
  readonly ageIdentities?: () => Promise<readonly AgeIdentity[]>;
  /** Programs for age keys of plugins; none runs without being named here. */
  readonly agePlugins?: AgePlugins;
  readonly kms?: CloudKeys;
  /** For PGP keys; without it their stanzas are passed over. */
  readonly gpg?: GpgProgram;
  /** Kinds of keys in the order in which they are tried; others come after them. `age`, `pgp` by default. */
  readonly order?: readonly StanzaList[];
};

/** What wrapping needs from outside. `now` is in milliseconds since the epoch. */
export type WrapContext = {
  readonly keyring: Keyring;
  readonly now: number;
  readonly randomBytes: RandomBytes;
};

/** Why a stanza gave no key: it is for somebody else, it is damaged, or its service failed. */
export type UnwrapFailure = {
  readonly reason: 'no_match' | 'malformed' | 'service';
  readonly cause?: unknown;
};

export type MasterKeyType<R extends Recipient = Recipient> = {
  readonly list: StanzaList;
  /** One text per recipient, equal for equal recipients. */
  readonly nameOf: (recipient: R) => string;
  /** Whom the stanza is for, or undefined when a field is missing or of the wrong kind. */
  readonly readRecipient: (fields: Mapping) => R | undefined;
  /** Wraps a secret and returns the stanza's fields in the order of SOPS 3.12. */
  readonly wrap: (recipient: R, secret: Uint8Array, context: WrapContext) => Promise<Mapping>;
  /** The secret, or why not. Never throws for what stands in the file. */
  readonly unwrap: (stanza: Stanza, keyring: Keyring) => Promise<Uint8Array | UnwrapFailure>;
};
