// `clef list`
import { listCells, listKeys, openRepository } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { columns, printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const repository = await openRepository(world, directory);
  const cell = input.argument('cell');
  if (cell !== undefined) {
    const keys = await listKeys(repository, { cell });
    if (json) return printJson(terminal, keys);
    for (const { name, missing, pending } of keys) {
      if (missing === true) terminal.talk(`note: the schema requires ${name}, which is not there yet`);
      if (pending === true) terminal.talk(`note: ${name} is pending: it has no value yet`);
    }
    const there = keys.filter(({ missing }) => missing !== true);
    await terminal.data(there.map(({ name }) => `${name}\n`).join(''));
    return 0;
  }
  const cells = await listCells(repository);
  if (json) return printJson(terminal, cells);
  if (cells.length === 0) terminal.talk('No namespaces yet. Next: clef set database/development DB_URL');
  await terminal.data(
    columns(
      cells.map(({ cell: name, keys }) => [
        name,
        keys === undefined ? 'missing' : `${keys} ${keys === 1 ? 'key' : 'keys'}`,
      ]),
    ),
  );
  return 0;
}
