// `clef sops rotate`
import { rotateSopsFile } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { destinationOf, keysOf, print, sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const rotated = await rotateSopsFile(context.world, {
    ...sourceOf(context, input),
    ...destinationOf(input),
    add: keysOf(input, 'add-'),
    remove: keysOf(input, 'rm-'),
  });
  return print(context, rotated);
}
