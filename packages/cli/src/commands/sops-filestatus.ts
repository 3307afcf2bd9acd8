// `clef sops filestatus`
import { sopsFileStatus } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { encrypted } = await sopsFileStatus(context.world, sourceOf(context, input));
  await context.terminal.data(`{"encrypted":${encrypted}}\n`);
  return 0;
}
