// What opening an artifact can say, as errors with a next step: each check its own code.
import { type ArtifactCode, ArtifactError, maxArtifactBytes } from '@clef/artifact';
import { ClefError, type ErrorCode } from '../errors.ts';

type Row = { readonly code: ErrorCode; readonly hint: string };

const repack = 'make a new artifact with "clef pack"';
const rows = {
  too_large: { code: 'artifact_too_large', hint: 'check that it is the right file' },
  format: { code: 'artifact_format', hint: 'check that it is the right file, whole and unchanged' },
  unsigned: { code: 'artifact_unsigned', hint: 'sign it: "clef pack" does, by default' },
  signature: {
    code: 'artifact_signature',
    hint: 'sign with a key that is in "verify", and check that nothing changed the file',
  },
  binding: { code: 'artifact_binding', hint: 'check which service and environment the file is for' },
  key_not_pinned: {
    code: 'artifact_key_not_pinned',
    hint: 'check the sealing key in clef.yaml and in the settings of the agent',
  },
  rollback: { code: 'artifact_rollback', hint: 'publish a newer artifact' },
  equivocation: {
    code: 'artifact_equivocation',
    hint: 'find out who signed two artifacts of one revision, then pack anew',
  },
  fast_forward: { code: 'artifact_fast_forward', hint: 'check the clocks of this machine and of the packer' },
  revoked: { code: 'artifact_revoked', hint: 'pack anew once the reason is gone: the revision rises' },
  not_yet_valid: {
    code: 'artifact_not_yet_valid',
    hint: 'check the clocks of this machine and of the packer',
  },
  expired: { code: 'artifact_expired', hint: repack },
  kms_denied: {
    code: 'kms_denied',
    hint: 'check the policy of the key and of your role, and the encryption context it requires',
  },
  kms_unavailable: { code: 'kms_unavailable', hint: 'check the network, then run the command again' },
  kms_no_credentials: {
    code: 'kms_denied',
    hint: 'log in to the cloud, or run where a role is attached; Clef stores no credential',
  },
  kms_mismatch: {
    code: 'kms_mismatch',
    hint: 'check the endpoint of the KMS; if it is the right one, pack anew',
  },
  kms_settings: { code: 'endpoint_refused', hint: 'use https, or an address on this machine' },
  decrypt: { code: 'artifact_decrypt', hint: repack },
  header_mismatch: { code: 'artifact_header_mismatch', hint: repack },
  bad_content: { code: 'artifact_content', hint: repack },
  bad_signing_key: {
    code: 'bad_key_reference',
    hint: 'give verify keys oldest first: ed25519:…, p256:… or retired:…',
  },
  bad_identity: { code: 'bad_identity', hint: 'give the age private key of the recipient it is sealed to' },
} as const satisfies Record<ArtifactCode, Row>;

/** An ArtifactError as a ClefError; anything else comes back as it is. */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof ArtifactError)) return error;
  const { code, hint } = rows[error.code];
  const faults = error.faults.map((message) => ({ message }));
  return new ClefError({ code, message: error.message, hint, faults, cause: error });
}

/** What a file is called that is not even read. */
export function tooLarge(): ClefError {
  const { code, hint } = rows.too_large;
  return new ClefError({ code, message: `The artifact is larger than ${maxArtifactBytes} bytes`, hint });
}
