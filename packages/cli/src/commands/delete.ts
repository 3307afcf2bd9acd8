// `clef delete`
import { deleteSecrets, openRepository } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const repository = await openRepository(world, directory);
  const keys = input.arguments('key');
  const result = await deleteSecrets(repository, {
    cell: requiredArgument(input, 'cell'),
    keys,
    confirm: confirmation(context, input),
  });
  if (json) return printJson(terminal, result);
  const old = keys.length === 1 ? 'its old value stays' : 'their old values stay';
  terminal.talk(
    `Deleted ${keys.join(', ')} from ${result.cell}; ${old} in git history, so change it where it is used`,
  );
  return 0;
}
