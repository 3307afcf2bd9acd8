// The manifest: what clef.yaml says. The shape is the one source of the file's shape; the reader, the file's type and
// the JSON Schema for editors all come from it. What needs two places of the file at once is in check-manifest.ts.

import { type KeyReference, maxVerifyPlaces } from '@clef/kms';
import { namePattern } from './names.ts';
import {
  either,
  fields,
  flag,
  list,
  mapping,
  only,
  optional,
  patterned,
  type Shaped,
  text,
} from './shape.ts';

export type { CellName } from './names.ts';

/** A whole clef.yaml, checked: every name exists, every key reference is parsed, every cell has somebody who reads it. */
export type Manifest = {
  readonly version: 1;
  /** The random UUID that binds artifacts, seals and approvals to this repository. */
  readonly repository: string;
  readonly filePattern: string;
  readonly environments: readonly Environment[];
  readonly namespaces: readonly Namespace[];
  readonly recipients: readonly Person[];
  readonly groups: ReadonlyMap<string, readonly string[]>;
  readonly access: readonly AccessRule[];
  readonly serviceIdentities: readonly ServiceIdentity[];
};

export type Environment = {
  readonly name: string;
  readonly description?: string;
  /** Concerns writing only. */
  readonly protected: boolean;
  /** KMS keys to which every cell of the environment is encrypted. */
  readonly encryptTo: readonly KeyReference[];
};

export type Namespace = {
  readonly name: string;
  readonly description?: string;
  /** Path of the file with the rules for the values, relative to the root, with forward slashes; checked to stay inside. */
  readonly schema?: string;
  /** People and groups to ask for a review; grants nothing. */
  readonly owners?: readonly string[];
};

/** Somebody, or something such as a CI job, that reads with age keys. */
export type Person = { readonly name: string; readonly keys: readonly KeyReference[] };

/** `allow` holds names of people and of groups. */
export type AccessRule = {
  readonly allow: readonly string[];
  readonly namespaces: readonly string[] | '*';
  readonly environments: readonly string[] | '*';
};

export type ServiceIdentity = {
  readonly name: string;
  readonly description?: string;
  readonly namespaces: readonly string[];
  /** `namespace` makes `DB_URL` of `database` into `database__DB_URL`. */
  readonly prefix?: 'namespace';
  readonly environments: ReadonlyMap<string, ServiceEnvironment>;
};

export type ServiceEnvironment = {
  /** What the artifact's one-time key is wrapped with, or the age key it is encrypted to. */
  readonly seal: KeyReference;
  /** The KMS key that signs; absent where the packer's own Ed25519 key does. */
  readonly sign?: KeyReference;
  /** The only keys an agent trusts, and the retired ones; the position is the epoch. Empty where artifacts are not signed. */
  readonly verify: readonly KeyReference[];
};

const name = (about: string) => patterned(namePattern, about);
const keyReference = text(
  'A key: age1…, awskms:///ARN, gcpkms://projects/…, azurekms://NAME.vault.azure.net/KEY/VERSION, hashivault://MOUNT/KEY, ed25519:… or p256:…',
);
const publicKey = text(
  'A public key: ed25519: or p256:, then base64. A key that is trusted no longer becomes retired: and its ID, in its place',
);
const description = optional(text('For people; Clef only shows it'));
const nameOrStar = patterned(/^(\*|[a-z][a-z0-9-]{0,62})$/, 'A name, or "*" alone for all');

const environmentShape = fields({
  name: name('The name of the environment'),
  description,
  protected: optional(flag('Writing asks for confirmation')),
  encrypt_to: optional(either(keyReference, list(keyReference))),
});

const namespaceShape = fields({
  name: name('The name of the namespace'),
  description,
  schema: optional(text('The file with the rules for the values, for example schemas/database.yaml')),
  owners: optional(
    list(name('A person or a group'), { least: 1, about: 'Who reviews changes; grants nothing' }),
  ),
});

const personShape = fields({
  name: name('The name of the person'),
  keys: list(text('A public age key: age1…'), { least: 1 }),
});

const accessRuleShape = fields({
  allow: list(name('A person or a group'), { least: 1 }),
  namespaces: list(nameOrStar, { least: 1 }),
  environments: list(nameOrStar, { least: 1 }),
});

const serviceEnvironmentShape = fields({
  seal: keyReference,
  sign: optional(text('A KMS key that signs: awskms:///ARN, or gcpkms://… with /cryptoKeyVersions/N')),
  verify: optional(list(publicKey, { most: maxVerifyPlaces })),
});

const serviceIdentityShape = fields({
  name: name('The name of the service identity'),
  description,
  namespaces: list(name('A namespace'), { least: 1 }),
  prefix: optional(only('namespace')),
  environments: mapping(name('An environment'), serviceEnvironmentShape),
});

/** The shape of clef.yaml. Sections that are left out are empty. */
export const manifestShape = fields({
  version: only(1),
  repository: patterned(
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    'A random UUID made by clef init; never change it',
  ),
  file_pattern: text('The file of each cell, with {namespace} and {environment}, ending in .enc.yaml'),
  environments: list(environmentShape, { least: 1 }),
  namespaces: optional(list(namespaceShape)),
  recipients: optional(list(personShape)),
  groups: optional(mapping(name('The name of the group'), list(name('A person')))),
  access: optional(list(accessRuleShape)),
  service_identities: optional(list(serviceIdentityShape)),
});

/** clef.yaml as it is written, before anything is resolved. */
export type ManifestFile = Shaped<typeof manifestShape>;

/** Fields that have a place in the format but are not honoured yet: section, then field. */
export const plannedFields: Readonly<Record<string, readonly string[]>> = {};
