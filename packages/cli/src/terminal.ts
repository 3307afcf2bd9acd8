// The process's streams as a value: data goes to stdout, talk to stderr. With main.ts the only file that touches `process`.

import { randomBytes } from 'node:crypto';
import { homedir, userInfo } from 'node:os';
import { isatty } from 'node:tty';
import { ClefError, type Progress, type World } from '@clef/core';
import { escapeControl } from '@clef/strict';
import { progressBar } from './progress-bar.ts';
import { readInput } from './read-input.ts';
import { CancelledError } from './usage-error.ts';

const silentSeconds = 30;
const typingSeconds = 3600;
/** 128 + SIGPIPE. */
const exitOfBrokenPipe = 141;

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
  /** How far long work has come; shown on a terminal only. */
  readonly progress: (progress: Progress) => void;
  /** All of standard input; more than `maxBytes` where there is more. A usage error when nothing arrives for 30 s. */
  readonly readInput: (maxBytes: number) => Promise<Uint8Array>;
};

/** The terminal of this process. */
export function processTerminal(): Terminal {
  // A reader that went away (`clef list … | head -1`) ends us as it ends other programs, without a word. Anything else
  // that goes wrong is told by the write itself.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitOfBrokenPipe);
  });
  // Nobody reads what we would say of it.
  process.stderr.on('error', () => undefined);
  const talkIsTerminal = process.stderr.isTTY === true;
  // Asked of the system: Node opens a standard stream when it is named, and few commands read.
  const inputIsTerminal = isatty(0);
  const bar = progressBar(
    (text) => process.stderr.write(text),
    () => performance.now(),
  );
  return {
    inputIsTerminal,
    outputIsTerminal: process.stdout.isTTY === true,
    talkIsTerminal,
    colours: talkIsTerminal && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
    data: (data) =>
      new Promise<void>((resolve, reject) => {
        bar.clear();
        process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
      }).catch((error: NodeJS.ErrnoException) => {
        throw unwritable(error);
      }),
    progress: (progress) => {
      if (talkIsTerminal) bar.show(progress);
    },
    talk: (line) => {
      bar.clear();
      process.stderr.write(`${escapeControl(line)}\n`);
    },
    // Somebody who types may think for longer than a program.
    readInput: (maxBytes) =>
      readInput(process.stdin, {
        maxBytes,
        silentSeconds: inputIsTerminal ? typingSeconds : silentSeconds,
      }),
  };
}

function unwritable(error: NodeJS.ErrnoException): unknown {
  if (error.code === undefined || error.syscall === undefined) return error;
  return new ClefError({
    code: 'io',
    message: `Cannot write to standard output: the system reports ${error.code}`,
    hint: 'check where the output is redirected to',
  });
}

/** The machine as the operations of core see it. */
export function processWorld(terminal: Terminal): World {
  return {
    // A copy: the variable that silences the SDK is ours, and no child's.
    environment: { ...process.env },
    cwd: currentFolder(),
    homeDirectory: process.env['HOME'] ?? homedir(),
    platform: process.platform,
    userName: loginName(),
    now: () => Date.now(),
    randomBytes: (length) => randomBytes(length),
    progress: terminal.progress,
    notify: ({ level, message }) => terminal.talk(level === 'warning' ? `warning: ${message}` : message),
    ...(terminal.inputIsTerminal && terminal.talkIsTerminal ? { askPassphrase: askHidden } : {}),
  };
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch (error) {
    throw new ClefError({
      code: 'io',
      message: 'The current folder does not exist any more',
      hint: 'change to a folder that does',
      cause: error,
    });
  }
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
 * @throws {CancelledError} when the person cancels.
 */
export async function askHidden(question: string): Promise<string> {
  const { password, isCancel } = await import('@clack/prompts');
  const answer = await password({ message: question, output: questionOutput() });
  if (isCancel(answer)) throw new CancelledError();
  return answer ?? '';
}

/** A terminal that does not know its width says 0, as a container's may: questions would have one character on a line. */
function questionOutput(): NodeJS.WriteStream {
  if (!(process.stderr.columns > 0)) process.stderr.columns = 80;
  return process.stderr;
}

/**
 * Asks yes or no, on the terminal; no is the default.
 * @throws {CancelledError} when the person cancels.
 */
export async function askYesNo(question: string): Promise<boolean> {
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({ message: question, initialValue: false, output: questionOutput() });
  if (isCancel(answer)) throw new CancelledError();
  return answer;
}

/** Resolves at the first SIGINT or SIGTERM. */
export function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

/** For the agent, which is a process of its own wherever it runs. */
export const runningProcess: NodeJS.Process = process;
