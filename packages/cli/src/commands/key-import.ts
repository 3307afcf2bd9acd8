// `clef key import`
import { importOwnKeys } from '@clef/core';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

const maxKeyFileBytes = 64 * 1024;

export async function run({ world, terminal, json }: CommandContext, input: CommandInput): Promise<number> {
  const file = requiredArgument(input, 'file');
  const result = await importOwnKeys(world, {
    from: file === '-' ? { bytes: await terminal.readInput(maxKeyFileBytes + 1) } : { file },
    withPassphrase: input.has('--passphrase'),
  });
  if (json) return printJson(terminal, result);
  for (const { recipient, keptIn } of result.imported) terminal.talk(`Took in ${recipient}, kept ${keptIn}`);
  for (const recipient of result.present)
    terminal.talk(`Nothing to do for ${recipient}: it is yours already`);
  return 0;
}
