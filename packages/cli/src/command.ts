// What a command is: a definition that help, completion and the documentation are made from, and a body that is loaded
// only when the command runs.
import type { NameKind, World } from '@clef/core';
import type { Terminal } from './terminal.ts';

/** What a shell completes a word with: names of the repository, or these words. Without it, files. */
export type Completes = NameKind | readonly string[];

/** One option. `value` names the value it takes; without it the option is a switch. */
export type OptionDefinition = {
  readonly flag: string;
  readonly value?: string;
  readonly summary: string;
  /** May be given several times; the body gets a list. */
  readonly repeatable?: boolean;
  readonly completes?: Completes;
};

/** One positional argument. */
export type ArgumentDefinition = {
  readonly name: string;
  readonly summary: string;
  readonly optional?: boolean;
  /** Takes every word that is left, one at least unless it is optional: the last argument only. */
  readonly variadic?: boolean;
  readonly completes?: Completes;
};

/** A runnable example with what it does. */
export type Example = { readonly line: string; readonly does: string };

export type CommandDefinition = {
  /** One word, or two for a command of a group ("recipients add"). */
  readonly name: string;
  readonly summary: string;
  /** What a person must know beyond the summary: a short paragraph, or several separated by an empty line. */
  readonly details?: string;
  readonly arguments?: readonly ArgumentDefinition[];
  readonly options?: readonly OptionDefinition[];
  readonly examples?: readonly Example[];
  /** Takes a command line after `--`; its own failures are 125, 126 and 127 as those of `env`. */
  readonly takesCommandLine?: boolean;
  /** Hands every argument on unread: the body has its own reader. */
  readonly passThrough?: boolean;
  /** For programs only: in no list of commands. */
  readonly hidden?: boolean;
  readonly load: () => Promise<CommandBody>;
};

/** What the person typed, by name. */
export type CommandInput = {
  readonly argument: (name: string) => string | undefined;
  /** All words of a variadic argument. */
  readonly arguments: (name: string) => readonly string[];
  readonly text: (flag: string) => string | undefined;
  readonly list: (flag: string) => readonly string[];
  readonly has: (flag: string) => boolean;
  /** What stands after `--`, or everything for a pass-through command. */
  readonly rest: readonly string[];
};

/** Everything a body may use. */
export type CommandContext = {
  readonly world: World;
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly directory: string | undefined;
  readonly version: string;
  /** The command line that starts this very program. */
  readonly program: readonly string[];
};

/** A loaded command: returns its exit code. */
export type CommandBody = {
  readonly run: (context: CommandContext, input: CommandInput) => Promise<number>;
};
