// `clef sops exec-env`
import { execWithSopsEnv, notCovered } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  refuseProcessOptions(input);
  if (input.has('--same-process')) {
    throw notCovered('"--same-process"', 'this program cannot become another one', 'leave it out');
  }
  return execWithSopsEnv(context.world, {
    ...sourceOf(context, input),
    command: input.argument('command'),
    pristine: input.has('--pristine'),
    allowedEnvironmentNames: input.list('--allow-env'),
  });
}

/** What both exec commands leave to the person's shell. */
export function refuseProcessOptions(input: CommandInput): void {
  if (input.text('--user') !== undefined) {
    throw notCovered('"--user"', 'Clef does not change users', 'run it under sudo -u or setpriv');
  }
  if (input.has('--background')) {
    throw notCovered(
      '"--background"',
      'the plaintext would outlive the command',
      'end the command line with "&"',
    );
  }
}
