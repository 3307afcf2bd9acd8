// `clef recipients add`
import { addRecipient, openRepository } from '@clef/core';
import { commaList, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { listSome } from '../readers-preview.ts';
import { printPlan, reviewOf } from '../review.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const environments = commaList(input, '--environments');
  const namespaces = commaList(input, '--namespaces');
  const groups = commaList(input, '--groups');
  const review = reviewOf(context, input);
  const result = await addRecipient(await openRepository(world, directory), {
    ...review,
    person: requiredArgument(input, 'name'),
    keys: input.arguments('keys'),
    ...(environments && { environments }),
    ...(namespaces && { namespaces }),
    ...(groups && { groups }),
  });
  if (json) return printJson(terminal, result);
  if (review.isDryRun) return printPlan(context, result.changes);
  const cells = result.cells.length === 0 ? 'no cell yet' : listSome(result.cells);
  terminal.talk(
    result.changed
      ? `${result.person} can now read ${cells}`
      : `Nothing to do: ${result.person} has this key and this access already`,
  );
  return 0;
}
