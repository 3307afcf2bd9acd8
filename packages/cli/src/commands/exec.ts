// `clef exec`
import { execWithSecrets, openRepository } from '@clef/core';
import { choiceOf } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { runningProcess } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory } = context;
  const [command, ...args] = input.rest;
  if (command === undefined || command === '') {
    throw new UsageError(
      'There is no command after "--"',
      'write: clef exec NAMESPACE/ENVIRONMENT -- COMMAND',
    );
  }
  if (runningProcess.pid === 1) {
    terminal.talk(
      'warning: Clef is the first process here and cannot reap orphans of the command; run it under an init (docker run --init)',
    );
  }
  const repository = await openRepository(world, directory);
  return execWithSecrets(repository, {
    ...choiceOf(input),
    command,
    args,
    pristine: input.has('--pristine'),
    keepClefVariables: input.has('--keep-clef-env'),
    allowedEnvironmentNames: input.list('--allow-env'),
    redact: input.has('--redact'),
    isOnTerminal: terminal.inputIsTerminal && terminal.outputIsTerminal && terminal.talkIsTerminal,
    watch: input.has('--watch'),
  });
}
