// `clef sops unset`
import { unsetSopsValue } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const index = input.argument('index');
  await unsetSopsValue(context.world, {
    ...sourceOf(context, input),
    index,
    idempotent: input.has('--idempotent'),
  });
  return 0;
}
