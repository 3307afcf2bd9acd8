// `clef service rotate`
import { openRepository, rotateService } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { tellServiceChange } from '../service-change.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const [verify, sign, retire] = ['--verify', '--sign', '--retire'].map((flag) => input.text(flag));
  if (verify !== undefined && sign !== undefined)
    throw new UsageError(
      '"--verify" and "--sign" exclude each other',
      'the public half of a "--sign" key is trusted by itself',
    );
  const changed = await rotateService(await openRepository(context.world, context.directory), {
    service: requiredArgument(input, 'name'),
    environment: requiredArgument(input, 'environment'),
    confirm: confirmation(context, input),
    ...(verify !== undefined && { next: { verify } }),
    ...(sign !== undefined && { next: { sign } }),
    ...(retire !== undefined && { retire }),
  });
  return tellServiceChange(context, changed, 'Changed');
}
