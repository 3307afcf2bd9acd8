// `clef version`
import type { CommandContext } from '../command.ts';

export async function run({ terminal, json, version }: CommandContext): Promise<number> {
  await terminal.data(json ? `${JSON.stringify({ version })}\n` : `${version}\n`);
  return 0;
}
