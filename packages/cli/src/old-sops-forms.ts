// The old forms of the SOPS command line (`sops -d FILE`, `sops FILE`), written as the subcommand that they stand for. What
// they leave open is refused, where the real tool takes the last one or looks away.
import { notCovered, SopsOperationError } from '@clef/core';
import type { OptionDefinition } from './command.ts';
import { globalOptions } from './global-options.ts';
import { sopsRows } from './rows/sops.ts';

/** Which subcommand each stands for; without any of them it is `edit`. */
const verbs: Readonly<Record<string, string>> = {
  '--decrypt': 'decrypt',
  '--encrypt': 'encrypt',
  '--rotate': 'rotate',
  '--set': 'set',
};
/** Long names of the short flags. */
const longNames: Readonly<Record<string, string>> = {
  '-d': '--decrypt',
  '-e': '--encrypt',
  '-r': '--rotate',
  '-i': '--in-place',
  '-s': '--show-master-keys',
  '-k': '--kms',
  '-p': '--pgp',
  '-a': '--age',
  '-h': '--help',
};
/** What makes no difference here: what is logged, which versions are asked for, and that these two write in place. */
const withoutEffect = new Set(['--verbose', '--disable-version-check', '--check-for-updates']);
const onlyTheirs = new Set(['--show-master-keys', '--indent']);
const alwaysInPlace = new Set(['edit', 'set']);

/**
 * The words after `sops` with an old form written as a subcommand; all others as they are.
 * @throws {SopsOperationError} `set_argument`, `not_covered`.
 */
export function fromOldSopsForm(words: readonly string[]): readonly string[] {
  const [first] = words;
  const isHelp = first === undefined || first === '--help' || first === '-h' || first === 'help';
  if (isHelp || isSubcommand(first)) return words;
  const { options: given, rest } = readOptions(words);
  const options = given.filter(({ name }) => !withoutEffect.has(name));
  const [word, ...more] = rest;
  // Options of the whole command before a subcommand.
  if (word !== undefined && isSubcommand(word))
    return [word, ...options.flatMap(({ words: own }) => own), ...more];
  // A slip in the name of a subcommand has arguments behind it; a file has none.
  if (options.length === 0 && more.length > 0) return words;
  const verb = verbOf(options);
  if (options.some(({ name }) => name === '--help')) return [verb, '--help'];
  if (word === undefined) throw noFile();
  const kept = options.filter(({ name }) => verbs[name] === undefined && isOfUse(verb, name));
  return [verb, ...kept.flatMap(({ words: own }) => own), ...rest, ...setArguments(options)];
}

function isSubcommand(word: string): boolean {
  return sopsRows.some(({ name }) => name === `sops ${word}`);
}

type GivenOption = {
  readonly name: string;
  readonly value: string | undefined;
  readonly words: readonly string[];
};

/** The options before the first word that is none; a value may stand behind `=`. */
function readOptions(words: readonly string[]): { options: readonly GivenOption[]; rest: readonly string[] } {
  const options: GivenOption[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] as string;
    if (word === '-' || !word.startsWith('-')) return { options, rest: words.slice(index) };
    const [flag = '', ...behind] = word.split('=');
    const name = longNames[flag] ?? (flag.startsWith('--') ? flag : `-${flag}`);
    const takesValue = name === '--set' || name === '--indent' || optionNamed(name)?.value !== undefined;
    const value = behind.length > 0 ? behind.join('=') : takesValue ? words[index + 1] : undefined;
    if (takesValue && behind.length === 0) index += 1;
    options.push({ name, value, words: value === undefined ? [name] : [name, value] });
  }
  return { options, rest: [] };
}

/** An option of any subcommand, or of Clef itself. */
function optionNamed(name: string): OptionDefinition | undefined {
  return [...sopsRows.flatMap(({ options = [] }) => options), ...globalOptions].find((each) =>
    isNamed(each, name),
  );
}

function isNamed({ flag }: OptionDefinition, name: string): boolean {
  return flag.replace(/^-[a-z], /, '') === name;
}

function verbOf(options: readonly GivenOption[]): string {
  const given = new Set(options.flatMap(({ name }) => verbs[name] ?? []));
  const [verb = 'edit', another] = given;
  if (another === undefined) return verb;
  throw notCovered(
    'several of --decrypt, --encrypt, --rotate and --set',
    'only one can count',
    'give one of them',
  );
}

/** Whether the subcommand has the option. One that the real tool passes over in silence is refused. */
function isOfUse(verb: string, name: string): boolean {
  if (name === '--in-place' && alwaysInPlace.has(verb)) return false;
  const own = sopsRows.find((row) => row.name === `sops ${verb}`)?.options ?? [];
  if ([...own, ...globalOptions].some((each) => isNamed(each, name))) return true;
  // What nobody knows is an unknown option of the subcommand.
  if (optionNamed(name) === undefined && !onlyTheirs.has(name)) return true;
  throw notCovered(`"${name}" there`, `it means nothing to "clef sops ${verb}"`, 'leave it out');
}

function noFile(): SopsOperationError {
  return new SopsOperationError('no_file', {
    code: 'usage',
    message: 'There is no file on the command line',
    hint: 'name one, or use a subcommand: clef sops decrypt FILE',
  });
}

/** `--set '["key"] "value"'` holds both arguments of `set`. */
function setArguments(options: readonly GivenOption[]): readonly string[] {
  const text = options.findLast(({ name }) => name === '--set')?.value;
  if (text === undefined) return [];
  const end = text.indexOf('] ');
  if (end !== -1) return [text.slice(0, end + 1), text.slice(end + 2)];
  throw new SopsOperationError('set_argument', {
    code: 'usage',
    message: '"--set" is not a path and a value',
    hint: `write for example: --set '["key"] "value"'`,
  });
}
