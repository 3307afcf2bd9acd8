// `clef recipients remove`
import { openRepository, type RemovedRecipient, removeRecipient } from '@clef/core';
import { commaList, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { listSome } from '../readers-preview.ts';
import { printPlan, reviewOf } from '../review.ts';
import type { Terminal } from '../terminal.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const key = input.text('--key');
  const environments = commaList(input, '--environments');
  const groups = commaList(input, '--groups');
  const review = reviewOf(context, input);
  const result = await removeRecipient(await openRepository(world, directory), {
    ...review,
    person: requiredArgument(input, 'name'),
    ...(key !== undefined && { key }),
    ...(environments && { environments }),
    ...(groups && { groups }),
  });
  if (json) return printJson(terminal, result);
  if (review.isDryRun) return printPlan(context, result.changes);
  talkOfRemoval(terminal, result);
  return 0;
}

function talkOfRemoval(terminal: Terminal, { person, cells, exposed }: RemovedRecipient): void {
  terminal.talk(
    cells.length === 0
      ? `Took it from ${person}; no cell was encrypted to it`
      : `Took it from ${person}: ${cells.length === 1 ? 'a new data key' : 'new data keys'} for ${listSome(cells)}`,
  );
  const secrets = exposed.filter(({ keys }) => keys > 0);
  if (secrets.length === 0) return;
  const counts = secrets.map(({ cell, keys }) => `${cell} (${keys} ${keys === 1 ? 'key' : 'keys'})`);
  terminal.talk(
    `warning: what was stored until now stays readable from history with the removed key; change the values of ${listSome(counts)}`,
  );
}
