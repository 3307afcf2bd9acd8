// `clef service create`
import { createService, openRepository } from '@clef/core';
import { assignments, commaList, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const namespaces = commaList(input, '--namespaces');
  const seal = assignments(input, '--seal');
  if (namespaces === undefined)
    throw new UsageError(
      '"--namespaces" is missing',
      'name what the service may have: --namespaces database',
    );
  if (seal.length === 0)
    throw new UsageError('"--seal" is missing', 'name a sealing key: --seal production=awskms:///arn:…');
  const description = input.text('--description');
  const prefix = input.text('--prefix');
  if (prefix !== undefined && prefix !== 'namespace') {
    throw new UsageError('"--prefix" takes only "namespace"', 'write: --prefix namespace');
  }
  const service = await createService(await openRepository(world, directory), {
    name: requiredArgument(input, 'name'),
    namespaces,
    seal,
    sign: assignments(input, '--sign'),
    verify: assignments(input, '--verify'),
    ...(description !== undefined && { description }),
    ...(prefix !== undefined && { prefix }),
  });
  if (json) return printJson(terminal, service);
  terminal.talk(`Added the service identity ${service.name} to clef.yaml`);
  if (service.madeSigningKey !== undefined) terminal.talk(`Made your signing key: ${service.madeSigningKey}`);
  terminal.talk(`Next: clef pack ${service.name} ${service.environments[0]?.name ?? ''}`.trimEnd());
  return 0;
}
