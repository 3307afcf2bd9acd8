// What a shell may complete a half-typed command line with. The table of commands decides; names come from the repository.
import type { ArgumentDefinition, CommandDefinition, Completes, OptionDefinition } from './command.ts';
import { commands, groups } from './commands.ts';
import { globalOptions } from './global-options.ts';

/** One word and what it is. */
export type Candidate = { readonly word: string; readonly summary?: string };

/** The names of a kind; `cell` is the one that the line names before. */
export type NamesOf = (completes: Completes, cell: string | undefined) => Promise<readonly string[]>;

/**
 * The candidates for the last of `words`, which may be empty; none where the shell's own completion (files, commands)
 * serves better.
 * @param words - What stands after `clef`, up to the cursor.
 */
export async function complete(words: readonly string[], namesOf: NamesOf): Promise<readonly Candidate[]> {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  if (before.includes('--')) return [];
  const { definition, depth, positionals } = readLine(before);
  if (definition === undefined) return startingWith(current, nextWords(positionals));
  const cell = cellOn(definition, positionals.slice(depth));
  const option = optionOf(definition, before.at(-1) ?? '');
  if (option?.value !== undefined) return valuesOf(option, current, (what) => namesOf(what, cell));
  const equals = /^(--[a-z-]+)=(.*)$/s.exec(current);
  if (equals) {
    const [, flag = '', value = ''] = equals;
    const values = await valuesOf(optionOf(definition, flag), value, (what) => namesOf(what, cell));
    return values.map(({ word }) => ({ word: `${flag}=${word}` }));
  }
  if (current.startsWith('-')) return startingWith(current, flagsOf(definition, before));
  const argument = argumentAt(definition, positionals.length - depth);
  return argument?.completes === undefined
    ? []
    : startingWith(current, asCandidates(await namesOf(argument.completes, cell)));
}

type Line = {
  readonly definition: CommandDefinition | undefined;
  /** How many words its name has. */
  readonly depth: number;
  /** The words that are neither options nor their values. */
  readonly positionals: readonly string[];
};

function readLine(words: readonly string[]): Line {
  const positionals: string[] = [];
  let definition: CommandDefinition | undefined;
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] as string;
    if (word.startsWith('-')) {
      const takesNext = optionOf(definition, word)?.value !== undefined;
      if (takesNext) index += 1;
    } else positionals.push(word);
    definition ??= commands.find(({ name }) => name === positionals.join(' '));
  }
  return { definition, depth: definition?.name.split(' ').length ?? 0, positionals };
}

/** The next word of all command names that begin with these. */
function nextWords(typed: readonly string[]): readonly Candidate[] {
  const candidates = new Map<string, Candidate>();
  for (const { name, summary, hidden } of commands) {
    const parts = name.split(' ');
    const word = parts[typed.length];
    if (hidden === true || word === undefined || typed.some((part, index) => part !== parts[index])) continue;
    const isGroup = parts.length > typed.length + 1;
    candidates.set(word, { word, summary: isGroup ? (groups[word] ?? summary) : summary });
  }
  return [...candidates.values()];
}

function optionOf(definition: CommandDefinition | undefined, flag: string): OptionDefinition | undefined {
  return [...(definition?.options ?? []), ...globalOptions].find((option) =>
    option.flag.split(', ').includes(flag),
  );
}

/** The flags that are not there yet; the short form of none. */
function flagsOf(definition: CommandDefinition, before: readonly string[]): readonly Candidate[] {
  return [...(definition.options ?? []), ...globalOptions]
    .filter((option) => option.repeatable === true || !before.some((word) => namesOption(option, word)))
    .map(({ flag, summary }) => ({ word: flag.split(', ').at(-1) as string, summary }));
}

function namesOption({ flag }: OptionDefinition, word: string): boolean {
  return flag.split(', ').some((form) => word === form || word.startsWith(`${form}=`));
}

/** The values of an option; of a list that commas separate, its last part. */
async function valuesOf(
  option: OptionDefinition | undefined,
  current: string,
  namesOf: (completes: Completes) => Promise<readonly string[]>,
): Promise<readonly Candidate[]> {
  if (option?.completes === undefined) return [];
  const names = await namesOf(option.completes);
  const head = current.slice(0, current.lastIndexOf(',') + 1);
  return startingWith(current, asCandidates(names.map((name) => `${head}${name}`)));
}

function argumentAt(definition: CommandDefinition, index: number): ArgumentDefinition | undefined {
  const last = definition.arguments?.at(-1);
  return definition.arguments?.[index] ?? (last?.variadic === true ? last : undefined);
}

function cellOn(definition: CommandDefinition, given: readonly string[]): string | undefined {
  const index = definition.arguments?.findIndex(({ completes }) => completes === 'cell') ?? -1;
  return index < 0 ? undefined : given[index];
}

function asCandidates(words: readonly string[]): readonly Candidate[] {
  return words.map((word) => ({ word }));
}

function startingWith(start: string, candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.filter(({ word }) => word.startsWith(start));
}
