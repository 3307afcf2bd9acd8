// `clef environment add`
import { addName, openRepository } from '@clef/core';
import { commaList, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const description = input.text('--description');
  const encryptTo = input.list('--encrypt-to');
  const result = await addName(await openRepository(world, directory), {
    axis: 'environment',
    name: requiredArgument(input, 'name'),
    isNearMissMeant: input.has('--create'),
    allow: commaList(input, '--allow') ?? [],
    protected: input.has('--protected'),
    encryptTo,
    ...(description !== undefined && { description }),
  });
  if (json) return printJson(terminal, result);
  terminal.talk(`Added the environment ${result.name}: set a first key, or make its cells with "clef sync"`);
  return 0;
}
