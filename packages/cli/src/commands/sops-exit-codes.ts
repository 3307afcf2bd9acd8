// The numbered exit codes of the SOPS command (spec sops-format, section 14). An outcome without one is a compile error.
import type { SopsOutcome } from '@clef/core';

/** `not_covered` is a number that SOPS does not use. */
export const sopsExitCodes = {
  generic: 1,
  input: 2,
  output: 3,
  print: 4,
  encryption_context: 6,
  set_argument: 7,
  conflicting_parameters: 8,
  encrypt_tree: 23,
  decrypt_tree: 25,
  mac: 51,
  no_configuration: 61,
  not_covered: 69,
  tree_path: 91,
  empty_file: 92,
  no_file: 100,
  decryption_order: 112,
  no_data_key: 128,
  file_unchanged: 200,
  no_editor: 201,
  already_encrypted: 203,
} as const satisfies Record<SopsOutcome, number>;
