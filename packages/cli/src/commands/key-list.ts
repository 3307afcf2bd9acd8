// `clef key list`
import { listOwnKeys } from '@clef/core';
import type { CommandContext } from '../command.ts';
import { columns, printJson } from '../print.ts';

export async function run({ world, terminal, directory, json }: CommandContext): Promise<number> {
  const keys = await listOwnKeys(world, directory);
  if (json) return printJson(terminal, keys);
  await terminal.data(
    columns(
      keys.map(({ recipient, store, createdAt, person }) => [
        recipient,
        store,
        createdAt ?? '',
        person ?? '',
      ]),
    ),
  );
  if (keys.length === 0)
    terminal.talk('You have no age key yet; "clef key generate" or "clef init" makes one');
  return 0;
}
