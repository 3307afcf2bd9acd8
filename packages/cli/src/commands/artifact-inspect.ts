// `clef artifact inspect`
import { inspectArtifactBytes } from '@clef/core';
import { artifactBytes } from '../artifact-input.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { columns, printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const found = inspectArtifactBytes(await artifactBytes(context, input));
  const { terminal, json } = context;
  if (json) return printJson(terminal, found);
  const { header, sealingKey, revoked, keyIds, payloadDigest, bytes, sizes } = found;
  terminal.talk('Nothing of this has been verified: anybody could have written it');
  await terminal.data(
    columns([
      ['repository', header.repository],
      ['identity', header.identity],
      ['environment', header.environment],
      ['revision', String(header.revision)],
      ...(header.commit === undefined ? [] : [['commit', header.commit]]),
      ['packed at', header.packedAt],
      ['expires at', header.expiresAt],
      ...(revoked === undefined ? [] : [['revoked', revoked]]),
      ...(sealingKey === undefined ? [] : [['sealed with', sealingKey]]),
      ...(keyIds.length === 0 ? [['signed by', 'nobody']] : keyIds.map((id) => ['signed by', id])),
      ['payload digest', payloadDigest],
      ['bytes', `${bytes} in all, ${sizes.payload} of payload, ${sizes.ciphertext} of ciphertext`],
    ]),
  );
  return 0;
}
