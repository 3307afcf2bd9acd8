// `clef sops encrypt`
import { encryptSopsFile } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { destinationOf, keysOf, print, rulesOf, sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const encrypted = await encryptSopsFile(context.world, {
    ...sourceOf(context, input),
    ...destinationOf(input),
    ...keysOf(input),
    rules: rulesOf(input),
    macOnlyEncrypted: input.has('--mac-only-encrypted'),
    shamirThreshold: input.text('--shamir-secret-sharing-threshold'),
  });
  return print(context, encrypted);
}
