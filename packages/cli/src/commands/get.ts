// `clef get`
import { getSecret, openRepository } from '@clef/core';
import { escapeControl } from '@clef/strict';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory } = context;
  const repository = await openRepository(world, directory);
  const key = requiredArgument(input, 'key');
  const value = await getSecret(repository, { cell: requiredArgument(input, 'cell'), key });
  if (context.json) return printJson(terminal, { key, value });
  if (!terminal.outputIsTerminal) await terminal.data(value);
  else await terminal.data(`${input.has('--raw') ? value : escapeControl(value, { keepNewlines: true })}\n`);
  return 0;
}
