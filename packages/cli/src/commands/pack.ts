// `clef pack`
import { openRepository, packService } from '@clef/core';
import { parseDuration, StrictError } from '@clef/strict';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { UsageError } from '../usage-error.ts';

const maxExpirySeconds = 366 * 24 * 3600;

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const destination = input.text('--to') ?? '-';
  const expiresInSeconds = readExpiry(input.text('--expires-in'));
  const packed = await packService(await openRepository(world, directory), {
    service: requiredArgument(input, 'service'),
    environment: requiredArgument(input, 'environment'),
    allowDirty: input.has('--allow-dirty'),
    ...(expiresInSeconds !== undefined && { expiresInSeconds }),
    ...(destination === '-' ? {} : { destination }),
  });
  if (destination === '-') await terminal.data(packed.artifact);
  const { artifact: _, ...summary } = packed;
  if (json && destination !== '-') await terminal.data(`${JSON.stringify(summary)}\n`);
  terminal.talk(
    `Packed ${packed.keyCount} ${packed.keyCount === 1 ? 'key' : 'keys'} of ${packed.cells.join(', ')} for ${packed.service}/${packed.environment}: revision ${packed.revision}, expires ${packed.expiresAt}`,
  );
  return 0;
}

function readExpiry(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  try {
    return parseDuration(text, { minSeconds: 60, maxSeconds: maxExpirySeconds });
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    throw new UsageError(
      '"--expires-in" is not a duration between 60s and 366d',
      'write for example: --expires-in 30d',
    );
  }
}
