// `clef edit`
import { editSecrets, openRepository } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { errorLines, renderError } from '../render-error.ts';
import { askYesNo } from '../terminal.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
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
