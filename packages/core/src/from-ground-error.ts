// What the ground floor reports, as errors with a next step: the only place where codes of host, kms and artifact are
// judged. (SOPS errors are judged where the cell is known: cells/read.ts.)
import { type ArtifactCode, ArtifactError } from '@clef/artifact';
import { type HostCode, HostError } from '@clef/host';
import { type KmsCode, KmsError } from '@clef/kms';
import { ClefError, type ErrorCode } from './errors.ts';

type HostRow = { readonly code: ErrorCode; readonly why: string; readonly hint: string };
type Row = { readonly code: ErrorCode; readonly hint: string };

const hostRows = {
  not_found: { code: 'io', why: 'it does not exist', hint: 'check the path' },
  not_regular: { code: 'bad_path', why: 'it is not a regular file', hint: 'put a regular file in its place' },
  symlink: { code: 'bad_path', why: 'it is a symbolic link', hint: 'replace the link by the file itself' },
  outside: {
    code: 'bad_path',
    why: 'its folder leads out of the repository',
    hint: 'remove the symbolic link on its path',
  },
  too_large: {
    code: 'limit',
    why: 'it is too large',
    hint: 'make it smaller, or check that it is the right file',
  },
  permission: {
    code: 'io',
    why: 'permission is denied',
    hint: 'check the owner and the mode of the file and its folder',
  },
  disk_full: { code: 'io', why: 'the disk is full', hint: 'free some space and run the command again' },
  quota: {
    code: 'io',
    why: 'a quota or a limit on the size of files is reached',
    hint: 'see "quota" and "ulimit -f", make room, and run the command again',
  },
  too_many_files: {
    code: 'io',
    why: 'too many files are open',
    hint: 'raise the limit with "ulimit -n 4096", or end other programs, and run the command again',
  },
  read_only: { code: 'io', why: 'the file system is read-only', hint: 'work on a writable copy' },
  exists: { code: 'already_exists', why: 'it exists already', hint: 'move it away first' },
  busy: { code: 'io', why: 'it is in use', hint: 'run the command again' },
  changed: {
    code: 'changed_meanwhile',
    why: 'it was changed meanwhile',
    hint: 'look at the change and run the command again',
  },
  io: {
    code: 'io',
    why: 'the machine reported an error',
    hint: 'check the disk, then run the command again',
  },
  command_not_found: {
    code: 'command_not_found',
    why: 'there is no such command',
    hint: 'check the name and PATH',
  },
  command_not_executable: {
    code: 'command_not_executable',
    why: 'it is not an executable file',
    hint: 'check its mode and the path',
  },
  argument_too_large: {
    code: 'environment_value',
    why: 'a variable or an argument is larger than the system passes on',
    hint: 'pass less',
  },
  invalid_argument: {
    code: 'environment_value',
    why: 'an argument cannot be passed on',
    hint: 'check the arguments',
  },
  timeout: { code: 'io', why: 'it took too long', hint: 'run the command again' },
} as const satisfies Record<HostCode, HostRow>;

const kmsRows = {
  bad_reference: {
    code: 'bad_key_reference',
    hint: 'write age1…, awskms:///ARN or gcpkms://projects/…; docs/formats.md lists all forms, under "Key references"',
  },
  private_key: {
    code: 'private_key_given',
    hint: 'treat that key as leaked: make a new one and give its public half',
  },
  unsupported: {
    code: 'not_supported',
    hint: 'use an AWS or GCP KMS key that is made for this: symmetric to seal, ECDSA P-256 to sign',
  },
  bad_endpoint: { code: 'endpoint_refused', hint: 'use https, or an address on this machine' },
  no_credentials: {
    code: 'kms_denied',
    hint: 'log in to the cloud, or run where a role is attached; Clef stores no credential',
  },
  denied: {
    code: 'kms_denied',
    hint: 'check the policy of the key and of your role, and the encryption context it requires',
  },
  not_found: {
    code: 'kms_denied',
    hint: 'check the key in clef.yaml: it does not exist there, or is disabled',
  },
  throttled: { code: 'kms_unavailable', hint: 'run the command again in a moment' },
  unavailable: { code: 'kms_unavailable', hint: 'check the network, then run the command again' },
  mismatch: {
    code: 'kms_mismatch',
    hint: 'run the command again; if it stays, the endpoint is not the KMS you think it is',
  },
} as const satisfies Record<KmsCode, Row>;

/** What sealing can say; the other codes belong to opening, which core does not do. */
const artifactCodes: Partial<Record<ArtifactCode, Row>> = {
  bad_content: {
    code: 'bad_format',
    hint: 'a service needs at least one key, each with a legal name and a value',
  },
  bad_signing_key: {
    code: 'signing_key',
    hint: 'give an Ed25519 private key in PEM in CLEF_SIGNING_KEY_FILE',
  },
  too_large: { code: 'limit', hint: 'split the service identity: an artifact holds at most 1 MiB' },
};

/**
 * An error of the ground floor as a ClefError; anything else comes back as it is.
 * @param doing.action - Completes "Cannot …", for example `read "clef.yaml"`.
 */
export function fromGroundError(
  error: unknown,
  doing: { readonly action: string; readonly file?: string },
): unknown {
  const location = doing.file === undefined ? undefined : { file: doing.file };
  if (error instanceof HostError) {
    const { code, why, hint } = hostRows[error.code];
    return new ClefError({ code, message: `Cannot ${doing.action}: ${why}`, hint, location, cause: error });
  }
  if (error instanceof KmsError) {
    const { code, hint } = kmsRows[error.code];
    return new ClefError({
      code,
      message: `Cannot ${doing.action}: ${uncapitalised(error.message)}`,
      hint,
      location,
      cause: error,
    });
  }
  if (error instanceof ArtifactError) {
    const { code, hint } = artifactCodes[error.code] ?? {
      code: 'artifact_failed' as const,
      hint: 'make a new artifact with "clef pack"',
    };
    return new ClefError({
      code,
      message: `Cannot ${doing.action}: ${uncapitalised(error.message)}`,
      hint,
      location,
      cause: error,
    });
  }
  return error;
}

/** The start of a message in the middle of ours; names such as AWS keep their capitals. */
export function uncapitalised(message: string): string {
  return /^[A-Z][a-z ]/.test(message) ? message.charAt(0).toLowerCase() + message.slice(1) : message;
}

/** A file that a person named on the command line and that is not there; `quoted` is its path, safe to show. */
export function noSuchFile(quoted: string): ClefError {
  return new ClefError({
    code: 'bad_path',
    message: `There is no file ${quoted}`,
    hint: 'check the path, or use "-" for standard input',
  });
}
