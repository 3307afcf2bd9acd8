// `clef sops decrypt`
import { decryptSopsFile } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { destinationOf, print, sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const request = { ...sourceOf(context, input), ...destinationOf(input), extract: input.text('--extract') };
  return print(context, await decryptSopsFile(context.world, request));
}
