// `clef sops publish`, `keyservice` and `groups`: named, so that the answer is a reason and not a typing error.
import { notCovered } from '@clef/core';

export async function run(): Promise<number> {
  throw notCovered(
    'this subcommand',
    'it is none of decrypt, encrypt, edit, set, unset, rotate, updatekeys, filestatus, exec-env and exec-file',
    'use the SOPS program for it; for key groups write key_groups in .sops.yaml and run "clef sops updatekeys"',
  );
}
