// `clef export`
import { exportFormats, exportSecrets, openRepository } from '@clef/core';
import { suggest } from '@clef/strict';
import { choiceOf } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printValues } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const format = readFormat(input.text('--format') ?? (json ? 'json' : 'dotenv'));
  const repository = await openRepository(world, directory);
  const text = await exportSecrets(repository, {
    ...choiceOf(input),
    format,
    allowedEnvironmentNames: input.list('--allow-env'),
  });
  await printValues(terminal, text);
  return 0;
}

function readFormat(text: string): (typeof exportFormats)[number] {
  const format = exportFormats.find((name) => name === text);
  if (format !== undefined) return format;
  const near = suggest(text, exportFormats);
  throw new UsageError(
    `There is no export format "${text.slice(0, 32)}"`,
    near === undefined ? `use one of: ${exportFormats.join(', ')}` : `did you mean "${near}"?`,
  );
}
