// `clef pack`
import {
  findPackTargets,
  openRepository,
  type PackAllRequest,
  type Packed,
  type PackTarget,
  packServices,
  type Repository,
} from '@clef/core';
import { parseDuration, StrictError } from '@clef/strict';
import { commaWords, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

const maxExpirySeconds = 366 * 24 * 3600;

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const expiresInSeconds = readExpiry(input.text('--expires-in'));
  const isDryRun = input.has('--dry-run');
  const repository = await openRepository(world, directory);
  const targets = findTargets(repository, input);
  const packs = await packServices(repository, {
    targets,
    destinationOf: destinations(targets, input.text('--to') ?? '-', isDryRun),
    allowDirty: input.has('--allow-dirty'),
    isDryRun,
    ...(expiresInSeconds !== undefined && { expiresInSeconds }),
  });
  const [only] = packs;
  const isToOutput = only?.artifact !== undefined && only.destination === undefined;
  if (isToOutput) await terminal.data(only.artifact);
  for (const packed of packs) terminal.talk(sentence(packed, isDryRun));
  if (!json || isToOutput) return 0;
  const summaries = packs.map(({ artifact: _, ...summary }) => summary);
  return printJson(terminal, targets.length === 1 ? summaries[0] : summaries);
}

function findTargets(repository: Repository, input: CommandInput): readonly PackTarget[] {
  if (!input.has('--all')) {
    return findPackTargets(repository, {
      services: commaWords(requiredWord(input, 'service'), 'SERVICE'),
      environments: commaWords(requiredWord(input, 'environment'), 'ENVIRONMENT'),
    });
  }
  const environments = input.argument('service');
  if (input.argument('environment') !== undefined)
    throw new UsageError(
      '"--all" packs every service identity',
      'write: clef pack --all [ENVIRONMENT,…] --to …',
    );
  return findPackTargets(
    repository,
    environments === undefined ? {} : { environments: commaWords(environments, 'ENVIRONMENT') },
  );
}

function requiredWord(input: CommandInput, name: string): string {
  if (input.argument(name) !== undefined) return requiredArgument(input, name);
  throw new UsageError(
    `The argument <${name}> is missing`,
    'write: clef pack SERVICE ENVIRONMENT, or clef pack --all',
  );
}

/** Several artifacts need a place each, which the placeholders give. */
function destinations(
  targets: readonly PackTarget[],
  template: string,
  isDryRun: boolean,
): PackAllRequest['destinationOf'] {
  const placeOf = ({ service, environment }: PackTarget): string =>
    template.replaceAll('{service}', service).replaceAll('{environment}', environment);
  if (template === '-') {
    if (targets.length === 1 || isDryRun) return () => undefined;
    throw new UsageError(
      `${targets.length} artifacts cannot go to standard output`,
      'name a place for each: --to "out/{service}-{environment}.json"',
    );
  }
  if (new Set(targets.map(placeOf)).size === targets.length) return placeOf;
  throw new UsageError(
    '"--to" names one place for several artifacts',
    'put {service} and {environment} into it: --to "s3://bucket/{service}/{environment}.json"',
  );
}

function sentence(packed: Packed<unknown>, isDryRun: boolean): string {
  const { keyCount, cells, service, environment, revision, expiresAt, destination } = packed;
  const keys = `${keyCount} ${keyCount === 1 ? 'key' : 'keys'} of ${cells.join(', ')}`;
  const to = destination === undefined ? '' : ` to ${destination}`;
  if (isDryRun) return `Would pack ${keys} for ${service}/${environment}${to}; nothing was sealed or written`;
  return `Packed ${keys} for ${service}/${environment}${to}: revision ${revision}, expires ${expiresAt}`;
}

function readExpiry(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  try {
    return parseDuration(text, { minSeconds: 60, maxSeconds: maxExpirySeconds });
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    throw new UsageError(
      '"--expires-in" is not a duration between 60s and 366d',
      'write for example: --expires-in 30d',
    );
  }
}
