// `clef namespace add`
import { addName, openRepository } from '@clef/core';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const description = input.text('--description');
  const result = await addName(await openRepository(world, directory), {
    axis: 'namespace',
    name: requiredArgument(input, 'name'),
    isNearMissMeant: input.has('--create'),
    ...(description !== undefined && { description }),
  });
  if (json) return printJson(terminal, result);
  terminal.talk(`Added the namespace ${result.name}: set its first key, or make its cells with "clef sync"`);
  return 0;
}
