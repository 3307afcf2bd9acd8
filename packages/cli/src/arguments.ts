// What several commands read from their arguments in the same way.

import type { CommandContext, CommandInput } from './command.ts';
import { askYesNo, type Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';

/** An argument that commander has checked to be there. */
export function requiredArgument(input: CommandInput, name: string): string {
  const value = input.argument(name);
  if (value === undefined)
    throw new UsageError(`The argument <${name}> is missing`, 'run the command with --help');
  return value;
}

/**
 * The parts of a comma-separated option, or `undefined` where it is not given.
 * @throws {UsageError} on an empty part (A20).
 */
export function commaList(input: CommandInput, flag: string): readonly string[] | undefined {
  const text = input.text(flag);
  return text === undefined ? undefined : commaWords(text, flag);
}

/**
 * The words of a list that commas separate.
 * @param name - The option or argument, for the error.
 * @throws {UsageError} on an empty part (A20).
 */
export function commaWords(text: string, name: string): readonly string[] {
  const parts = text.split(',');
  if (!parts.includes('')) return parts;
  throw new UsageError(`"${name}" has an empty name in its list`, `write: ${name} FIRST,SECOND`);
}

/** Which values `exec` and `export` take: the options that both have. */
export function choiceOf(input: CommandInput) {
  const only = commaList(input, '--only');
  const except = commaList(input, '--except');
  const prefix = input.text('--prefix');
  if (prefix === '') throw new UsageError('"--prefix" is empty', 'write for example: --prefix APP_');
  return {
    cell: requiredArgument(input, 'cell'),
    also: input.list('--also'),
    strict: input.has('--strict'),
    ...(only && { only }),
    ...(except && { except }),
    ...(prefix && { prefix }),
  };
}

/**
 * The number that an option gives, or `undefined` where it is not given.
 * @throws {UsageError} where it is no whole number in its one spelling.
 */
export function wholeNumber(input: CommandInput, flag: string): number | undefined {
  const text = input.text(flag);
  if (text === undefined) return undefined;
  if (/^(0|[1-9][0-9]{0,8})$/.test(text)) return Number(text);
  throw new UsageError(`"${flag}" wants a whole number`, `write for example: ${flag} 32`);
}

/**
 * The NAME=VALUE pairs of a repeatable option.
 * @throws {UsageError} where one is not of that form.
 */
export function assignments(
  input: CommandInput,
  flag: string,
): readonly (readonly [name: string, value: string])[] {
  return input.list(flag).map((text) => {
    const at = text.indexOf('=');
    if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)] as const;
    throw new UsageError(
      `"${flag}" needs ENVIRONMENT=KEY`,
      `write for example: ${flag} production=awskms:///arn:…`,
    );
  });
}

/** Asks a person to confirm a change of a protected environment; where nobody can be asked, `--yes` is the only yes. */
export function confirmation(
  context: CommandContext,
  input: CommandInput,
): (question: string) => Promise<boolean> {
  return async (question) => input.has('--yes') || (canAsk(context.terminal) && (await askYesNo(question)));
}

function canAsk(terminal: Terminal): boolean {
  return terminal.inputIsTerminal && terminal.talkIsTerminal;
}
