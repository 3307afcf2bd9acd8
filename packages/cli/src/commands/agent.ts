// `clef agent`
import { processWorld, runAgent } from '@clef/agent';
import type { CommandContext, CommandInput } from '../command.ts';
import { runningProcess } from '../terminal.ts';

export async function run({ world }: CommandContext, input: CommandInput): Promise<number> {
  return runAgent(input.rest, processWorld(runningProcess, world.now));
}
