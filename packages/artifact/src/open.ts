// Artifact to values. `openArtifact` is the list of checks, in their order, each with a code of its own; the KMS is asked
// only when everything that can be known without it is right (catalogue INV-45).
import { type AgeKey, type KeyReference, type Kms, type KmsCode, KmsError } from '@clef/kms';
import { parseTimestamp } from '@clef/strict';
import { decryptWith, isAgeIdentity } from './age-file.ts';
import {
  type ArtifactHeader,
  type ArtifactPayload,
  digestOf,
  type Envelope,
  parseEnvelope,
  parsePayload,
  type SealedPayload,
} from './artifact.ts';
import { artifactContext } from './artifact-context.ts';
import { type ArtifactCode, ArtifactError } from './artifact-error.ts';
import { parseSecrets } from './secrets.ts';
import { findEpoch, type VerifySlot } from './signature.ts';

const dayMilliseconds = 24 * 60 * 60 * 1000;
const packedAheadMilliseconds = 5 * 60 * 1000;

/** The last artifact that was accepted. `payloadDigest` is the hex SHA-256 of its verified payload. */
export type ArtifactFloor = {
  readonly epoch: number;
  readonly revision: number;
  readonly payloadDigest: string;
};

/** What the opener insists on. All of it comes from its own settings, none from an artifact. */
export type OpenPolicy = {
  readonly repository: string;
  readonly identity: string;
  readonly environment: string;
  /** The only key an artifact may be sealed with. */
  readonly sealingKey: KeyReference;
  /** The private key where `sealingKey` is an age recipient: `identity` of parseAgeIdentity. */
  readonly ageIdentity?: string;
  /** Oldest first: the position of the key that signed is the epoch. Retired places verify nothing. */
  readonly verifyKeys: readonly VerifySlot[];
  /** Counts only where `verifyKeys` is empty; then no signature is judged and the epoch is 0. */
  readonly allowUnsigned: boolean;
  readonly floor?: ArtifactFloor;
  readonly minRevision?: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
};

export type OpenedArtifact = {
  readonly header: ArtifactHeader;
  readonly epoch: number;
  readonly payloadDigest: string;
  readonly secrets: Map<string, string>;
};

/**
 * Opens an artifact, or says which check failed. At most one KMS call, and none before the last cheap check has passed.
 *
 * @throws {ArtifactError} In this order: `too_large`, `format`, `unsigned`, `signature`, `binding`, `key_not_pinned`,
 * `rollback`, `equivocation`, `fast_forward`, `revoked`, `not_yet_valid`, `expired`, `kms_denied`, `kms_unavailable`,
 * `kms_no_credentials`, `kms_settings`, `kms_mismatch`, `decrypt`, `header_mismatch`, `bad_content`. Where an age key opens,
 * `bad_identity` stands in the place of the KMS's.
 */
export async function openArtifact(
  bytes: Uint8Array,
  policy: OpenPolicy,
  { kms }: { readonly kms?: Pick<Kms, 'unwrap'> },
): Promise<OpenedArtifact> {
  const { sealed, epoch, payloadDigest } = checkArtifact(bytes, policy);
  const { header } = sealed;
  const identity = await findIdentity(sealed, policy, kms);
  const plaintext = await decrypt(sealed, identity);
  try {
    return { header, epoch, payloadDigest, secrets: parseSecrets(plaintext, header) };
  } finally {
    plaintext.fill(0);
  }
}

/** What is known of an artifact that passed every check for which no private key is needed. */
export type CheckedArtifact = Pick<OpenedArtifact, 'epoch' | 'payloadDigest'> & {
  readonly sealed: SealedPayload;
};

/**
 * {@link openArtifact} up to where the KMS, or the age key, would be asked. What passes is not known to open yet.
 * @throws {ArtifactError} In this order: `too_large`, `format`, `unsigned`, `signature`, `binding`, `key_not_pinned`,
 * `rollback`, `equivocation`, `fast_forward`, `revoked`, `not_yet_valid`, `expired`.
 */
