// The table of commands as a commander program: arguments in, one loaded body run, its exit code out.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { CommandContext, CommandDefinition, CommandInput, OptionDefinition } from './command.ts';
import { commands, groups } from './commands.ts';
import { globalOptions } from './global-options.ts';
import { fromOldSopsForm } from './old-sops-forms.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

/** Of an error, in characters. */
const longestMessage = 200;

const exitOfExec = 125;

/** What the command line asks for, before anything runs. */
export type GlobalOptions = {
  readonly json: boolean;
  readonly debug: boolean;
  readonly breakLock: boolean;
  readonly directory: string | undefined;
};

export type ProgramResult = {
  readonly exitCode: number;
};

type Values = Readonly<Record<string, unknown>>;

/**
 * Reads the command line and runs the command it names.
 * @throws {UsageError} where the line fits no command; whatever the command throws.
 */
export async function runProgram(
  commandLine: readonly string[],
  contextFor: (globals: GlobalOptions) => CommandContext,
): Promise<number> {
  const { head, rest, hasSeparator } = splitAtSeparator(inNewForm(commandLine));
  refuseWithoutSeparator(head, hasSeparator);
  let exitCode = 0;
  const program = newProgram();
  for (const definition of definitionsFor(head)) {
    const command = addCommand(program, definition);
    command.action(async () => {
      const globals = program.opts<GlobalValues>();
      const body = await definition.load();
      const values = command.opts<Values>();
      const passed = definition.passThrough
        ? [...command.args, ...(hasSeparator ? ['--', ...rest] : [])]
        : rest;
      exitCode = await body.run(
        contextFor(readGlobals(globals, values)),
        inputOf(definition, command, values, passed),
      );
    });
  }
  const line = hasSeparator && !takesRest(head) ? [...head, '--', ...rest] : head;
  try {
    await program.parseAsync(line as string[], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw usageErrorOf(error);
  }
  return exitCode;
}

/** The commands to define: those of the word on the line, or all where it names none, so that help can show them. */
function definitionsFor(head: readonly string[]): readonly CommandDefinition[] {
  const word = firstWord(head);
  const named = commands.filter(({ name }) => name.split(' ')[0] === word);
  return named.length > 0 ? named : commands;
}

/** Whether this command line belongs to a command whose own failures are 125, as those of `env`. */
export function failsAsExec(commandLine: readonly string[]): boolean {
  return isCommandLineTaker(commandLine);
}

/** The exit code for every failure of Clef's own in such a command. */
export const execFailure = exitOfExec;

/** The program with every command defined and none runnable: what help, completion and the documentation read. */
export function definedProgram(): Command {
  const program = newProgram();
  for (const definition of commands) addCommand(program, definition);
  return program;
}

type GlobalValues = { json?: true; debug?: true; breakLock?: true; dir?: string };

function readGlobals(globals: GlobalValues, values: Values): GlobalOptions {
  return {
    json: globals.json === true || values['json'] === true,
    debug: globals.debug === true || values['debug'] === true,
    breakLock: globals.breakLock === true || values['breakLock'] === true,
    directory: globals.dir ?? (values['dir'] as string | undefined),
  };
}

function newProgram(): Command {
  const program = new Command('clef')
    .description('Secrets in git, keys in your KMS: no server to run and no token to leak')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => undefined, writeErr: (text) => process.stderr.write(text) })
    .showSuggestionAfterError();
  for (const option of globalOptions) program.addOption(optionOf(option));
  return program;
}

function addCommand(program: Command, definition: CommandDefinition): Command {
  const [first, second] = definition.name.split(' ') as [string, string | undefined];
  const parent = second === undefined ? program : groupOf(program, first);
  const command = parent
    .command(second ?? first, { hidden: definition.hidden === true })
    .summary(definition.summary)
    .description(describe(definition));
  command.exitOverride().configureOutput({ outputError: () => undefined });
  for (const argument of definition.arguments ?? []) {
    const name = argument.variadic ? `${argument.name}...` : argument.name;
    command.argument(argument.optional ? `[${name}]` : `<${name}>`, argument.summary);
  }
  for (const option of [...(definition.options ?? []), ...globalOptions]) command.addOption(optionOf(option));
  if (definition.takesCommandLine)
    command.usage(`[options] <${definition.arguments?.[0]?.name}> -- <command> [arguments…]`);
  if (definition.passThrough)
    command.allowUnknownOption().allowExcessArguments().passThroughOptions().helpOption(false);
  if (definition.examples) command.addHelpText('after', () => exampleText(definition));
  return command;
}

