// `clef compare`
import { type ComparedKey, compareCells, compareSecret, openRepository, type Repository } from '@clef/core';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { columns, printJson } from '../print.ts';
import { readSecret } from '../secret-input.ts';
import { UsageError } from '../usage-error.ts';

const words = {
  equal: 'equal',
  different: 'different',
  only_first: 'only in the first',
  only_second: 'only in the second',
} as const satisfies Record<ComparedKey['comparison'], string>;

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const cell = requiredArgument(input, 'cell');
  const second = requiredArgument(input, 'key');
  const repository = await openRepository(world, directory);
  // No key has a slash in its name.
  if (second.includes('/')) return compareTwoCells(context, input, repository, [cell, second]);
  const otherCell = input.argument('other-cell');
  const other =
    otherCell === undefined
      ? () => readSecret(context, input, `Value to compare ${second} with`)
      : { cell: otherCell, key: input.argument('other-key') ?? second };
  const isEqual = await compareSecret(repository, { cell, key: second }, other);
  if (json) await printJson(terminal, { equal: isEqual });
  else terminal.talk(isEqual ? 'Equal' : 'Different');
  return isEqual ? 0 : 1;
}

async function compareTwoCells(
  { terminal, json }: CommandContext,
  input: CommandInput,
  repository: Repository,
  [first, second]: readonly [string, string],
): Promise<number> {
  if (input.argument('other-cell') !== undefined) {
    throw new UsageError(
      'Two whole cells are compared, and there is a third argument',
      'write: clef compare CELL OTHER_CELL, or: clef compare CELL KEY OTHER_CELL',
    );
  }
  const keys = await compareCells(repository, first, second);
  if (json) await printJson(terminal, keys);
  else await terminal.data(columns(keys.map(({ key, comparison }) => [key, words[comparison]])));
  return keys.every(({ comparison }) => comparison === 'equal') ? 0 : 1;
}
