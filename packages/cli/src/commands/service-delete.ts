// `clef service delete`
import { deleteService, openRepository } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { tellServiceChange } from '../service-change.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const environment = input.argument('environment');
  const changed = await deleteService(await openRepository(context.world, context.directory), {
    service: requiredArgument(input, 'name'),
    confirm: confirmation(context, input),
    ...(environment !== undefined && { environment }),
  });
  if (changed.changed)
    context.terminal.talk(
      'note: artifacts that were packed stay good until they expire; "clef revoke" ends them, before the identity is gone',
    );
  return tellServiceChange(context, changed, 'Removed');
}
