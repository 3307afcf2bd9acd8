// `clef copy`
import { type CopiedCell, copySecrets, openRepository } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { columns, printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const repository = await openRepository(world, directory);
  const keys = input.arguments('key');
  const isDryRun = input.has('--dry-run');
  const cells = await copySecrets(repository, {
    from: requiredArgument(input, 'from'),
    to: [requiredArgument(input, 'to'), ...input.list('--also')],
    keys: keys.length === 0 ? undefined : keys,
    overwrite: input.has('--overwrite'),
    isDryRun,
    createNamespace: input.has('--create'),
    allowedEnvironmentNames: input.list('--allow-env'),
    confirm: confirmation(context, input),
  });
  if (json) return printJson(terminal, cells);
  if (isDryRun) await terminal.data(columns(cells.flatMap(plannedLines)));
  else for (const cell of cells) terminal.talk(summaryOf(cell));
  return 0;
}

function plannedLines({ cell, added, changed, equal }: CopiedCell): readonly (readonly string[])[] {
  return [
    ...added.map((key) => ['add', cell, key]),
    ...changed.map((key) => ['change', cell, key]),
    ...equal.map((key) => ['equal', cell, key]),
  ];
}

function summaryOf({ cell, added, changed, equal }: CopiedCell): string {
  return `Copied to ${cell}: ${added.length} added, ${changed.length} changed, ${equal.length} equal`;
}
