// `clef set`
import {
  announceSecrets,
  generateSecrets,
  isProtectedCell,
  maxValueBytes,
  openRepository,
  type Repository,
  readInputFile,
  setSecret,
} from '@clef/core';
import { confirmation, requiredArgument, wholeNumber } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { askHidden } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const repository = await openRepository(context.world, context.directory);
  const source = sourceOf(input);
  if (source === '--generate') return generate(context, input, repository);
  for (const flag of ['--length', '--alphabet']) {
    if (input.text(flag) !== undefined)
      throw new UsageError(`"${flag}" is for --generate`, 'add --generate, or leave it out');
  }
  return source === '--pending' ? announce(context, input, repository) : store(context, input, repository);
}

/** Where the value comes from; a value has one source. */
function sourceOf(input: CommandInput): '--generate' | '--pending' | '--file' | undefined {
  const flags = (['--generate', '--pending', '--file'] as const).filter(
    (flag) => input.has(flag) || input.text(flag) !== undefined,
  );
  if (flags.length > 1)
    throw new UsageError(`"${flags[0]}" and "${flags[1]}" exclude each other`, 'give one of them');
  const [flag] = flags;
  const words = input.arguments('value').length;
  // Not quoted: a word too many may be part of a value.
  if (words > (flag === undefined ? 1 : 0) && (flag === undefined || flag === '--file'))
    throw new UsageError('There are too many words after the key', 'put a value with spaces in quotes');
  return flag;
}

async function store(context: CommandContext, input: CommandInput, repository: Repository): Promise<number> {
  const cell = requiredArgument(input, 'cell');
  const key = requiredArgument(input, 'key');
  refuseArgument(input.arguments('value')[0], repository, cell);
  const value = () => readValue(context, input);
  const result = await setSecret(repository, { cell, key, value, ...common(context, input) });
  if (context.json) return printJson(context.terminal, result);
  const done = result.change === 'unchanged' ? 'Unchanged' : 'Stored';
  context.terminal.talk(`${done} ${key} in ${result.cell}`);
  return 0;
}

async function generate(
  context: CommandContext,
  input: CommandInput,
  repository: Repository,
): Promise<number> {
  const result = await generateSecrets(repository, {
    cell: requiredArgument(input, 'cell'),
    keys: input.arguments('key'),
    length: wholeNumber(input, '--length'),
    alphabet: input.text('--alphabet'),
    ...common(context, input),
  });
  if (context.json) return printJson(context.terminal, result);
  const what = result.keys.length === 1 ? 'a new random value' : 'new random values';
  context.terminal.talk(`Stored ${what} for ${result.keys.join(', ')} in ${result.cell}`);
  return 0;
}

async function announce(
  context: CommandContext,
  input: CommandInput,
  repository: Repository,
): Promise<number> {
  const keys = input.arguments('key');
  const cell = requiredArgument(input, 'cell');
  const result = await announceSecrets(repository, { cell, keys, ...common(context, input) });
  if (context.json) return printJson(context.terminal, result);
  context.terminal.talk(`Announced ${keys.join(', ')} in ${result.cell}: pending until there is a value`);
  return 0;
}

function common(context: CommandContext, input: CommandInput) {
  return {
    createNamespace: input.has('--create'),
    allowedEnvironmentNames: input.list('--allow-env'),
    confirm: confirmation(context, input),
  };
}

/** Before anything is asked: no answer would make the value acceptable. */
function refuseArgument(value: string | undefined, repository: Repository, cell: string): void {
  if (value === undefined || value === '-') return;
  if (value === '') {
    throw new UsageError(
      'The value is empty',
      'leave the key out instead: SOPS would keep an empty value unauthenticated in the clear',
    );
  }
  if (!isProtectedCell(repository, cell)) return;
  throw new UsageError(
    `A value for the protected cell "${cell}" must not be an argument: other processes can read it`,
    'leave the value out and type it, or pipe it in',
  );
}

async function readValue(context: CommandContext, input: CommandInput): Promise<Uint8Array> {
  const { terminal, world } = context;
  const [given] = input.arguments('value');
  const file = input.text('--file');
  if (given !== undefined && given !== '-') {
    terminal.talk(
      'warning: a value given as an argument can be read by other processes and stays in the shell history',
    );
    return new TextEncoder().encode(given);
  }
  if (file !== undefined && file !== '-')
    return withoutNewline(context, input, await readInputFile(world, file, maxValueBytes));
  if (terminal.inputIsTerminal && (given === '-' || file === '-')) {
    throw new UsageError(
      'Standard input is a terminal here, which would show what is typed',
      'leave "-" out to be asked without echo, or pipe the value in',
    );
  }
  if (given === undefined && file === undefined && terminal.inputIsTerminal && terminal.talkIsTerminal) {
    return new TextEncoder().encode(await askHidden(`Value of ${requiredArgument(input, 'key')}`));
  }
  return withoutNewline(context, input, await terminal.readInput(maxValueBytes + 1));
}

function withoutNewline({ terminal }: CommandContext, input: CommandInput, bytes: Uint8Array): Uint8Array {
  if (bytes.at(-1) !== 0x0a) return bytes;
  if (input.has('--trim-newline')) return bytes.subarray(0, -1);
  terminal.talk('note: the value ends in a newline, which is stored too; --trim-newline takes it off');
  return bytes;
}
