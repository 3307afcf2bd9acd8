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
  if (input.has('--iam') && input.has('--agent-env'))
    throw new UsageError('"--iam" and "--agent-env" exclude each other', 'give one of them');
  if (input.text('--to') !== undefined && !input.has('--iam') && !input.has('--agent-env'))
    throw new UsageError('"--to" is for --iam and --agent-env', 'add one of them, or leave it out');
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
  const source = input.text('--to');
  // What the agent reads: a path of its own machine, or an address.
  if (source !== undefined && !/^(?:\/|https:\/\/|s3:\/\/|gs:\/\/)/.test(source))
    throw new UsageError(
      '"--to" with --agent-env wants an absolute path, or an address that the agent reads',
      'write for example: --to s3://artifacts/api-gateway.json',
    );
  const settings = agentSettings(repository, {
    ...targetOf(input, '--agent-env'),
    ...(source !== undefined && { source }),
  });
  const missing = stillNeeded(settings);
  if (missing.length > 0) terminal.talk(`note: the agent also needs ${missing.join(', and ')}`);
  if (json) return printJson(terminal, settings);
  await terminal.data(
    Object.entries(settings)
      .map(([variable, value]) => `${variable}=${value}\n`)
      .join(''),
  );
  return 0;
}

/** What only the operator knows, in words. */
function stillNeeded(settings: Readonly<Record<string, string>>): readonly string[] {
  return [
    ...('CLEF_AGENT_SOURCE' in settings
      ? []
      : ['CLEF_AGENT_SOURCE, which says where the artifact is (--to adds it)']),
    ...('CLEF_AGENT_KMS_KEY' in settings
      ? []
      : ['CLEF_AGENT_AGE_KEY_FILE, which names the age key that opens it']),
  ];
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
