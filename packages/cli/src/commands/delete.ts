// `clef delete`
import { deleteSecret, openRepository } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const repository = await openRepository(world, directory);
  const key = requiredArgument(input, 'key');
  const result = await deleteSecret(repository, {
    cell: requiredArgument(input, 'cell'),
    key,
    confirm: confirmation(context, input),
  });
  if (json) return printJson(terminal, result);
  terminal.talk(
    `Deleted ${key} from ${result.cell}; its old value stays in git history, so change it where it is used`,
  );
  return 0;
}
