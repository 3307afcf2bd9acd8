// `clef sops exec-file`
import { execWithSopsFile, notCovered } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { refuseProcessOptions } from './sops-exec-env.ts';
import { sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  refuseProcessOptions(input);
  // The parser reads "no-" as a negation: what it calls set is the default.
  if (!input.has('--no-fifo')) {
    throw notCovered(
      '"--no-fifo"',
      'the plaintext would be written to a disk',
      'leave it out: the command reads a named pipe',
    );
  }
  return execWithSopsFile(context.world, {
    ...sourceOf(context, input),
    command: input.argument('command'),
    pipeName: input.text('--filename'),
  });
}
