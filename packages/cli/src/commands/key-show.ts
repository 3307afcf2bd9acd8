// `clef key show`
import { findOwnKey, showPrivateKey } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const wanted = input.argument('recipient');
  if (input.has('--private')) {
    const key = await showPrivateKey(world, wanted);
    if (json) return printJson(terminal, key);
    if (terminal.outputIsTerminal)
      terminal.talk('warning: this is your private key; whoever has seen it can read what you can read');
    await terminal.data(`# public key: ${key.recipient}\n${key.identity}\n`);
    return 0;
  }
  const key = await findOwnKey(world, directory, wanted);
  if (json) return printJson(terminal, key);
  await terminal.data(`${key.recipient}\n`);
  return 0;
}
