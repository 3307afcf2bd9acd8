// The table of commands as a commander program: arguments in, one loaded body run, its exit code out.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { CommandContext, CommandDefinition, CommandInput, OptionDefinition } from './command.ts';
import { refuseSwapped, usageErrorOf } from './commander-error.ts';
import { commands, groups, headings } from './commands.ts';
import { globalOptions } from './global-options.ts';
import { fromOldSopsForm } from './old-sops-forms.ts';
import { UsageError } from './usage-error.ts';
import { usageLine } from './usage-line.ts';
import { version } from './version.ts';
import { firstWord, firstWordAt, inHelpForm } from './words.ts';

const exitOfExec = 125;

const helpTail = `
Start with "clef init", then "clef set database/development DB_URL". "clef COMMAND --help" shows examples.

Exit codes:
  0 done · 1 findings · 2 usage · 3 bad input · 4 no such thing · 5 cannot decrypt · 6 integrity · 7 not allowed
  8 the machine · 9 conflict · 10 remote · 70 a bug in Clef · 130 taken back; "clef exec" gives its command's own, 125 for
  a failure of Clef`;

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
  const { head: typed, rest, hasSeparator } = splitAtSeparator(inNewForm(commandLine));
  const head = inHelpForm(typed);
  refuseWithoutSeparator(head, hasSeparator);
  let exitCode = 0;
  const program = newProgram(head.includes('--json'));
  for (const definition of definitionsFor(head)) {
    const command = addCommand(program, definition);
    command.action(async () => {
      const globals = program.opts<GlobalValues>();
      refuseSwapped(definition, command.args);
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
    throw usageErrorOf(error, head);
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

type GlobalValues = { json?: true; debug?: true; breakLock?: true; dir?: string };

function readGlobals(globals: GlobalValues, values: Values): GlobalOptions {
  return {
    json: globals.json === true || values['json'] === true,
    debug: globals.debug === true || values['debug'] === true,
    breakLock: globals.breakLock === true || values['breakLock'] === true,
    directory: globals.dir ?? (values['dir'] as string | undefined),
  };
}

/** @param isForPrograms - Say nothing but one error object on standard error. */
function newProgram(isForPrograms: boolean): Command {
  const program = new Command('clef')
    .description('Secrets in git, keys in your KMS: no server to run and no token to leak')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      outputError: () => undefined,
      writeErr: (text) => void (isForPrograms || process.stderr.write(text)),
    })
    .showSuggestionAfterError()
    .commandsGroup('More:')
    .helpCommand('help [command]', 'Show how a command is written')
    .addHelpText('after', helpTail);
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
  for (const option of definition.options ?? []) command.addOption(optionOf(option));
  for (const option of globalOptions)
    command.addOption(optionOf(option).helpGroup('Options of every command:'));
  command.addHelpOption(new Option('-h, --help', 'show help').helpGroup('Options of every command:'));
  if (second === undefined) command.helpGroup(headings[first] ?? '');
  if (definition.takesCommandLine)
    command.usage(`[options] ${usageLine(definition).replace(`clef ${definition.name} `, '')}`);
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
    .description(groups[name] ?? '')
    .helpGroup(headings[name] ?? '');
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
  const again = definition.repeatable ? ' (may be repeated)' : '';
  const option = new Option(flags, `${definition.summary}${again}`);
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
