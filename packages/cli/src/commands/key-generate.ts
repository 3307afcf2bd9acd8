// `clef key generate`
import { generateOwnKey } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run({ world, terminal, json }: CommandContext, input: CommandInput): Promise<number> {
  const key = await generateOwnKey(world, { withPassphrase: input.has('--passphrase') });
  if (json) return printJson(terminal, key);
  terminal.talk(`Made an age key, kept ${key.keptIn}`);
  await terminal.data(`${key.recipient}\n`);
  return 0;
}
