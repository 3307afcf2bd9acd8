// How a command is written, in one line: for hints, help and docs/commands.md.
import type { ArgumentDefinition, CommandDefinition } from './command.ts';

/**
 * Such as `clef set <cell> <key> [value…]`.
 * @param options - What stands for the options of the command; nothing leaves them out.
 */
export function usageLine(definition: CommandDefinition, options: readonly string[] = []): string {
  const { name, arguments: list = [], takesCommandLine } = definition;
  const tail = takesCommandLine ? ['-- COMMAND [ARGUMENT…]'] : [];
  return ['clef', name, ...list.map(argumentForm), ...options, ...tail].join(' ');
}

function argumentForm({ name, optional, variadic }: ArgumentDefinition): string {
  const form = variadic ? `${name}…` : name;
  return optional ? `[${form}]` : `<${form}>`;
}
