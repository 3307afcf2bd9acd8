// `clef recipients list`
import { listRecipients, openRepository, type RecipientsView } from '@clef/core';
import type { CommandContext } from '../command.ts';
import { columns, printJson } from '../print.ts';
import type { Terminal } from '../terminal.ts';

export async function run({ world, terminal, directory, json }: CommandContext): Promise<number> {
  const recipients = await listRecipients(await openRepository(world, directory));
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
  talkOfRequests(terminal, recipients);
  return 0;
}

function talkOfRequests(terminal: Terminal, { requests }: RecipientsView): void {
  for (const { name, environments } of requests)
    terminal.talk(`${name} asks to read ${environments.join(', ')}: clef recipients approve ${name}`);
}
