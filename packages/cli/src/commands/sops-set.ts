// `clef sops set`
import { readSopsValueFile, setSopsValue } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { sourceOf } from './sops-options.ts';

const maxValueBytes = 64 * 1024 * 1024;

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  await setSopsValue(context.world, {
    ...sourceOf(context, input),
    index: input.argument('index'),
    value: () => readValue(context, input),
    idempotent: input.has('--idempotent'),
  });
  return 0;
}

async function readValue(
  { world, terminal }: CommandContext,
  input: CommandInput,
): Promise<Uint8Array | undefined> {
  const value = input.argument('value');
  if (input.has('--value-stdin')) return terminal.readInput(maxValueBytes);
  if (value === undefined) return undefined;
  return input.has('--value-file') ? readSopsValueFile(world, value) : new TextEncoder().encode(value);
}
