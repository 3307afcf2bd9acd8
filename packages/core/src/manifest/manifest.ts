// The manifest: what clef.yaml says. The schema is the one source of the file's shape; the reader, the file's type and
// the JSON Schema for editors all come from it. What needs two places of the file at once is in check-manifest.ts.

import { type KeyReference, maxVerifyPlaces } from '@clef/kms';
import * as z from 'zod/mini';
import { namePattern } from './names.ts';

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

const described = (text: string) => z.describe<string>(text);
const name = (text: string) => z.string().check(z.regex(namePattern), described(text));
const text = (about: string) => z.string().check(described(about));
const keyReference = text('A key: age1…, awskms:///ARN, gcpkms://projects/…, ed25519:… or p256:…');
const publicKey = text(
  'A public key: ed25519: or p256:, then base64. A key that is trusted no longer becomes retired: and its ID, in its place',
);
const description = z.optional(text('For people; Clef only shows it'));
const nameOrStar = z
  .string()
  .check(z.regex(/^(\*|[a-z][a-z0-9-]{0,62})$/), described('A name, or "*" alone for all'));

const environmentSchema = z.strictObject({
  name: name('The name of the environment'),
  description,
  protected: z.optional(z.boolean().check(z.describe('Writing asks for confirmation'))),
  encrypt_to: z.optional(z.union([keyReference, z.array(keyReference)])),
});

const namespaceSchema = z.strictObject({
  name: name('The name of the namespace'),
  description,
  schema: z.optional(text('The file with the rules for the values, for example schemas/database.yaml')),
  owners: z.optional(
    z
      .array(name('A person or a group'))
      .check(z.minLength(1), z.describe('Who reviews changes; grants nothing')),
  ),
});

const personSchema = z.strictObject({
  name: name('The name of the person'),
  keys: z.array(text('A public age key: age1…')).check(z.minLength(1)),
});

const accessRuleSchema = z.strictObject({
  allow: z.array(name('A person or a group')).check(z.minLength(1)),
  namespaces: z.array(nameOrStar).check(z.minLength(1)),
  environments: z.array(nameOrStar).check(z.minLength(1)),
});

const serviceEnvironmentSchema = z.strictObject({
  seal: keyReference,
  sign: z.optional(text('A KMS key that signs: awskms:///ARN, or gcpkms://… with /cryptoKeyVersions/N')),
  verify: z.optional(z.array(publicKey).check(z.maxLength(maxVerifyPlaces))),
});

const serviceIdentitySchema = z.strictObject({
  name: name('The name of the service identity'),
  description,
  namespaces: z.array(name('A namespace')).check(z.minLength(1)),
  prefix: z.optional(z.literal('namespace')),
  environments: z.record(name('An environment'), serviceEnvironmentSchema),
});

/** The shape of clef.yaml. Sections that are left out are empty. */
export const manifestSchema = z.strictObject({
  version: z.literal(1),
  repository: z
    .string()
    .check(
      z.regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
      described('A random UUID made by clef init; never change it'),
    ),
  file_pattern: text('The file of each cell, with {namespace} and {environment}, ending in .enc.yaml'),
  environments: z.array(environmentSchema).check(z.minLength(1)),
  namespaces: z.optional(z.array(namespaceSchema)),
  recipients: z.optional(z.array(personSchema)),
  groups: z.optional(z.record(name('The name of the group'), z.array(name('A person')))),
  access: z.optional(z.array(accessRuleSchema)),
  service_identities: z.optional(z.array(serviceIdentitySchema)),
});

/** clef.yaml as it is written, before anything is resolved. */
export type ManifestFile = z.output<typeof manifestSchema>;

/** Fields that have a place in the format but are not honoured yet: section, then field. */
export const plannedFields: Readonly<Record<string, readonly string[]>> = {};
