// `clef exec`
import { execWithSecrets, openRepository } from '@clef/core';
import { commaList, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const [command, ...args] = input.rest;
  if (command === undefined || command === '') {
    throw new UsageError(
      'There is no command after "--"',
      'write: clef exec NAMESPACE/ENVIRONMENT -- COMMAND',
    );
  }
  const only = commaList(input, '--only');
  const repository = await openRepository(context.world, context.directory);
  return execWithSecrets(repository, {
    cell: requiredArgument(input, 'cell'),
    command,
    args,
    ...(only === undefined ? {} : { only }),
    pristine: input.has('--pristine'),
    keepClefVariables: input.has('--keep-clef-env'),
    allowedEnvironmentNames: input.list('--allow-env'),
  });
}