function groupOf(program: Command, name: string): Command {
  const existing = program.commands.find((command) => command.name() === name);
  if (existing) return existing;
  const group = program
    .command(name)
    .summary(groups[name] ?? '')
    .description(groups[name] ?? '');
  group.exitOverride().configureOutput({ outputError: () => undefined });
  return group;
}

function describe(definition: CommandDefinition): string {
  const more = definition.details === undefined ? '' : `\n\n${definition.details}`;
  return `${definition.summary}${more}`;
}

function exampleText(definition: CommandDefinition): string {
  const lines = (definition.examples ?? []).map(({ line, does }) => `  $ ${line}\n      ${does}`);
  return `\nExamples:\n${lines.join('\n')}`;
}

function optionOf(definition: OptionDefinition): Option {
  const flags = definition.value === undefined ? definition.flag : `${definition.flag} <${definition.value}>`;
  const option = new Option(flags, definition.summary);
  if (definition.value === undefined) return option;
  return option.argParser((value: string, previous: unknown) => {
    if (definition.repeatable) return [...((previous as string[] | undefined) ?? []), value];
    if (previous !== undefined && previous !== value) {
      throw new InvalidArgumentError('It is given twice with different values.');
    }
    return value;
  });
}

function inputOf(
  definition: CommandDefinition,
  command: Command,
  values: Values,
  rest: readonly string[],
): CommandInput {
  const names = (definition.arguments ?? []).map((argument) => argument.name);
  const optionValue = (flag: string): unknown => values[new Option(flag).attributeName()];
  return {
    argument: (name) => command.args[names.indexOf(name)],
    arguments: (name) => command.args.slice(names.indexOf(name)),
    text: (flag) => optionValue(flag) as string | undefined,
    list: (flag) => (optionValue(flag) as string[] | undefined) ?? [],
    has: (flag) => optionValue(flag) === true,
    rest,
  };
}

function splitAtSeparator(commandLine: readonly string[]): {
  readonly head: readonly string[];
  readonly rest: readonly string[];
  readonly hasSeparator: boolean;
} {
  const at = commandLine.indexOf('--');
  if (at < 0) return { head: commandLine, rest: [], hasSeparator: false };
  return { head: commandLine.slice(0, at), rest: commandLine.slice(at + 1), hasSeparator: true };
}

function isCommandLineTaker(words: readonly string[]): boolean {
  return commandNamed(words)?.takesCommandLine === true;
}

/** Whether what stands after `--` goes to the command as it is, and is no argument that commander counts. */
function takesRest(words: readonly string[]): boolean {
  return isCommandLineTaker(words) || commandNamed(words)?.passThrough === true;
}

/** The command of one word that the line names. */
function commandNamed(words: readonly string[]): CommandDefinition | undefined {
  const first = firstWord(words);
  return commands.find(({ name }) => name === first);
}

/** The first word that is neither a global option nor its value. */
function firstWord(words: readonly string[]): string | undefined {
  return words[firstWordAt(words)];
}

function firstWordAt(words: readonly string[]): number {
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] as string;
    if (word === '--dir') index += 1;
    else if (!word.startsWith('-')) return index;
  }
  return words.length;
}

/** The old forms of the SOPS command as its subcommands. */
function inNewForm(words: readonly string[]): readonly string[] {
  if (firstWord(words) !== 'sops') return words;
  const end = firstWordAt(words) + 1;
  return [...words.slice(0, end), ...fromOldSopsForm(words.slice(end))];
}

/** Before commander counts the words of the command line as arguments of ours. */
function refuseWithoutSeparator(head: readonly string[], hasSeparator: boolean): void {
  if (hasSeparator || !isCommandLineTaker(head) || head.some((word) => word === '--help' || word === '-h'))
    return;
  const name = firstWord(head);
  throw new UsageError(
    `"clef ${name}" needs "--" before the command to run`,
    `write: clef ${name} NAMESPACE/ENVIRONMENT -- COMMAND`,
  );
}

/** Commander's own words ("error: unknown option '--forse'\n(Did you mean --force?)") as our message and hint. */
function usageErrorOf(error: CommanderError): UsageError {
  if (error.code === 'commander.help')
    return new UsageError('No command was given', 'run "clef --help" to see the commands');
  const [first = '', ...more] = error.message.split('\n');
  const message = first
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replaceAll("'", '"');
  const near = /\(Did you mean (?:one of )?(.*)\?\)/.exec(more.join(' '))?.[1];
  const hint =
    near === undefined ? 'run the command with --help to see how it is written' : `did you mean ${near}?`;
  if (error.code === 'commander.unknownOption') return unknownOption(message, hint);
  if (error.code === 'commander.invalidArgument') return givenTwice(message);
  return new UsageError(shortened(message.charAt(0).toUpperCase() + message.slice(1)), hint);
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
