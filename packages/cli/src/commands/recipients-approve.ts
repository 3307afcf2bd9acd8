// `clef recipients approve`
import { approveRequest, declineRequest, openRepository } from '@clef/core';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { listSome } from '../readers-preview.ts';
import { printPlan, reviewOf } from '../review.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const name = requiredArgument(input, 'name');
  const repository = await openRepository(world, directory);
  if (input.has('--decline')) {
    if (input.has('--dry-run'))
      throw new UsageError('"--decline" has no dry run', 'leave one of the two out');
    const declined = await declineRequest(repository, name);
    if (json) return printJson(terminal, declined);
    terminal.talk(`Declined: the request of ${name} is gone, and nothing was granted`);
    return 0;
  }
  const review = reviewOf(context, input);
  const result = await approveRequest(repository, { ...review, name });
  if (json) return printJson(terminal, result);
  if (review.isDryRun) return printPlan(context, result.changes);
  terminal.talk(`${name} can now read ${result.cells.length === 0 ? 'no cell yet' : listSome(result.cells)}`);
  return 0;
}
