// The one error of this package. Its message never holds a value, key material or text from inside a cipher.
import type { Position } from '@clef/strict';

/** What went wrong; the names are those of the published test vectors. */
export type SopsCode =
  | 'parse_error'
  | 'no_metadata'
  | 'bad_metadata'
  | 'no_matching_key'
  | 'value_auth_failed'
  | 'value_bad_format'
  | 'value_not_encrypted'
  | 'value_unknown_type'
  | 'value_wrong_type'
  | 'mac_mismatch'
  | 'mac_undecryptable'
  | 'already_encrypted'
  | 'unsupported'
  | 'empty_file'
  | 'conflicting_rules'
  | 'no_recipients'
  | 'bad_shamir'
  | 'limit'
  | 'bad_recipient'
  | 'bad_identity'
  | 'key_service';

/** The facts that may come with an error, for whoever words the advice. */
export type SopsErrorDetails = {
  readonly cause?: unknown;
  readonly position?: Position;
  /** The keys from the root of the document to the place. */
  readonly path?: readonly string[];
  /** The recipients named by the file's stanzas, when none could be opened. */
  readonly recipients?: readonly string[];
};

/** Thrown by everything in this package; the same `code` always means the same kind of trouble. */
export class SopsError extends Error {
  readonly code: SopsCode;
  readonly position?: Position;
  readonly path?: readonly string[];
  readonly recipients?: readonly string[];

  constructor(code: SopsCode, message: string, details: SopsErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'SopsError';
    this.code = code;
    if (details.position !== undefined) {
      this.position = { line: details.position.line, column: details.position.column };
    }
    if (details.path !== undefined) this.path = details.path;
    if (details.recipients !== undefined) this.recipients = details.recipients;
  }
}
