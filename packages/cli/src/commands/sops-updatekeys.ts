// `clef sops updatekeys`
import { type KeyChange, updateSopsKeys } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { askYesNo } from '../terminal.ts';
import { sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { terminal } = context;
  const confirm = async ({ added, removed }: KeyChange): Promise<boolean> => {
    for (const name of added) terminal.talk(`+ ${name}`);
    for (const name of removed) terminal.talk(`- ${name}`);
    if (input.has('-y, --yes')) return true;
    if (terminal.inputIsTerminal && terminal.talkIsTerminal) return askYesNo('Change the keys of the file?');
    terminal.talk('Nothing was written: --yes confirms where nobody can be asked');
    return false;
  };
  let asked = false;
  const { written } = await updateSopsKeys(context.world, {
    ...sourceOf(context, input),
    confirm: (change) => {
      asked = true;
      return confirm(change);
    },
  });
  if (!asked) terminal.talk('The keys are up to date');
  // As SOPS: an answer of no is no failure, but nobody to ask is one.
  return written || !asked || terminal.inputIsTerminal ? 0 : 1;
}
