// `clef complete`: what the completion scripts ask on every TAB. Never fails and never talks, as somebody is typing.
import { ClefError, listNames, openRepository } from '@clef/core';
import type { CommandContext, CommandInput, Completes } from '../command.ts';
import { complete } from '../complete.ts';

export async function run({ world, terminal }: CommandContext, input: CommandInput): Promise<number> {
  const [, ...words] = input.rest;
  const quiet = { ...world, notify: () => undefined };
  const directory = optionValue(words, '--dir');
  const namesOf = async (completes: Completes, cell: string | undefined): Promise<readonly string[]> => {
    if (typeof completes !== 'string') return completes;
    try {
      return await listNames(await openRepository(quiet, directory), completes, cell);
    } catch (error) {
      if (error instanceof ClefError) return [];
      throw error;
    }
  };
  const candidates = await complete(words, namesOf);
  await terminal.data(candidates.map(({ word, summary }) => `${word}\t${summary ?? ''}\n`).join(''));
  return 0;
}

function optionValue(words: readonly string[], flag: string): string | undefined {
  const at = words.indexOf(flag);
  return at < 0 ? undefined : words[at + 1];
}
