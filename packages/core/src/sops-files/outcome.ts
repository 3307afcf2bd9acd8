// How an operation on a SOPS file can fail: the same outcomes as the SOPS command has exit codes for, whatever the cause.
// The only place where codes of the engine, of files and of key services are judged for these operations.
import { HostError } from '@clef/host';
import { KmsError } from '@clef/kms';
import { type SopsCode, SopsError } from '@clef/sops';
import { escapeControl } from '@clef/strict';
import { ClefError, type ErrorCode } from '../errors.ts';
import { fromGroundError, uncapitalised } from '../from-ground-error.ts';
import { serviceFailure } from '../keys/sops-keyring.ts';

/** The outcomes of SOPS (spec sops-format, section 14), and `not_covered` for what only the real tool does. */
export type SopsOutcome =
  | 'generic'
  | 'input'
  | 'output'
  | 'print'
  | 'encryption_context'
  | 'set_argument'
  | 'conflicting_parameters'
  | 'encrypt_tree'
  | 'decrypt_tree'
  | 'mac'
  | 'no_configuration'
  | 'tree_path'
  | 'empty_file'
  | 'no_file'
  | 'decryption_order'
  | 'no_data_key'
  | 'file_unchanged'
  | 'no_editor'
  | 'already_encrypted'
  | 'not_covered';

/** A ClefError that also says how SOPS would have ended. */
export class SopsOperationError extends ClefError {
  readonly outcome: SopsOutcome;

  constructor(outcome: SopsOutcome, fields: ConstructorParameters<typeof ClefError>[0]) {
    super(fields);
    this.outcome = outcome;
  }
}

/** What was being done, which decides the outcome where the code alone does not. */
export type Stage =
  | 'read'
  | 'plain'
  | 'open'
  | 'decrypt'
  | 'encrypt'
  | 'print'
  | 'set'
  | 'write'
  | 'configuration';

type Row = { readonly code: ErrorCode; readonly outcome: SopsOutcome; readonly hint: string };

const damaged = 'restore the last good version of the file';
const malformed: Row = {
  code: 'bad_format',
  outcome: 'generic',
  hint: 'check that it is the right file, and its --input-type',
};
const badValue: Row = { code: 'cell_tampered', outcome: 'decrypt_tree', hint: damaged };
const badMac: Row = {
  code: 'cell_tampered',
  outcome: 'mac',
  hint: `${damaged}; --ignore-mac reads it all the same, if you know who changed it`,
};

const rows = {
  parse_error: malformed,
  no_metadata: { ...malformed, hint: 'encrypt it first: clef sops encrypt --in-place FILE' },
  bad_metadata: { ...malformed, hint: damaged },
  no_matching_key: {
    code: 'cannot_decrypt',
    outcome: 'no_data_key',
    hint: 'give a key that is among its recipients, for example in SOPS_AGE_KEY_FILE',
  },
  value_auth_failed: badValue,
  value_bad_format: badValue,
  value_not_encrypted: { ...badValue, code: 'cell_plaintext' },
  value_unknown_type: badValue,
  value_wrong_type: badValue,
  mac_mismatch: badMac,
  mac_undecryptable: badMac,
  already_encrypted: {
    code: 'bad_format',
    outcome: 'already_encrypted',
    hint: 'decrypt it first, or rename what stands in the place of the SOPS metadata',
  },
  unsupported: { code: 'not_supported', outcome: 'generic', hint: 'choose another format or key for it' },
  empty_file: { code: 'bad_format', outcome: 'empty_file', hint: 'put at least one document into it' },
  conflicting_rules: {
    code: 'usage',
    outcome: 'conflicting_parameters',
    hint: 'give one of the suffix and regex options only',
  },
  no_recipients: {
    code: 'no_recipients',
    outcome: 'generic',
    hint: 'name a key, for example with --age, or write a creation rule in .sops.yaml',
  },
  bad_shamir: {
    code: 'no_recipients',
    outcome: 'generic',
    hint: 'give each key group a key, and a threshold of 2 up to their number',
  },
  limit: { code: 'limit', outcome: 'generic', hint: 'make the file smaller' },
  bad_recipient: {
    code: 'bad_key_reference',
    outcome: 'generic',
    hint: 'check the key and the option that names it',
  },
  bad_identity: { code: 'bad_identity', outcome: 'no_data_key', hint: 'check your age key' },
  key_service: { code: 'kms_unavailable', outcome: 'no_data_key', hint: 'run the command again' },
} as const satisfies Record<SopsCode, Row>;

