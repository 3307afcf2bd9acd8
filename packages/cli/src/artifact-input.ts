// What the artifact commands read from their arguments: the file, and what it is held against.
import { type JudgeRequest, openRepository, readArtifactFile } from '@clef/core';
import { parseInteger, parseTimestamp, StrictError } from '@clef/strict';
import { requiredArgument } from './arguments.ts';
import type { CommandContext, CommandInput } from './command.ts';
import { UsageError } from './usage-error.ts';

/** Standard input is cut off here: any artifact is smaller. */
const maxInputBytes = 1024 * 1024 + 1;

/** The bytes of the artifact. */
export async function artifactBytes(
  { world, terminal }: CommandContext,
  input: CommandInput,
): Promise<Uint8Array> {
  const file = requiredArgument(input, 'file');
  return file === '-' ? terminal.readInput(maxInputBytes) : readArtifactFile(world, file);
}

/** What the person insists on. */
export async function judgeRequest(context: CommandContext, input: CommandInput): Promise<JudgeRequest> {
  const service = input.text('--service');
  const verifyKeys = input.list('--verify-key');
  const request = {
    service:
      service === undefined
        ? undefined
        : { name: service, of: await openRepository(context.world, context.directory) },
    repository: input.text('--repository'),
    identity: input.text('--identity'),
    environment: input.text('--environment'),
    sealingKey: input.text('--seal'),
    verifyKeys: verifyKeys.length === 0 ? undefined : verifyKeys,
    minRevision: read(input, '--min-revision', revision, '1767225600000'),
    floor: read(input, '--floor', floor, `0,1767225600000,${'0'.repeat(64)}`),
    at: read(input, '--at', parseTimestamp, '2026-01-31T12:34:56Z'),
  };
  return Object.fromEntries(
    Object.entries(request).filter(([, value]) => value !== undefined),
  ) as JudgeRequest;
}

function read<T>(
  input: CommandInput,
  flag: string,
  parse: (text: string) => T,
  example: string,
): T | undefined {
  const text = input.text(flag);
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    throw new UsageError(
      `"${flag}" is not what it must be: ${error.message}`,
      `write for example: ${flag} ${example}`,
    );
  }
}

function revision(text: string): number {
  return parseInteger(text, { min: 0, max: Number.MAX_SAFE_INTEGER });
}

function floor(text: string): { epoch: number; revision: number; payloadDigest: string } {
  const [epoch = '', number = '', payloadDigest = '', ...more] = text.split(',');
  if (more.length > 0 || !/^[0-9a-f]{64}$/.test(payloadDigest))
    throw new StrictError('value', 'wanted EPOCH,REVISION,SHA256');
  return { epoch: parseInteger(epoch, { min: 0, max: 63 }), revision: revision(number), payloadDigest };
}
