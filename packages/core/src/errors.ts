// Every error that an operation of core can give: one table of codes, one error type. docs/errors.md is generated from
// the table. Messages never hold a value; every error says what to do next.

/** The classes of errors; each has one exit code. */
export const errorClasses = [
  'usage',
  'config',
  'name',
  'path',
  'format',
  'schema',
  'limit',
  'not_found',
  'no_identity',
  'decrypt',
  'tamper',
  'seal',
  'binding',
  'signature',
  'rollback',
  'expired',
  'revoked',
  'recipients',
  'policy',
  'io',
  'git',
  'lock',
  'conflict',
  'transaction',
  'source',
  'kms_denied',
  'kms_unavailable',
  'kms_mismatch',
  'command_not_executable',
  'command_not_found',
  'internal',
] as const;

export type ErrorClass = (typeof errorClasses)[number];

type ErrorRow = { readonly class: ErrorClass; readonly meaning: string };

/** Every code with its class and what it means; sorted by class as the exit codes are. */
export const errorTable = {
  usage: { class: 'usage', meaning: 'The arguments do not fit the command' },
  empty_value: {
    class: 'usage',
    meaning: 'An empty value cannot be stored: SOPS would keep it unauthenticated in the clear',
  },
  value_on_command_line: {
    class: 'usage',
    meaning:
      'A value for a protected environment was given as an argument, where other processes can read it',
  },
  no_repository: { class: 'config', meaning: 'No clef.yaml in this folder or any folder above it' },
  already_initialised: { class: 'config', meaning: 'There is a clef.yaml here already' },
  manifest_invalid: { class: 'config', meaning: 'clef.yaml has faults; all of them are listed' },
  not_supported: {
    class: 'config',
    meaning: 'A known feature that this version of Clef does not honour yet',
  },
  settings_invalid: {
    class: 'config',
    meaning: 'A variable or a file of your own configuration is not usable',
  },
  schema_invalid: { class: 'config', meaning: 'A schema file has faults; all of them are listed' },
  bad_key_reference: { class: 'config', meaning: 'A recipient or key reference is malformed' },
  private_key_given: {
    class: 'config',
    meaning: 'A private key was given where a public one belongs; it must be treated as leaked',
  },
  bad_identity: { class: 'config', meaning: 'An age private key is malformed' },
  bad_name: {
    class: 'name',
    meaning: 'A namespace, environment, key, person or identity has an illegal name',
  },
  bad_path: { class: 'path', meaning: 'A path leaves the repository or is no regular file' },
  bad_format: { class: 'format', meaning: 'A file or value is not what it claims to be' },
  cell_profile: { class: 'format', meaning: 'A SOPS file is valid but outside the strict profile of a cell' },
  cell_type: {
    class: 'format',
    meaning: 'A cell holds a value of another type than string, as stock sops writes numbers',
  },
  schema_violation: {
    class: 'schema',
    meaning: 'A value or a name breaks the schema of its namespace; the findings name the rules and no value',
  },
  limit: { class: 'limit', meaning: 'A size, depth or count is over its limit' },
  value_too_large: { class: 'limit', meaning: 'A value is larger than 256 KiB' },
  unknown_environment: { class: 'not_found', meaning: 'The environment is not in clef.yaml' },
  unknown_namespace: { class: 'not_found', meaning: 'The namespace is not in clef.yaml' },
  unknown_key: { class: 'not_found', meaning: 'The cell has no such key' },
  unknown_service: {
    class: 'not_found',
    meaning: 'The service identity, or its environment, is not in clef.yaml',
  },
  unknown_recipient: { class: 'not_found', meaning: 'No such person or group in clef.yaml' },
  missing_schema: { class: 'not_found', meaning: 'clef.yaml names a schema that is not there' },
  missing_cell: { class: 'not_found', meaning: 'The file of a cell is not there' },
  no_age_key: { class: 'no_identity', meaning: 'There is no age key of yours on this machine' },
  cannot_decrypt: { class: 'decrypt', meaning: 'None of your keys opens the file' },
  key_locked: {
    class: 'no_identity',
    meaning: 'Your age key needs a passphrase or a keychain that is not available now',
  },
  cell_tampered: { class: 'tamper', meaning: 'The file was changed by something that has no key' },
  cell_plaintext: { class: 'tamper', meaning: 'A value in the file is not encrypted' },
  recipients_differ: {
    class: 'recipients',
    meaning: 'The recipients of the file are not those that clef.yaml grants; writing is refused',
  },
  no_recipients: { class: 'recipients', meaning: 'Nobody could read the cell' },
  protected: { class: 'policy', meaning: 'The environment is protected and the change was not confirmed' },
  not_confirmed: {
    class: 'policy',
    meaning: 'A change that somebody must confirm was not confirmed',
  },
  dangerous_name: {
    class: 'policy',
    meaning: 'The key would change how programs run if it became a variable',
  },
  dirty_tree: { class: 'policy', meaning: 'Files in scope differ from HEAD in a protected environment' },
  endpoint_refused: { class: 'policy', meaning: 'An endpoint override is neither https nor on this machine' },
  io: { class: 'io', meaning: 'The machine refused: disk, permission or file' },
  no_memory_storage: {
    class: 'io',
    meaning: 'There is no memory-backed folder for an editor, and plaintext never goes to a disk',
  },
  git: { class: 'git', meaning: 'git is missing or failed' },
  lock_held: { class: 'lock', meaning: 'Another process is writing to this repository' },
  git_busy: { class: 'lock', meaning: 'git is writing to this work tree' },
  changed_meanwhile: { class: 'conflict', meaning: 'A file was changed by somebody else while Clef worked' },
  key_conflict: { class: 'format', meaning: 'Two cells in scope define the same name' },
  pending_key: { class: 'format', meaning: 'A key in scope is still pending' },
  half_written: {
    class: 'transaction',
    meaning: 'A change of several files failed midway; the next command finishes it or takes it back',
  },
  journal_unusable: {
    class: 'transaction',
    meaning:
      'The journal of an interrupted change cannot be carried out; until a person has looked, Clef only reads',
  },
  destination: {
    class: 'source',
    meaning: 'The place where an artifact is published cannot be reached, or refuses it',
  },
  already_exists: { class: 'conflict', meaning: 'There is one of this name already' },
  in_use: { class: 'conflict', meaning: 'Something in clef.yaml still needs what would be removed' },
  kms_denied: {
    class: 'kms_denied',
    meaning: 'The KMS refused: permission, disabled key, or no credentials',
  },
  kms_unavailable: { class: 'kms_unavailable', meaning: 'The KMS did not answer in time or is throttling' },
  kms_mismatch: { class: 'kms_mismatch', meaning: 'The KMS gave an answer that does not fit the question' },
  signing_key: { class: 'config', meaning: 'The signing key is missing or not usable' },
  artifact_failed: { class: 'signature', meaning: 'The artifact could not be made' },
  artifact_too_large: { class: 'limit', meaning: 'The artifact is larger than 1 MiB, or nested too deeply' },
  artifact_format: { class: 'format', meaning: 'The file is not shaped as an artifact is' },
  artifact_content: {
    class: 'format',
    meaning: 'What is encrypted in the artifact breaks a rule: a name, a value, the padding',
  },
  artifact_decrypt: { class: 'decrypt', meaning: 'The artifact does not open with the key it is sealed to' },
  artifact_unsigned: { class: 'signature', meaning: 'The artifact is not signed' },
  artifact_signature: {
    class: 'signature',
    meaning: 'The artifact is signed by no key that is trusted here, or it was changed',
  },
  artifact_binding: {
    class: 'binding',
    meaning: 'The artifact was made for another repository, service identity or environment',
  },
  artifact_key_not_pinned: {
    class: 'binding',
    meaning: 'The artifact is sealed by another key than the one that is insisted on',
  },
  artifact_header_mismatch: {
    class: 'binding',
    meaning: 'The header inside of the encryption differs from the outer one',
  },
  artifact_rollback: { class: 'rollback', meaning: 'The artifact is older than what was accepted before' },
  artifact_equivocation: {
    class: 'rollback',
    meaning: 'There is another artifact of the same epoch and revision',
  },
  artifact_fast_forward: {
    class: 'rollback',
    meaning: 'The revision of the artifact is more than a day ahead of the clock',
  },
  artifact_revoked: { class: 'revoked', meaning: 'The artifact is a revocation' },
  artifact_not_yet_valid: { class: 'expired', meaning: 'The artifact was packed in the future' },
  artifact_expired: { class: 'expired', meaning: 'The artifact has expired' },
  environment_value: { class: 'format', meaning: 'A value cannot be passed as an environment variable' },
  command_not_found: { class: 'command_not_found', meaning: 'The command to run does not exist' },
  command_not_executable: {
    class: 'command_not_executable',
    meaning: 'The command to run is not executable',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

/** Where an error is: a file (relative to the repository root where it is inside) and a place in it. */
export type ErrorLocation = {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly key?: string;
};

/** One of several faults reported together. */
export type ErrorFault = {
  readonly message: string;
  readonly path?: string;
  readonly line?: number;
  readonly column?: number;
};

export type ClefErrorFields = {
  readonly code: ErrorCode;
  /** What failed and where: sentence case, no final period, no value. */
  readonly message: string;
  /** What to do next, as one imperative sentence without a period. */
  readonly hint: string;
  readonly location?: ErrorLocation | undefined;
  readonly faults?: readonly ErrorFault[] | undefined;
  readonly cause?: unknown;
};

/**
 * The only error that leaves core on purpose. Anything else thrown is a bug and is shown as one.
 * `errorClass` decides the exit code; `hint` is never empty.
 */
export class ClefError extends Error {
  override readonly name = 'ClefError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly location: ErrorLocation | undefined;
  readonly faults: readonly ErrorFault[];

  constructor(fields: ClefErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code;
    this.hint = fields.hint;
    this.location = fields.location;
    this.faults = fields.faults ?? [];
  }

  /** The class of the code, which decides the exit code. */
  get errorClass(): ErrorClass {
    return errorTable[this.code].class;
  }
}
