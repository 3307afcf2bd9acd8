// What the agent may know of the machine and the process it runs in. Tests make their own; below this nobody reads the
// environment, the clock or the source of randomness.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Kms, openKms } from '@clef/kms';

/** The machine and the process as an argument. */
export type AgentWorld = {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The options that Node itself was started with. */
  readonly nodeOptions: readonly string[];
  readonly platform: NodeJS.Platform;
  readonly processId: number;
  /** Undefined where the platform has no such thing. */
  readonly userId: number | undefined;
  /** Whether a person reads the log. */
  readonly isTerminal: boolean;
  /** Milliseconds since the epoch: for the dates of artifacts only. */
  readonly now: () => number;
  /** Milliseconds that only go forward and count the time asleep: for every duration. */
  readonly elapsed: () => number;
  /** The same without the time asleep, and so cheap that every request may ask. */
  readonly instant: () => number;
  /** Runs `task` once after a delay, unless the function that is returned is called before. */
  readonly after: (delayMilliseconds: number, task: () => void) => () => void;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Has the memory that nobody uses any more given back, and with it what once was the text of values. */
  readonly collectGarbage: () => void;
  readonly openKms: () => Kms;
  /** Standard output: `--help` and `--version` only. */
  readonly print: (text: string) => void;
  /** Standard error: the log. */
  readonly talk: (text: string) => void;
  /** How much of the log nobody has read yet. Absent where nobody counts. */
  readonly unreadLogBytes?: () => number;
  /** What the system allows the process, as in `/proc/self/limits`; empty where it does not say. */
  readonly limits: () => Promise<string>;
  /** Calls `task` on each such signal, instead of what Node would do. Returns what undoes it. */
  readonly onSignal: (signal: NodeJS.Signals, task: () => void) => () => void;
};

/** The world of a real process, which is named by the caller, as is the clock: only a `main.ts` may touch them. */
export function processWorld(running: NodeJS.Process, now: () => number): AgentWorld {
  return {
    environment: running.env,
    nodeOptions: running.execArgv,
    platform: running.platform,
    processId: running.pid,
    userId: running.getuid?.(),
    isTerminal: running.stderr.isTTY === true,
    now,
    elapsed: () => uptime() * 1_000,
    instant: () => performance.now(),
    after: (delayMilliseconds, task) => {
      const timer = setTimeout(task, delayMilliseconds);
      return () => clearTimeout(timer);
    },
    randomBytes: (length) => randomBytes(length),
    collectGarbage: garbageCollector(),
    openKms: () => openKms({ environment: running.env }),
    print: (text) => void running.stdout.write(text),
    talk: (text) => void running.stderr.write(text),
    unreadLogBytes: () => running.stderr.writableLength,
    limits: () => readFile('/proc/self/limits', 'utf8').catch(() => ''),
    onSignal: (signal, task) => {
      running.on(signal, task);
      return () => void running.off(signal, task);
    },
  };
}

/**
 * Node shows its collector only to who starts it with a flag; a context that is made after the flag was set has it too. V8
 * does not look at its old memory for long while there is much of it, and only then learns how little is in use.
 */
function garbageCollector(): () => void {
  let collect: (() => void) | undefined;
  return () => {
    if (collect === undefined) {
      setFlagsFromString('--expose-gc');
      collect = runInNewContext('gc') as () => void;
      setFlagsFromString('--no-expose-gc');
      // It collects in every pause, from which requests have to recover, and there is nothing to be gained any more.
      setFlagsFromString('--no-memory-reducer');
      keepYoungSpaceSmall();
    }
    collect();
  };
}

/** Both halves: what a request leaves behind is dead long before one of them is full. */
const youngSpaceBytes = 8 * 1024 * 1024;
const youngSpaceCheckMilliseconds = 1_000;

/**
 * V8 would let the room for new objects grow to 32 MB, which stay. It makes it small again when little happens, and must
 * then be let back to what a load needs: in 2 MB every request costs a fifth more.
 */
function keepYoungSpaceSmall(): void {
  const check = (): void => {
    const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    const mayGrow = space !== undefined && space.space_size < youngSpaceBytes;
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
  };
  check();
  setInterval(check, youngSpaceCheckMilliseconds).unref();
}
