// `clef recipients list`
import { listRecipients, openRepository } from '@clef/core';
import type { CommandContext } from '../command.ts';
import { columns, printJson } from '../print.ts';

export async function run({ world, terminal, directory, json }: CommandContext): Promise<number> {
  const recipients = listRecipients(await openRepository(world, directory));
  if (json) return printJson(terminal, recipients);
  const people = recipients.people.flatMap(({ name, keys, environments }) =>
    keys.map((key, index) => [
      index === 0 ? name : '',
      key,
      index === 0 ? environments.join(', ') || 'nothing yet' : '',
    ]),
  );
  const keys = recipients.encryptTo.map(({ environment, key }) => ['(kms)', key, environment]);
  await terminal.data(columns([...people, ...keys]));
  return 0;
}
