// `clef rotate`
import { openRepository, type RotateRequest, rotateCells } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { listSome, readersPreview } from '../readers-preview.ts';
import { printPlan, reviewOf } from '../review.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const targets = readTargets(input);
  const review = reviewOf(context, input);
  const result = await rotateCells(await openRepository(world, directory), { ...review, targets });
  if (json) return printJson(terminal, result);
  if (review.isDryRun) {
    if (result.cells.length > 0) terminal.talk(`Would make ${dataKeys(result.cells, 'a')}`);
    return printPlan(context, result.changes);
  }
  for (const line of readersPreview(result.changes).split('\n')) if (line !== '') terminal.talk(line);
  const { cells } = result;
  if (cells.length === 0) terminal.talk('Nothing to do: there is no cell yet');
  else terminal.talk(dataKeys(cells, 'A'));
  return 0;
}

function dataKeys(cells: readonly string[], article: 'a' | 'A'): string {
  return `${cells.length === 1 ? `${article} new data key` : `${cells.length} new data keys`} for ${listSome(cells)}`;
}

function readTargets(input: CommandInput): RotateRequest['targets'] {
  const cells = input.arguments('cells');
  if (input.has('--all') === cells.length > 0) {
    throw new UsageError(
      'Name the cells to rotate, or all with --all',
      'write: clef rotate database/production',
    );
  }
  return input.has('--all') ? 'all' : cells;
}