/** Where a stage has an outcome of its own for a code. */
const stageOutcomes: Partial<Record<Stage, Partial<Record<SopsCode, SopsOutcome>>>> = {
  plain: { parse_error: 'input' },
  encrypt: { unsupported: 'encrypt_tree', key_service: 'generic', bad_identity: 'generic' },
  print: { unsupported: 'print', parse_error: 'print' },
  set: { unsupported: 'generic', parse_error: 'set_argument' },
  configuration: { conflicting_rules: 'generic', empty_file: 'generic' },
};

const actions = {
  read: 'read',
  plain: 'read',
  open: 'decrypt',
  decrypt: 'decrypt',
  encrypt: 'encrypt',
  print: 'print',
  set: 'change',
  write: 'write',
  configuration: 'use',
} as const satisfies Record<Stage, string>;

/** Runs a step of an operation on the file of that name; what it throws comes out with an outcome and a next step. */
export async function during<T>(stage: Stage, name: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asSopsFailure(error, stage, name);
  }
}

/** An option or an argument that does not fit; `outcome` is what SOPS ends with. */
export function badArgument(outcome: SopsOutcome, message: string, hint: string): SopsOperationError {
  return new SopsOperationError(outcome, { code: 'usage', message, hint });
}

/** Something that SOPS does and Clef does not. */
export function notCovered(what: string, why: string, hint: string): SopsOperationError {
  const message = `"clef sops" does not cover ${what}: ${why}`;
  return new SopsOperationError('not_covered', { code: 'not_supported', message, hint });
}

function asSopsFailure(error: unknown, stage: Stage, name: string): unknown {
  if (error instanceof SopsOperationError) return error;
  if (error instanceof SopsError) return fromEngine(error, stage, name);
  const action = `${actions[stage]} "${escapeControl(name)}"`;
  const judged = fromGroundError(error, { action, file: name });
  if (!(judged instanceof ClefError)) return error;
  const { code, message, hint, location, faults } = judged;
  return new SopsOperationError(outcomeOf(error, stage), {
    code,
    message,
    hint,
    location,
    faults,
    cause: error,
  });
}

function outcomeOf(error: unknown, stage: Stage): SopsOutcome {
  if (error instanceof HostError && (stage === 'read' || stage === 'plain')) return 'input';
  if (error instanceof HostError && stage === 'write') return 'output';
  return stage === 'open' ? 'no_data_key' : 'generic';
}

function fromEngine(error: SopsError, stage: Stage, name: string): unknown {
  const row: Row = rows[error.code];
  const outcome = stageOutcomes[stage]?.[error.code] ?? row.outcome;
  const { line, column } = error.position ?? {};
  const where = `"${escapeControl(name)}"${line === undefined ? '' : ` line ${line}`}`;
  const key = error.path === undefined || error.path.length === 0 ? undefined : error.path.join('.');
  const service = serviceAdvice(error.cause);
  return new SopsOperationError(outcome, {
    code: service?.code ?? row.code,
    message: `Cannot ${actions[stage]} ${where}${key === undefined ? '' : `, "${escapeControl(key)}"`}: ${uncapitalised(error.message)}${service?.why ?? ''}`,
    hint: service?.hint ?? row.hint,
    location: {
      file: name,
      ...(line !== undefined && { line }),
      ...(column !== undefined && { column }),
      ...(key !== undefined && { key }),
    },
    cause: error,
  });
}

/** What the key service or the program itself said, where it did. */
function serviceAdvice(cause: unknown): { code: ErrorCode; hint: string; why: string } | undefined {
  if (!(cause instanceof KmsError || cause instanceof SopsError)) return undefined;
  const judged = serviceFailure(cause, { action: 'use the key' });
  if (!(judged instanceof ClefError)) return undefined;
  return { code: judged.code, hint: judged.hint, why: `: ${uncapitalised(cause.message)}` };
}
