// `clef recipients add`
import { addRecipient, openRepository } from '@clef/core';
import { commaList, confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const environments = commaList(input, '--environments');
  const namespaces = commaList(input, '--namespaces');
  const repository = await openRepository(world, directory);
  const result = await addRecipient(repository, {
    person: requiredArgument(input, 'name'),
    key: requiredArgument(input, 'key'),
    ...(environments && { environments }),
    ...(namespaces && { namespaces }),
    confirm: confirmation(context, input),
  });
  if (json) return printJson(terminal, result);
  if (!result.changed) terminal.talk(`Nothing to do: ${result.person} has this key and this access already`);
  else
    terminal.talk(
      `${result.person} can now read ${result.cells.length === 0 ? 'no cell yet' : result.cells.join(', ')}`,
    );
  return 0;
}
