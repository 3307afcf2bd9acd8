// `clef sops edit`
import { editSopsFileInEditor } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { askYesNo } from '../terminal.ts';
import { sourceOf } from './sops-options.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal } = context;
  const canAsk = terminal.inputIsTerminal && terminal.talkIsTerminal;
  const retry = (problem: string) => {
    terminal.talk(problem);
    return askYesNo('Back to the editor? (no drops the change)');
  };
  await editSopsFileInEditor(world, { ...sourceOf(context, input), ...(canAsk && { retry }) });
  return 0;
}