export function checkArtifact(bytes: Uint8Array, policy: Omit<OpenPolicy, 'ageIdentity'>): CheckedArtifact {
  const verified = verifyArtifact(bytes, policy);
  const { epoch, payloadDigest } = verified;
  const payload = parsePayload(verified.payload);
  const { header } = payload;
  const found = { epoch, revision: header.revision, payloadDigest };
  checkBinding(header, policy);
  checkSealingKey(payload, policy);
  checkFloor(found, policy);
  checkRevision(header, policy);
  const sealed = refuseRevoked(payload, found, policy);
  checkDates(header, policy);
  return { sealed, epoch, payloadDigest };
}

/** The exact bytes that were signed, their digest as it stands in floors, and who signed: the epoch. */
export type VerifiedArtifact = {
  readonly epoch: number;
  readonly payload: Uint8Array;
  readonly payloadDigest: string;
};

/**
 * The first checks of {@link openArtifact}: the envelope and its signature. Nothing of the payload is read.
 * @throws {ArtifactError} `too_large`, `format`, `unsigned`, `signature`.
 */
export function verifyArtifact(
  bytes: Uint8Array,
  policy: Pick<OpenPolicy, 'verifyKeys' | 'allowUnsigned'>,
): VerifiedArtifact {
  const envelope = parseEnvelope(bytes);
  const epoch = verifySignature(envelope, policy);
  return { epoch, payload: envelope.payload, payloadDigest: digestOf(envelope.payload) };
}

function verifySignature(
  envelope: Envelope,
  { verifyKeys, allowUnsigned }: Pick<OpenPolicy, 'verifyKeys' | 'allowUnsigned'>,
): number {
  if (verifyKeys.length === 0 && allowUnsigned) return 0;
  if (envelope.signatures.length === 0) throw new ArtifactError('unsigned', 'The artifact is not signed');
  const epoch = findEpoch(envelope, verifyKeys);
  if (epoch >= 0) return epoch;
  const retired = verifyKeys.some(
    (key) => key.kind === 'retired' && envelope.signatures.some(({ keyId }) => keyId === key.keyId),
  );
  if (retired) throw new ArtifactError('signature', 'The artifact claims a key that is retired here');
  throw new ArtifactError(
    'signature',
    'The artifact is signed by no key that is trusted here, or it was changed',
  );
}

function checkBinding(header: ArtifactHeader, policy: Omit<OpenPolicy, 'ageIdentity'>): void {
  const names = ['repository', 'identity', 'environment'] as const;
  const wrong = names.filter((name) => header[name] !== policy[name]);
  if (wrong.length > 0)
    throw new ArtifactError('binding', `The artifact was made for another ${wrong.join(' and ')}`);
}

function checkSealingKey(payload: ArtifactPayload, { sealingKey }: Pick<OpenPolicy, 'sealingKey'>): void {
  if ('revoked' in payload || payload.seal.key.text === sealingKey.text) return;
  throw new ArtifactError(
    'key_not_pinned',
    'The artifact is sealed by another key than the one that is set here',
  );
}

function checkFloor({ epoch, revision, payloadDigest }: ArtifactFloor, { floor }: OpenPolicy): void {
  if (floor === undefined || epoch > floor.epoch) return;
  if (epoch < floor.epoch || revision < floor.revision) {
    throw new ArtifactError(
      'rollback',
      `The artifact is older than revision ${floor.revision}, accepted before`,
    );
  }
  if (revision === floor.revision && payloadDigest !== floor.payloadDigest) {
    throw new ArtifactError('equivocation', `There are two different artifacts of revision ${revision}`);
  }
}

