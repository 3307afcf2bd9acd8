// `clef set`
import { isProtectedCell, maxValueBytes, openRepository, type Repository, setSecret } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { askHidden } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const cell = requiredArgument(input, 'cell');
  const key = requiredArgument(input, 'key');
  const repository = await openRepository(world, directory);
  refuseArgument(input.argument('value'), repository, cell);
  const result = await setSecret(repository, {
    cell,
    key,
    value: () => readValue(context, input),
    createNamespace: input.has('--create'),
    allowedEnvironmentNames: input.list('--allow-env'),
    confirm: confirmation(context, input),
  });
  if (json) return printJson(terminal, result);
  terminal.talk(`${result.change === 'unchanged' ? 'Unchanged' : 'Stored'} ${key} in ${result.cell}`);
  return 0;
}

/** Before anything is asked: no answer would make the value acceptable. */
function refuseArgument(value: string | undefined, repository: Repository, cell: string): void {
  if (value === undefined || value === '-') return;
  if (value === '') {
    throw new UsageError(
      'The value is empty',
      'leave the key out instead: SOPS would keep an empty value unauthenticated in the clear',
    );
  }
  if (!isProtectedCell(repository, cell)) return;
  throw new UsageError(
    `A value for the protected cell "${cell}" must not be an argument: other processes can read it`,
    'leave the value out and type it, or pipe it in',
  );
}

async function readValue(context: CommandContext, input: CommandInput): Promise<Uint8Array> {
  const { terminal } = context;
  const given = input.argument('value');
  if (given !== undefined && given !== '-') {
    terminal.talk(
      'warning: a value given as an argument can be read by other processes and stays in the shell history',
    );
    return new TextEncoder().encode(given);
  }
  if (given === undefined && terminal.inputIsTerminal && terminal.talkIsTerminal) {
    return new TextEncoder().encode(await askHidden(`Value of ${requiredArgument(input, 'key')}`));
  }
  return readPiped(context, input);
}

async function readPiped({ terminal }: CommandContext, input: CommandInput): Promise<Uint8Array> {
  const bytes = await terminal.readInput(maxValueBytes + 1);
  const endsInNewline = bytes.at(-1) === 0x0a;
  if (!endsInNewline) return bytes;
  if (input.has('--trim-newline')) return bytes.subarray(0, -1);
  terminal.talk('note: the value ends in a newline, which is stored too; --trim-newline takes it off');
  return bytes;
}
