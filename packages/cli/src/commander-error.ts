// What commander finds wrong with a command line, in our words: what was wrong, and how the command is written. What was
// typed is repeated only where it cannot be a value.
import type { CommanderError } from 'commander';
import type { CommandDefinition } from './command.ts';
import { commands, groups } from './commands.ts';
import { UsageError } from './usage-error.ts';
import { usageLine } from './usage-line.ts';
import { commandOf, firstWord } from './words.ts';

/** Of an error, in characters. */
const longestMessage = 200;

/** What other tools call it. */
const wordsOfOthers: Readonly<Record<string, string>> = {
  add: 'set',
  cat: 'get',
  check: 'doctor',
  cp: 'copy',
  create: 'set',
  decrypt: 'export',
  dotenv: 'export',
  encrypt: 'set',
  env: 'export',
  find: 'search',
  grep: 'search',
  keygen: 'key generate',
  load: 'import',
  login: 'init',
  ls: 'list',
  mv: 'copy',
  put: 'set',
  read: 'get',
  remove: 'delete',
  rm: 'delete',
  run: 'exec',
  serve: 'agent',
  share: 'recipients add',
  show: 'get',
  status: 'doctor',
  unset: 'delete',
  updatekeys: 'rotate',
  write: 'set',
};

/** Commander's own words ("error: unknown option '--forse'\n(Did you mean --force?)") as our message and hint. */
export function usageErrorOf(error: CommanderError, words: readonly string[]): UsageError {
  if (error.code === 'commander.help') return noCommand(words);
  const [first = '', ...more] = error.message.split('\n');
  const message = first
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replaceAll("'", '"');
  const near = /\(Did you mean (?:one of )?(.*)\?\)/.exec(more.join(' '))?.[1];
  const hint = near === undefined ? howToWrite(words) : `did you mean ${near}?`;
  if (error.code === 'commander.unknownCommand') return unknownCommand(message, hint);
  if (error.code === 'commander.unknownOption') return unknownOption(message, hint);
  if (error.code === 'commander.invalidArgument') return givenTwice(message);
  return new UsageError(shortened(message.charAt(0).toUpperCase() + message.slice(1)), hint);
}

/** How the command is written that the words name, or where the commands are listed. */
function howToWrite(words: readonly string[]): string {
  const command = commandOf(words);
  if (command !== undefined) return `write: ${usageLine(command)}; "clef ${command.name} --help" says more`;
  const group = firstWord(words) ?? '';
  return `run "clef ${Object.hasOwn(groups, group) ? `${group} ` : ''}--help" to see the commands`;
}

function noCommand(line: readonly string[]): UsageError {
  const group = firstWord(line);
  if (group === undefined || !Object.hasOwn(groups, group))
    return new UsageError('No command was given', 'run "clef --help" to see the commands');
  const members = commands.filter(({ name }) => name.startsWith(`${group} `));
  const words = members.map(({ name }) => name.split(' ')[1]).join(', ');
  return new UsageError(`No command was given after "clef ${group}"`, `say which: ${words}`);
}

function unknownCommand(message: string, hint: string): UsageError {
  const word = /"(.*)"$/s.exec(message)?.[1] ?? '';
  const ours = Object.hasOwn(wordsOfOthers, word) ? wordsOfOthers[word] : undefined;
  return new UsageError(
    shortened(message.charAt(0).toUpperCase() + message.slice(1)),
    ours === undefined ? hint : `here it is "clef ${ours}"`,
  );
}

/** What was typed in place of a command may be anything, of any length (A24). */
function shortened(message: string): string {
  return message.length <= longestMessage ? message : `${message.slice(0, longestMessage - 1)}…`;
}

/** What looks like no option of anybody's may be a value that begins with a hyphen, and is not repeated. */
function unknownOption(message: string, hint: string): UsageError {
  const option = /"(--[a-z][a-z-]{0,30}|-[A-Za-z])"$/.exec(message)?.[1];
  if (option !== undefined) return new UsageError(`Unknown option "${option}"`, hint);
  return new UsageError(
    'There is an unknown option, not shown here as it may be a secret value',
    'put "--" before a value that begins with a hyphen, or pipe it in',
  );
}

/** The only thing that our options judge themselves; commander's words would repeat what was given. */
function givenTwice(message: string): UsageError {
  const option = /"(--[a-z-]+)/.exec(message)?.[1] ?? 'an option';
  return new UsageError(`"${option}" is given twice with different values`, 'give it once');
}

/**
 * Refuses a key, or a file, where the cell belongs, and the cell after it.
 * @throws {UsageError} with the order that is wanted; only the cell is repeated.
 */
export function refuseSwapped(definition: CommandDefinition, args: readonly string[]): void {
  const [first = '', second = ''] = args;
  const [wanted, next] = definition.arguments ?? [];
  if (wanted?.name !== 'cell' || wanted.optional || next === undefined) return;
  if (first.includes('/') || !isCell(second)) return;
  throw new UsageError(
    `"clef ${definition.name}" wants the cell before the ${next.name}`,
    `write: ${usageLine(definition).replace('<cell>', second)}`,
  );
}

function isCell(word: string): boolean {
  return /^[a-z][a-z0-9-]{0,62}\/[a-z][a-z0-9-]{0,62}$/.test(word);
}
