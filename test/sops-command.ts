// `clef sops …` in this process, as main.ts runs it, beside the real sops as a process: both with exactly the same
// variables, in the same folder.
import { randomBytes } from 'node:crypto';
import type { World } from '@clef/core';
import { runChild } from '@clef/host';
import type { CommandContext } from '../packages/cli/src/command.ts';
import { runProgram } from '../packages/cli/src/program.ts';
import { renderError } from '../packages/cli/src/render-error.ts';
import { findPeer } from './peers.ts';

export type Situation = {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
};

export type Ended = { readonly exitCode: number; readonly stdout: Buffer; readonly message: string };

/** Runs `clef sops …`. What a child writes with our own streams is not seen here. */
export async function clefSops(situation: Situation, ...args: readonly string[]): Promise<Ended> {
  const printed: Uint8Array[] = [];
  const said: string[] = [];
  const context = contextOf(situation, printed, said);
  const end = (exitCode: number): Ended => ({
    exitCode,
    stdout: Buffer.concat(printed),
    message: said.join('\n'),
  });
  try {
    return end(await runProgram(['sops', ...args], () => context));
  } catch (error) {
    const { exitCode, body } = renderError(error);
    said.push(body.class === 'internal' ? String((error as Error).stack) : body.message);
    return end(exitCode);
  }
}

/** Runs the real sops. Throws where it is not installed. */
export async function realSops(situation: Situation, ...args: readonly string[]): Promise<Ended> {
  const { cwd, environment, input } = situation;
  const result = await runChild({
    command: findPeer('sops') ?? 'sops',
    args,
    cwd,
    environment: { ...environment, SOPS_DISABLE_VERSION_CHECK: '1' },
    stdio: 'capture',
    timeoutSeconds: 60,
    ...(input !== undefined && { input: Buffer.from(input) }),
  });
  return { ...result, stdout: Buffer.from(result.stdout), message: Buffer.from(result.stderr).toString() };
}

/** What a run printed; throws where it failed. */
export async function printedBy(run: Promise<Ended>): Promise<Buffer> {
  const { exitCode, stdout, message } = await run;
  if (exitCode !== 0) throw new Error(`ended with ${exitCode}: ${message}`);
  return stdout;
}

function contextOf(
  { cwd, environment, input }: Situation,
  printed: Uint8Array[],
  said: string[],
): CommandContext {
  const world: World = {
    environment,
    cwd,
    homeDirectory: environment['HOME'] ?? '/nonexistent',
    platform: process.platform,
    userName: 'alice',
    now: Date.now,
    randomBytes: (length) => randomBytes(length),
    notify: ({ message }) => void said.push(message),
  };
  return {
    world,
    terminal: {
      inputIsTerminal: false,
      outputIsTerminal: false,
      talkIsTerminal: false,
      colours: false,
      data: async (data) => void printed.push(Buffer.from(data)),
      talk: (line) => void said.push(line),
      progress: () => undefined,
      readInput: async () => Buffer.from(input ?? ''),
    },
    json: false,
    directory: undefined,
    version: '0',
    program: [],
  };
}
