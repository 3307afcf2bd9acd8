// The process's streams as a value: data goes to stdout, talk to stderr. With main.ts the only file that touches `process`.

import { randomBytes } from 'node:crypto';
import { homedir, userInfo } from 'node:os';
import type { World } from '@clef/core';
import { escapeControl } from '@clef/strict';
import { UsageError } from './usage-error.ts';

const silentInputSeconds = 30;

/** The streams a command talks through. */
export type Terminal = {
  readonly inputIsTerminal: boolean;
  readonly outputIsTerminal: boolean;
  readonly talkIsTerminal: boolean;
  readonly colours: boolean;
  /** Writes exact bytes to stdout; resolves when the stream has taken them. */
  readonly data: (data: Uint8Array | string) => Promise<void>;
  /** One line for a person, on stderr; control characters are shown escaped. */
  readonly talk: (line: string) => void;
  /** All of standard input, at most `maxBytes`. Fails with a usage error when nothing arrives for 30 s. */
  readonly readInput: (maxBytes: number) => Promise<Uint8Array>;
};

/** The terminal of this process. */
export function processTerminal(): Terminal {
  // A reader that went away (`clef list … | head -1`) is no fault of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const talkIsTerminal = process.stderr.isTTY === true;
  return {
    inputIsTerminal: process.stdin.isTTY === true,
    outputIsTerminal: process.stdout.isTTY === true,
    talkIsTerminal,
    colours: talkIsTerminal && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
    data: (data) =>
      new Promise((resolve, reject) => {
        process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
      }),
    talk: (line) => {
      process.stderr.write(`${escapeControl(line)}\n`);
    },
    readInput,
  };
}

/** The machine as the operations of core see it. */
export function processWorld(terminal: Terminal): World {
  return {
    // A copy: the variable that silences the SDK is ours, and no child's.
    environment: { ...process.env },
    cwd: process.cwd(),
    homeDirectory: process.env['HOME'] ?? homedir(),
    platform: process.platform,
    userName: loginName(),
    now: () => Date.now(),
    randomBytes: (length) => randomBytes(length),
    notify: ({ level, message }) => terminal.talk(level === 'warning' ? `warning: ${message}` : message),
    ...(terminal.inputIsTerminal && terminal.talkIsTerminal ? { askPassphrase: askHidden } : {}),
  };
}

function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a uid that has no entry in the user database.
    return 'user';
  }
}

/**
 * Asks without echo, on the terminal.
 * @throws {UsageError} when the person cancels.
 */
export async function askHidden(question: string): Promise<string> {
  const { password, isCancel } = await import('@clack/prompts');
  const answer = await password({ message: question, output: process.stderr });
  if (isCancel(answer)) throw new UsageError('Cancelled', 'run the command again');
  return answer ?? '';
}

/** Asks yes or no, on the terminal; no is the default. */
export async function askYesNo(question: string): Promise<boolean> {
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({ message: question, initialValue: false, output: process.stderr });
  return !isCancel(answer) && answer;
}

/** Resolves at the first SIGINT or SIGTERM. */
export function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

async function readInput(maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  const silence = setTimeout(() => {
    process.stdin.destroy(
      new UsageError(
        `Nothing arrived on standard input within ${silentInputSeconds} seconds`,
        'pipe the value in, or give it in another way that "clef help set" names',
      ),
    );
  }, silentInputSeconds * 1000);
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      clearTimeout(silence);
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxBytes)
        throw new UsageError(`Standard input is longer than ${maxBytes} bytes`, 'give less');
    }
  } finally {
    clearTimeout(silence);
  }
  return Buffer.concat(chunks);
}

/** For the agent, which is a process of its own wherever it runs. */
export const runningProcess: NodeJS.Process = process;
