// `clef search`
import { openRepository, type SearchResult, searchKeys, searchValue } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { columns, printJson } from '../print.ts';
import { readSecret } from '../secret-input.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const pattern = input.argument('pattern');
  if ((pattern !== undefined) === input.has('--value')) {
    throw new UsageError(
      pattern === undefined
        ? 'There is nothing to search for'
        : 'A pattern and --value cannot be given together',
      'write: clef search PATTERN, or: clef search --value, which asks for the value',
    );
  }
  const repository = await openRepository(world, directory);
  const result =
    pattern === undefined
      ? await searchValue(repository, await readSecret(context, input, 'Value to search for'))
      : await searchKeys(repository, pattern);
  const exitCode = result.found.length > 0 ? 0 : 1;
  if (json) {
    await printJson(terminal, result);
    return exitCode;
  }
  await terminal.data(
    columns(result.found.map(({ cell, key, pending }) => [cell, key, pending ? 'pending' : ''])),
  );
  tellUnread(context, result);
  return exitCode;
}

function tellUnread({ terminal }: CommandContext, { found, unread }: SearchResult): void {
  for (const { cell, reason } of unread) terminal.talk(`not searched: ${cell} (${reason})`);
  if (found.length === 0)
    terminal.talk(unread.length === 0 ? 'Found nowhere' : 'Found nowhere that could be searched');
}
