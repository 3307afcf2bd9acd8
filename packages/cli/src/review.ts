// How a person at the command line takes part in a change of who may read: shown first, then asked, or only shown.
import type { ReaderChange, Review } from '@clef/core';
import { confirmation } from './arguments.ts';
import type { CommandContext, CommandInput } from './command.ts';
import { readersPreview } from './readers-preview.ts';

/** What `--yes` and `--dry-run` make of it. */
export function reviewOf(context: CommandContext, input: CommandInput): Review {
  return {
    confirm: confirmation(context, input),
    show: (changes) => {
      if (!input.has('--yes')) talkLines(context, readersPreview(changes));
    },
    isDryRun: input.has('--dry-run'),
  };
}

/** The plan as data: what a dry run prints. */
export async function printPlan(
  { terminal }: CommandContext,
  changes: readonly ReaderChange[],
): Promise<number> {
  await terminal.data(readersPreview(changes));
  terminal.talk('Nothing was written: this is a dry run');
  return 0;
}

function talkLines({ terminal }: CommandContext, text: string): void {
  for (const line of text.split('\n').filter((part) => part !== '')) terminal.talk(line);
}
