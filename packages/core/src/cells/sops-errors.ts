// What the SOPS engine reports of a cell's file, as errors with a next step: the only place where its codes are judged.
import { type SopsCode, SopsError } from '@clef/sops';
import { ClefError, type ErrorCode } from '../errors.ts';
import { uncapitalised } from '../from-ground-error.ts';
import type { Cell } from './cell.ts';

type Row = { readonly code: ErrorCode; readonly hint: string };

const restore = 'look at who changed the file with "git log -p", and restore the last good version';
const tampered: Row = { code: 'cell_tampered', hint: restore };
const malformed: Row = { code: 'bad_format', hint: restore };

const rows = {
  parse_error: malformed,
  no_metadata: {
    code: 'bad_format',
    hint: 'the file is not encrypted: treat what is in it as leaked, and set the values anew',
  },
  bad_metadata: malformed,
  empty_file: malformed,
  conflicting_rules: tampered,
  value_auth_failed: tampered,
  value_bad_format: tampered,
  value_not_encrypted: {
    code: 'cell_plaintext',
    hint: 'treat the value as leaked: restore the file and set a new value',
  },
  value_unknown_type: tampered,
  value_wrong_type: tampered,
  mac_mismatch: tampered,
  mac_undecryptable: tampered,
  bad_shamir: malformed,
  no_matching_key: {
    code: 'cannot_decrypt',
    hint: 'ask a teammate to let your key in with "clef recipients add"',
  },
  already_encrypted: malformed,
  unsupported: { code: 'cell_profile', hint: 'a cell has one key group of age, AWS KMS and GCP KMS keys' },
  no_recipients: { code: 'no_recipients', hint: 'grant somebody access in clef.yaml' },
  limit: { code: 'limit', hint: 'split the cell into several namespaces' },
  bad_recipient: { code: 'bad_key_reference', hint: 'check the recipients in clef.yaml' },
  bad_identity: { code: 'bad_identity', hint: 'check your age key' },
  key_service: { code: 'kms_unavailable', hint: 'run the command again' },
} as const satisfies Record<SopsCode, Row>;

/** A SopsError about a cell as a ClefError; anything else comes back as it is. */
export function fromSopsError(error: unknown, cell: Pick<Cell, 'path'>): unknown {
  if (!(error instanceof SopsError)) return error;
  const { code, hint } = rows[error.code];
  const { line, column } = error.position ?? {};
  const key = error.path?.[0];
  const place = line === undefined ? `"${cell.path}"` : `"${cell.path}" line ${line}`;
  return new ClefError({
    code,
    message: `Cannot read ${place}${key === undefined ? '' : `, key "${key}"`}: ${uncapitalised(error.message)}`,
    hint,
    location: {
      file: cell.path,
      ...(line !== undefined && { line }),
      ...(column !== undefined && { column }),
      ...(key !== undefined && { key }),
    },
    cause: error,
  });
}
