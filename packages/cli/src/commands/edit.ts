// `clef edit`
import { editSecrets, openRepository } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { errorLines, renderError } from '../render-error.ts';
import { askYesNo } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  refuseWithoutTerminal(context);
  const repository = await openRepository(world, directory);
  const canAsk = terminal.inputIsTerminal && terminal.talkIsTerminal;
  const retry = (problem: Error): Promise<boolean> => {
    for (const line of errorLines(renderError(problem), false)) terminal.talk(line);
    return askYesNo('Back to the editor? (no drops the change)');
  };
  const result = await editSecrets(repository, {
    cell: requiredArgument(input, 'cell'),
    createNamespace: input.has('--create'),
    allowedEnvironmentNames: input.list('--allow-env'),
    confirm: confirmation(context, input),
    ...(canAsk && { retry }),
  });
  if (json) return printJson(terminal, result);
  const { cell, change, added, changed, removed } = result;
  if (change !== 'unchanged') {
    terminal.talk(
      `Stored in ${cell}: ${added.length} added, ${changed.length} changed, ${removed.length} deleted`,
    );
    return 0;
  }
  terminal.talk(`Unchanged ${cell}`);
  terminal.talk('(An editor that returns at once needs the option that makes it wait: EDITOR="code --wait")');
  return 0;
}

/** The usual editors draw on a terminal; an editor that was chosen may need none. */
function refuseWithoutTerminal({ world, terminal }: CommandContext): void {
  const isChosen = ['VISUAL', 'EDITOR'].some((name) => (world.environment[name] ?? '') !== '');
  if (isChosen || terminal.inputIsTerminal) return;
  throw new UsageError(
    'There is no terminal here to edit on',
    'use "clef set" or "clef import", or set EDITOR to a program that needs no terminal',
  );
}
