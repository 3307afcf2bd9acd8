// `clef sops decrypt`
import { decryptSopsFile } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { destinationOf, print, sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const extract = input.text('--extract');
  const source = sourceOf(context, input);
  const destination = destinationOf(input);
  const isPrinted = !destination.inPlace && destination.output === undefined;
  const outputType = source.outputType ?? (context.json && isPrinted ? 'json' : undefined);
  const request = { ...source, ...destination, outputType, extract };
  return print(context, await decryptSopsFile(context.world, request));
}
