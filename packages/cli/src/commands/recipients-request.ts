// `clef recipients request`
import { openRepository, requestAccess } from '@clef/core';
import { commaList } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const name = input.text('--name');
  const environments = commaList(input, '--environments');
  const namespaces = commaList(input, '--namespaces');
  const result = await requestAccess(await openRepository(world, directory), {
    ...(name !== undefined && { name }),
    ...(environments && { environments }),
    ...(namespaces && { namespaces }),
  });
  if (json) return printJson(terminal, result);
  if (!result.changed) {
    terminal.talk(`Nothing to ask for: ${result.name} reads ${result.environments.join(', ')} already`);
    return 0;
  }
  terminal.talk(`Wrote ${result.path}: ${result.name} asks to read ${result.environments.join(', ')}`);
  terminal.talk(`Commit it and open a pull request; a teammate runs: clef recipients approve ${result.name}`);
  return 0;
}
