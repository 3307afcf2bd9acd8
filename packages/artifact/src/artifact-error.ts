// The one error of this package. Its message never holds a secret, a key or a piece of unverified input, but for the escaped
// start of a field's name that has no place in the open part.

export type ArtifactCode =
  /** Larger than 1 MiB, or nested deeper or with more values than an artifact can have. */
  | 'too_large'
  /** Not shaped as an artifact is; `faults` lists everything that is wrong. */
  | 'format'
  /** There is no signature where one is wanted. */
  | 'unsigned'
  /** No signature verifies under a key that the opener trusts. */
  | 'signature'
  /** Made for another repository, identity or environment. */
  | 'binding'
  /** Sealed by another key than the opener's. */
  | 'key_not_pinned'
  /** Older than what the opener has accepted, or than its minimum. */
  | 'rollback'
  /** Another payload under an (epoch, revision) that the opener has accepted. */
  | 'equivocation'
  /** The revision lies more than a day ahead of the clock. */
  | 'fast_forward'
  /** A revocation; where a trusted key signed it, `epoch`, `revision` and `payloadDigest` say what the floor rises to. */
  | 'revoked'
  /** Packed in the future. */
  | 'not_yet_valid'
  | 'expired'
  /** The KMS says no. */
  | 'kms_denied'
  /** The KMS could not be asked. */
  | 'kms_unavailable'
  /** The machine has no credentials, or they have run out. */
  | 'kms_no_credentials'
  /** The KMS answered, but not with the key of this artifact. */
  | 'kms_mismatch'
  /** This KMS cannot be used as it is set up here (endpoint, kind of key). */
  | 'kms_settings'
  /** The age file does not open. */
  | 'decrypt'
  /** The header inside of the encryption is another one. */
  | 'header_mismatch'
  /** What is inside of the encryption, or is to be, breaks a rule: a name, a value, the padding. */
  | 'bad_content'
  /** Not a key that can sign or verify here. */
  | 'bad_signing_key'
  /** Not an age private key that can open here. */
  | 'bad_identity';

/** What an error is about, where there is more to say than its message. */
export type ArtifactErrorDetails = {
  readonly cause?: unknown;
  readonly faults?: readonly string[];
  readonly epoch?: number;
  readonly revision?: number;
  readonly payloadDigest?: string;
};

/** Thrown by everything in this package. */
export class ArtifactError extends Error {
  readonly code: ArtifactCode;
  /** With `format` and `bad_content`: every fault found. */
  readonly faults: readonly string[];
  /** With `revoked`: where the floor goes. */
  readonly epoch?: number;
  readonly revision?: number;
  readonly payloadDigest?: string;

  constructor(code: ArtifactCode, message: string, details: ArtifactErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ArtifactError';
    this.code = code;
    this.faults = details.faults ?? [];
    if (details.epoch !== undefined) this.epoch = details.epoch;
    if (details.revision !== undefined) this.revision = details.revision;
    if (details.payloadDigest !== undefined) this.payloadDigest = details.payloadDigest;
  }
}