// Within a day of the clock, so that one bad pack cannot shut out every later one (INV-49), and at least what was set.
function checkRevision({ revision }: ArtifactHeader, { minRevision = 0, now }: OpenPolicy): void {
  if (revision < minRevision) {
    throw new ArtifactError(
      'rollback',
      `The artifact has revision ${revision}; the least allowed is ${minRevision}`,
    );
  }
  if (revision > now + dayMilliseconds) {
    throw new ArtifactError('fast_forward', `The revision ${revision} is more than a day ahead of the clock`);
  }
}

// A revocation has no end, so it comes before the dates; it counts only above the floor, so that an old one cannot be
// played again. One that nobody signed stops this opener too, but must not lift its floor (INV-54).
function refuseRevoked(
  payload: ArtifactPayload,
  found: ArtifactFloor,
  { verifyKeys }: OpenPolicy,
): SealedPayload {
  if (!('revoked' in payload)) return payload;
  throw new ArtifactError(
    'revoked',
    `Revision ${found.revision} revokes this identity`,
    verifyKeys.length > 0 ? found : {},
  );
}

function checkDates({ packedAt, expiresAt }: ArtifactHeader, { now }: OpenPolicy): void {
  if (parseTimestamp(packedAt) > now + packedAheadMilliseconds) {
    throw new ArtifactError('not_yet_valid', `The artifact was packed in the future, at ${packedAt}`);
  }
  if (parseTimestamp(expiresAt) <= now)
    throw new ArtifactError('expired', `The artifact expired at ${expiresAt}`);
}

async function findIdentity(
  { header, seal, ciphertext }: SealedPayload,
  policy: OpenPolicy,
  kms: Pick<Kms, 'unwrap'> | undefined,
): Promise<string> {
  const { sealingKey, repository, identity, environment } = policy;
  if (sealingKey.kind === 'age') return checkAgeIdentity(sealingKey, policy.ageIdentity);
  if (kms === undefined || seal.wrappedIdentity === undefined)
    throw new TypeError('A sealing key in a KMS needs a KMS');
  const context = artifactContext({
    repository,
    identity,
    environment,
    revision: header.revision,
    digest: digestOf(ciphertext),
  });
  return readOneTimeIdentity(await unwrap(kms, sealingKey, seal.wrappedIdentity, context));
}

function checkAgeIdentity({ hybrid }: AgeKey, identity: string | undefined): string {
  if (identity !== undefined && isAgeIdentity(identity, hybrid ? 'hybrid' : 'x25519')) return identity;
  throw new ArtifactError(
    'bad_identity',
    'The age private key of this machine is missing, or not of the kind of its recipient',
  );
}

const kmsCodes = {
  denied: 'kms_denied',
  not_found: 'kms_denied',
  no_credentials: 'kms_no_credentials',
  throttled: 'kms_unavailable',
  unavailable: 'kms_unavailable',
  mismatch: 'kms_mismatch',
  bad_endpoint: 'kms_settings',
  unsupported: 'kms_settings',
  bad_reference: 'kms_settings',
  private_key: 'kms_settings',
} as const satisfies Record<KmsCode, ArtifactCode>;

async function unwrap(kms: Pick<Kms, 'unwrap'>, ...question: Parameters<Kms['unwrap']>): Promise<Uint8Array> {
  try {
    return await kms.unwrap(...question);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    throw new ArtifactError(kmsCodes[error.code], error.message, { cause: error });
  }
}

function readOneTimeIdentity(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  bytes.fill(0);
  if (isAgeIdentity(text, 'hybrid')) return text;
  throw new ArtifactError('kms_mismatch', 'The KMS gave back something else than the key of an artifact');
}

async function decrypt({ seal, ciphertext }: SealedPayload, identity: string): Promise<Uint8Array> {
  const plaintext = await decryptWith(identity, ciphertext);
  if (typeof plaintext !== 'string') return plaintext;
  if (plaintext === 'no_match' && seal.key.kind !== 'age') {
    throw new ArtifactError('kms_mismatch', 'The KMS gave back the key of another artifact');
  }
  throw new ArtifactError(
    'decrypt',
    'The artifact does not open with the key of this machine, or it was changed',
  );
}
