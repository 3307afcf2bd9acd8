// The words of a command line before commander reads them: which command they name, whatever options stand around them.
import type { CommandDefinition } from './command.ts';
import { commands, groups } from './commands.ts';

/** Where the first word stands that is neither a global option nor its value; the length where there is none. */
export function firstWordAt(words: readonly string[]): number {
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] as string;
    if (word === '--dir') index += 1;
    else if (!word.startsWith('-')) return index;
  }
  return words.length;
}

/** That word. */
export function firstWord(words: readonly string[]): string | undefined {
  return words[firstWordAt(words)];
}

/** The command that the words name, also one of a group. */
export function commandOf(words: readonly string[]): CommandDefinition | undefined {
  const at = firstWordAt(words);
  const [first, second] = words.slice(at);
  return commands.find(({ name }) => name === first || name === `${first} ${second}`);
}

/**
 * `help set` as `set --help`; and an unknown command without its `--help`, for which commander would show the list of all
 * commands and be content.
 */
export function inHelpForm(words: readonly string[]): readonly string[] {
  const at = firstWordAt(words);
  const asked = words[at] === 'help';
  const rest = asked ? [...words.slice(0, at), ...words.slice(at + 1)] : words;
  const named = firstWord(rest);
  if (named === undefined) return asked ? [...rest, '--help'] : words;
  if (isKnown(rest)) return asked ? [...rest, '--help'] : words;
  return rest.filter((word) => word !== '--help' && word !== '-h');
}

function isKnown(words: readonly string[]): boolean {
  const [first = '', second] = words.slice(firstWordAt(words));
  if (commandOf(words) !== undefined) return true;
  return (
    Object.hasOwn(groups, first) && (second === undefined || second.startsWith('-') || second === 'help')
  );
}
