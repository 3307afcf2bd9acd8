// `clef artifact verify`
import { verifyArtifactBytes } from '@clef/core';
import { artifactBytes, judgeRequest } from '../artifact-input.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const request = await judgeRequest(context, input);
  const verified = await verifyArtifactBytes(context.world, await artifactBytes(context, input), request);
  const { terminal, json } = context;
  if (json) return printJson(terminal, verified);
  const { header, epoch } = verified;
  await terminal.data(
    `good: ${header.identity}/${header.environment}, revision ${header.revision}, epoch ${epoch}, until ${header.expiresAt}\n`,
  );
  return 0;
}
