// The stable exit codes. A class of errors without one is a compile error.
import type { ErrorClass } from '@clef/core';

/** Of a command that looked for trouble and found some: nothing failed. */
export const exitOfFindings = 1;

/** 128 + SIGINT: a person took back a question. */
export const exitOfCancel = 130;

/** The exit code of each class of errors (docs/errors.md lists them). */
export const exitCodes = {
  usage: 2,
  config: 3,
  name: 3,
  path: 3,
  format: 3,
  schema: 3,
  limit: 3,
  not_found: 4,
  no_identity: 5,
  decrypt: 5,
  tamper: 6,
  seal: 6,
  binding: 6,
  signature: 6,
  rollback: 6,
  expired: 6,
  revoked: 6,
  recipients: 7,
  policy: 7,
  io: 8,
  git: 8,
  lock: 9,
  conflict: 9,
  transaction: 9,
  source: 10,
  kms_denied: 10,
  kms_unavailable: 10,
  kms_mismatch: 10,
  command_not_executable: 126,
  command_not_found: 127,
  internal: 70,
} as const satisfies Record<ErrorClass, number>;
