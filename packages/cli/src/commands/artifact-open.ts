// `clef artifact open`
import { openArtifactBytes } from '@clef/core';
import { artifactBytes, judgeRequest } from '../artifact-input.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { jsonText, printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, json } = context;
  const request = { ...(await judgeRequest(context, input)), allowUnsigned: input.has('--allow-unsigned') };
  const { secrets, ...opened } = await openArtifactBytes(world, await artifactBytes(context, input), request);
  if (request.allowUnsigned) terminal.talk('warning: an unsigned artifact may be from anybody');
  const names = [...secrets.keys()];
  if (input.has('--reveal')) {
    await terminal.data(`${formatSecrets(secrets)}\n`);
    return 0;
  }
  if (json) return printJson(terminal, { ...opened, keys: names });
  await terminal.data(names.map((name) => `${name}\n`).join(''));
  terminal.talk('No value is shown; --reveal prints them');
  return 0;
}

/** By hand: an object would lose the name "__proto__" and put names of digits first. */
function formatSecrets(secrets: ReadonlyMap<string, string>): string {
  const lines = [...secrets].map(([name, value]) => `  ${jsonText(name)}: ${jsonText(value)}`);
  return `{\n${lines.join(',\n')}\n}`;
}
