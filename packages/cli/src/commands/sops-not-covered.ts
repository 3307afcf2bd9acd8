// `clef sops publish`, `keyservice` and `groups`: named, so that the answer is a reason and not a typing error.
import { notCovered } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';

const reason =
  'it is none of decrypt, encrypt, edit, set, unset, rotate, updatekeys, filestatus, exec-env and exec-file';
const way =
  'use the SOPS program for it; for key groups write key_groups in .sops.yaml and run "clef sops updatekeys"';

export async function run({ terminal }: CommandContext, { rest }: CommandInput): Promise<number> {
  if (!rest.includes('--help') && !rest.includes('-h')) throw notCovered('this subcommand', reason, way);
  await terminal.data(
    `Usage: clef sops COMMAND\n\nThis subcommand is not covered: ${reason}.\nTry: ${way}\n`,
  );
  return 0;
}
