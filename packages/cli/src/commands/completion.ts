// `clef completion`
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { completionScripts } from '../completion-scripts.ts';
import { printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export async function run({ terminal, json }: CommandContext, input: CommandInput): Promise<number> {
  const shell = requiredArgument(input, 'shell');
  const script = Object.entries(completionScripts).find(([name]) => name === shell)?.[1];
  if (script === undefined)
    throw new UsageError('There is no completion script for this shell', 'name one of: bash, zsh, fish');
  if (json) return printJson(terminal, { shell, script });
  await terminal.data(script);
  return 0;
}
