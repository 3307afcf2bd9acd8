// `clef revoke`
import { openRepository, revokeService } from '@clef/core';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const reason = input.text('--reason');
  if (reason === undefined || reason.trim() === '')
    throw new UsageError(
      'A revocation states its reason',
      'write: --reason "key leaked on the build machine"',
    );
  const to = input.text('--to') ?? '-';
  const revoked = await revokeService(await openRepository(world, directory), {
    service: requiredArgument(input, 'service'),
    environment: requiredArgument(input, 'environment'),
    reason,
    confirm: confirmation(context, input),
    ...(to !== '-' && { destination: to }),
  });
  const { artifact, ...summary } = revoked;
  if (to === '-') await terminal.data(artifact);
  else if (json) return printJson(terminal, summary);
  terminal.talk(
    `Revoked ${revoked.service}/${revoked.environment} with revision ${revoked.revision}; agents that read it wipe what they have`,
  );
  return 0;
}
