// `clef service show`
import { agentSettings, openRepository, serviceIam, showService } from '@clef/core';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { columns, printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const repository = await openRepository(world, directory);
  const name = requiredArgument(input, 'name');
  const environment = input.argument('environment');
  if (input.has('--iam')) {
    const destination = input.text('--to');
    return printJson(
      terminal,
      serviceIam(repository, {
        service: name,
        environment: required(environment, name, '--iam'),
        ...(destination !== undefined && { destination }),
      }),
    );
  }
  if (input.has('--agent-env')) {
    const settings = agentSettings(repository, {
      service: name,
      environment: required(environment, name, '--agent-env'),
    });
    if (json) return printJson(terminal, settings);
    await terminal.data(
      Object.entries(settings)
        .map(([variable, value]) => `${variable}=${value}\n`)
        .join(''),
    );
    return 0;
  }
  const service = showService(repository, {
    service: name,
    ...(environment !== undefined && { environment }),
  });
  if (json) return printJson(terminal, service);
  await terminal.data(
    columns([
      ['service', service.name],
      ...(service.description === undefined ? [] : [['description', service.description]]),
      ['namespaces', service.namespaces.join(', ')],
      ...service.environments.flatMap(({ name: environmentName, seal, sign, verify }) => [
        [`${environmentName} seal`, seal],
        ...(sign === undefined ? [] : [[`${environmentName} sign`, sign]]),
        ...verify.map((key) => [`${environmentName} verify`, key]),
      ]),
    ]),
  );
  return 0;
}

function required(environment: string | undefined, name: string, flag: string): string {
  if (environment !== undefined) return environment;
  throw new UsageError(
    `"${flag}" needs an environment`,
    `write: clef service show ${name} ENVIRONMENT ${flag}`,
  );
}
