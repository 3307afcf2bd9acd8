// `clef service update`
import { openRepository, updateService } from '@clef/core';
import { assignments, commaList, confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { tellServiceChange } from '../service-change.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const namespaces = commaList(input, '--namespaces');
  const description = input.text('--description');
  const prefix = input.text('--prefix');
  if (prefix !== undefined && prefix !== 'namespace' && prefix !== 'none')
    throw new UsageError('"--prefix" takes only "namespace" or "none"', 'write: --prefix namespace');
  const changed = await updateService(await openRepository(context.world, context.directory), {
    service: requiredArgument(input, 'name'),
    seal: assignments(input, '--seal'),
    sign: assignments(input, '--sign'),
    verify: assignments(input, '--verify'),
    confirm: confirmation(context, input),
    ...(namespaces !== undefined && { namespaces }),
    ...(description !== undefined && { description }),
    ...(prefix !== undefined && { prefix }),
  });
  return tellServiceChange(context, changed, 'Changed');
}
