// `clef agent`
import { processWorld, runAgent } from '@clef/agent';
import type { CommandContext, CommandInput } from '../command.ts';

export async function run(_context: CommandContext, input: CommandInput): Promise<number> {
  return runAgent(input.rest, processWorld());
}
