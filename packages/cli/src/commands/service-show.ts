// `clef service show`
import {
  agentSettings,
  openRepository,
  type Repository,
  type ServiceView,
  serviceIam,
  showService,
} from '@clef/core';
import { requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { columns, printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const repository = await openRepository(context.world, context.directory);
  if (input.has('--iam')) return printIam(context, repository, input);
  if (input.has('--agent-env')) return printAgentSettings(context, repository, input);
  const environment = input.argument('environment');
  const service = showService(repository, {
    service: requiredArgument(input, 'name'),
    ...(environment !== undefined && { environment }),
  });
  if (context.json) return printJson(context.terminal, service);
  await context.terminal.data(columns(rowsOf(service)));
  return 0;
}

function rowsOf({ name, description, namespaces, environments }: ServiceView): readonly string[][] {
  return [
    ['service', name],
    ...(description === undefined ? [] : [['description', description]]),
    ['namespaces', namespaces.join(', ')],
    ...environments.flatMap((environment) => [
      [`${environment.name} seal`, environment.seal],
      ...(environment.sign === undefined ? [] : [[`${environment.name} sign`, environment.sign]]),
      ...environment.verify.map((key) => [`${environment.name} verify`, key]),
    ]),
  ];
}

/** Policies are JSON in every cloud, so there is no other form for people. */
function printIam(
  { terminal }: CommandContext,
  repository: Repository,
  input: CommandInput,
): Promise<number> {
  const destination = input.text('--to');
  const target = targetOf(input, '--iam');
  return printJson(
    terminal,
    serviceIam(repository, { ...target, ...(destination !== undefined && { destination }) }),
  );
}

async function printAgentSettings(
  { terminal, json }: CommandContext,
  repository: Repository,
  input: CommandInput,
): Promise<number> {
  const settings = agentSettings(repository, targetOf(input, '--agent-env'));
  if (json) return printJson(terminal, settings);
  await terminal.data(
    Object.entries(settings)
      .map(([variable, value]) => `${variable}=${value}\n`)
      .join(''),
  );
  return 0;
}

function targetOf(
  input: CommandInput,
  flag: string,
): { readonly service: string; readonly environment: string } {
  const service = requiredArgument(input, 'name');
  const environment = input.argument('environment');
  if (environment !== undefined) return { service, environment };
  throw new UsageError(
    `"${flag}" needs an environment`,
    `write: clef service show ${service} ENVIRONMENT ${flag}`,
  );
}
