// `clef explain`
import {
  type ExplainedCell,
  type ExplainedRule,
  type Explanation,
  explainKey,
  openRepository,
} from '@clef/core';
import { escapeControl } from '@clef/strict';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const first = requiredArgument(input, 'cell-or-key');
  const second = input.argument('key');
  if (second === undefined ? first.includes('/') : !first.includes('/'))
    throw new UsageError(
      '"clef explain" wants a key, or a cell and then a key',
      'write: clef explain database/development DB_URL, or: clef explain DB_URL',
    );
  const repository = await openRepository(world, directory);
  const explanation = await explainKey(
    repository,
    second === undefined ? { key: first } : { cell: first, key: second },
  );
  if (json) return printJson(terminal, explanation);
  await terminal.data(
    `${linesOf(explanation)
      .map((line) => escapeControl(line))
      .join('\n')}\n`,
  );
  return 0;
}

function linesOf({ key, isDangerous, cells, rules, absent }: Explanation): readonly string[] {
  return [
    key,
    ...(isDangerous
      ? ['  changes how programs run as soon as it is a variable: --allow-env lets it through']
      : []),
    ...rules.flatMap(ruleLines),
    ...cells.flatMap(cellLines),
    ...(absent.length > 0 ? [`not in ${absent.join(', ')}`] : []),
  ];
}

function ruleLines({ namespace, file, rule, closed }: ExplainedRule): readonly string[] {
  if (rule === undefined) {
    const not = `  not in the schema of ${namespace} (${file})`;
    return closed ? [`${not}, which takes no other keys`] : [];
  }
  const { description, ...rest } = rule;
  const parts = Object.entries(rest).map(([name, value]) =>
    value === true ? name : `${name} ${String(value)}`,
  );
  return [
    ...(description === undefined ? [] : [`  ${String(description)}`]),
    `  schema of ${namespace} (${file}): ${parts.join(', ')}`,
  ];
}

function cellLines({
  cell,
  pending,
  changedAt,
  by,
  people,
  encryptTo,
  services,
}: ExplainedCell): readonly string[] {
  const change = changedAt === undefined ? 'no record of the last change' : `changed ${changedAt} by ${by}`;
  const carriers = services.map(({ service, name }) => `${service} as ${name}`);
  return [
    cell,
    `  ${pending ? 'pending: it has no value yet' : change}`,
    `  read by ${[...people, ...encryptTo].join(', ') || 'nobody'}`,
    ...(carriers.length > 0 ? [`  carried by ${carriers.join(', ')}`] : []),
  ];
}
