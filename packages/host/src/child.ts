// The only place that starts a process: no shell, arguments as given, the environment exactly as given.
import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { constants } from 'node:os';
import { type OutputFilter, pipeThrough } from './filter-output.ts';
import { forwardSignals } from './forward-signals.ts';
import { errnoOf, HostError, quote } from './host-error.ts';

export type ChildRequest = {
  /** A path, or a name that is looked up in the PATH of `environment`. */
  readonly command: string;
  readonly args: readonly string[];
  /** The child's whole environment: nothing of ours is added. Names are judged by the caller (`checkEnvironmentName`). */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
};

export type ChildExit = {
  /** The child's own code, or 128 + N when signal N ended it. */
  readonly exitCode: number;
  readonly signal?: NodeJS.Signals;
};

export type ChildResult = ChildExit & { readonly stdout: Uint8Array; readonly stderr: Uint8Array };

export type ChildHandle = {
  readonly pid: number;
  /** Settles when the child is gone and its output is closed (a grandchild may keep that open). Never rejects. */
  readonly exited: Promise<ChildExit>;
  kill(signal: NodeJS.Signals): void;
  /** The first line of either stream, past or future, that matches. Throws `timeout`, or `io` when the child ends first. */
  waitForLine(pattern: RegExp, timeoutSeconds: number): Promise<string>;
  /** What has been captured so far. */
  stdout(): Uint8Array;
  stderr(): Uint8Array;
};

/** Linux refuses longer single strings with E2BIG (MAX_ARG_STRLEN: 32 pages, the closing NUL included). */
const longestStringBytes = 131_071;

/**
 * Runs a command to its end. `inherit` gives it our own streams; `capture` collects stdout and stderr up to
 * `maxOutputBytes` together (default 16 MiB). `input` becomes its stdin, which is otherwise ours or, when capturing,
 * empty. `filters` (with `inherit`) stand between its output and our streams: they are pipes to it, and its end is then
 * the end of its output. With `forwardSignals`, signals that we get until it ends are passed on to it; `onStart` gets
 * the running child, `onSignal` each signal.
 *
 * Throws `command_not_found` (the exit code of `env` for it is 127), `command_not_executable` (126), `not_found` when
 * `cwd` is missing, `argument_too_large` (names the variable), `invalid_argument` (a NUL, or a variable name with "="),
 * `too_large` (more output) and `timeout`; in the last two cases the child was killed.
 */
export async function runChild(
  request: ChildRequest & {
    readonly stdio: 'inherit' | 'capture';
    readonly input?: Uint8Array;
    readonly maxOutputBytes?: number;
    readonly timeoutSeconds?: number;
    readonly forwardSignals?: boolean;
    readonly filters?: { readonly stdout: OutputFilter; readonly stderr: OutputFilter };
    readonly onStart?: (child: { readonly kill: (signal: NodeJS.Signals) => void }) => void;
    readonly onSignal?: (signal: NodeJS.Signals) => void;
  },
): Promise<ChildResult> {
  const forwarding = request.forwardSignals === true ? forwardSignals(request.onSignal) : undefined;
  try {
    const { filters, stdio } = request;
    const child = await spawnChild(request, filters === undefined ? stdio : 'filter', request.input);
    forwarding?.forwardTo(child);
    request.onStart?.({ kill: (signal) => void child.kill(signal) });
    if (filters === undefined) return await watch(child, request);
    return await watchFiltered(child, filters);
  } finally {
    forwarding?.stop();
  }
}

async function watchFiltered(
  child: ChildProcess,
  filters: { readonly stdout: OutputFilter; readonly stderr: OutputFilter },
): Promise<ChildResult> {
  const nothing = new Uint8Array(0);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('a filtered child has pipes');
  const exit = exitOf(child);
  await Promise.all([
    pipeThrough(stdout, filters.stdout, process.stdout),
    pipeThrough(stderr, filters.stderr, process.stderr),
  ]);
  return { ...(await exit), stdout: nothing, stderr: nothing };
}

async function watch(
  child: ChildProcess,
  request: ChildRequest & { readonly maxOutputBytes?: number; readonly timeoutSeconds?: number },
): Promise<ChildResult> {
  const maxOutputBytes = request.maxOutputBytes ?? 16 * 1024 * 1024;
  let failure: HostError | undefined;
  const abort = (code: 'timeout' | 'too_large', reason: string): void => {
    failure ??= new HostError(code, `${quote(request.command)} ${reason}`, { path: request.command });
    child.kill('SIGKILL');
    // A grandchild may hold the other end open; we wait no longer.
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const output = collect(child, maxOutputBytes, () =>
    abort('too_large', `wrote more than ${maxOutputBytes} bytes`),
  );
  const seconds = request.timeoutSeconds;
  const timer =
    seconds === undefined
      ? undefined
      : setTimeout(() => abort('timeout', `took longer than ${seconds} s`), seconds * 1000);
  const exit = await exitOf(child);
  clearTimeout(timer);
  if (failure !== undefined) throw failure;
  return { ...exit, stdout: output.stdout(), stderr: output.stderr() };
}

/**
 * Starts a command that keeps running, with an empty stdin. Its output is captured up to `maxOutputBytes` (default
 * 16 MiB; what comes later is dropped) and passed to `onLine` line by line.
 * Throws as {@link runChild} does when it cannot be started.
 */
export async function startChild(
  request: ChildRequest & {
    readonly maxOutputBytes?: number;
    readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  },
): Promise<ChildHandle> {
  const child = await spawnChild(request, 'capture', undefined);
  const output = collect(child, request.maxOutputBytes ?? 16 * 1024 * 1024);
  const lines = followLines(child, request.onLine);
  const exited = exitOf(child);
  return {
    pid: child.pid ?? 0,
    exited,
    kill: (signal) => void child.kill(signal),
    waitForLine: (pattern, timeoutSeconds) => lines.wait(pattern, timeoutSeconds, exited, request.command),
    stdout: output.stdout,
    stderr: output.stderr,
  };
}

/** A child that one talks with: what it writes is read line by line, as it is asked for. */
export type ChildConversation = {
  readonly exited: Promise<ChildExit>;
  /** The next line of its stdout without its end; undefined when there is no more. One question at a time. */
  readLine(): Promise<string | undefined>;
  /** Silently does nothing when the child no longer reads: its exit code tells. */
  write(bytes: Uint8Array): void;
  /** Closes its stdin. */
  endInput(): void;
  kill(signal: NodeJS.Signals): void;
};

/**
 * Starts a command to talk with over its stdin and stdout; its stderr is ours. `maxOutputBytes` (default 16 MiB) limits
 * all that it writes, `timeoutSeconds` (default 300) how long it runs: then it is killed, and `readLine` throws `too_large` or `timeout`.
 * Throws as {@link runChild} does when it cannot be started.
 */
export async function openChild(
  request: ChildRequest & { readonly maxOutputBytes?: number; readonly timeoutSeconds?: number },
): Promise<ChildConversation> {
  const child = await spawnChild(request, 'converse', undefined);
  const lines = readLines(child, request);
  return {
    exited: exitOf(child),
    readLine: lines.next,
    write: (bytes) => void (child.stdin?.writable === true && child.stdin.write(bytes)),
    endInput: () => void child.stdin?.end(),
    kill: (signal) => void child.kill(signal),
  };
}

function readLines(
  child: ChildProcess,
  request: ChildRequest & { readonly maxOutputBytes?: number; readonly timeoutSeconds?: number },
): { next: () => Promise<string | undefined> } {
  const { maxOutputBytes = 16 * 1024 * 1024, timeoutSeconds = 300 } = request;
  const lines: string[] = [];
  let failure: HostError | undefined;
  let isOver = false;
  let wake = (): void => undefined;
  const end = (): void => {
    isOver = true;
    wake();
  };
  const fail = (code: 'timeout' | 'too_large', reason: string): void => {
    failure ??= new HostError(code, `${quote(request.command)} ${reason}`, { path: request.command });
    child.kill('SIGKILL');
    child.stdout?.destroy();
    end();
  };
  const timer = setTimeout(
    () => fail('timeout', `took longer than ${timeoutSeconds} s`),
    timeoutSeconds * 1000,
  );
  child.once('close', () => {
    clearTimeout(timer);
    end();
  });
  let length = 0;
  child.stdout?.on('data', (chunk: Uint8Array) => {
    length += chunk.length;
    if (length > maxOutputBytes) fail('too_large', `wrote more than ${maxOutputBytes} bytes`);
  });
  splitLines(child.stdout, (line) => {
    lines.push(line);
    wake();
  });
  const next = async (): Promise<string | undefined> => {
    while (lines.length === 0 && !isOver) {
      await new Promise<void>((settle) => {
        wake = settle;
      });
    }
    if (failure !== undefined) throw failure;
    return lines.shift();
  };
  return { next };
}

function spawnChild(
  request: ChildRequest,
  stdio: 'inherit' | 'capture' | 'converse' | 'filter',
  input: Uint8Array | undefined,
): Promise<ChildProcess> {
  checkStrings(request);
  const hasInput = input !== undefined || stdio === 'converse';
  const stdin = hasInput ? 'pipe' : stdio === 'capture' ? 'ignore' : 'inherit';
  const output = stdio === 'inherit' ? 'inherit' : 'pipe';
  const errors = stdio === 'capture' || stdio === 'filter' ? 'pipe' : 'inherit';
  return new Promise((settle, fail) => {
    const child = spawnOrFail(request, [stdin, output, errors]);
    child.once('error', (cause) => fail(spawnError(request, cause)));
    child.once('spawn', () => settle(child));
    // EPIPE: the child may end without reading its input; its exit code tells the rest.
    child.stdin?.on('error', () => child.stdin?.destroy());
    if (stdio !== 'converse') child.stdin?.end(input);
  });
}

/** Node reports some failures by an event and some (E2BIG, ELOOP, ENOTDIR) by throwing. */
function spawnOrFail(request: ChildRequest, stdio: Array<'pipe' | 'inherit' | 'ignore'>): ChildProcess {
  try {
    return spawn(request.command, [...request.args], {
      env: ownEntriesOnly(request.environment),
      ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
      shell: false,
      windowsHide: true,
      stdio,
    });
  } catch (cause) {
    throw spawnError(request, cause);
  }
}

/** Node's spawn also copies inherited properties, and `__proto__` is a legal name of a variable. */
function ownEntriesOnly(environment: ChildRequest['environment']): NodeJS.ProcessEnv {
  const copy: NodeJS.ProcessEnv = Object.create(null);
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) copy[name] = value;
  return copy;
}

/** Node's own check would quote the offending value in its message; a value may be a secret. */
export function checkStrings(request: ChildRequest): void {
  if (request.command === '') throw invalid(request, 'the command is empty');
  for (const argument of [request.command, ...request.args]) {
    if (argument.includes('\0')) throw invalid(request, 'an argument holds a NUL character');
    if (isTooLong(argument)) throw tooLong(request, 'an argument');
  }
  for (const [name, value] of Object.entries(request.environment)) {
    if (value === undefined) continue;
    if (name === '' || /[=\0]/.test(name))
      throw invalid(request, 'the name of a variable is empty or holds "=" or NUL');
    if (value.includes('\0')) throw invalid(request, `the variable ${quote(name)} holds a NUL character`);
    if (isTooLong(`${name}=${value}`)) throw tooLong(request, `the variable ${quote(name)}`);
  }
}

function isTooLong(text: string): boolean {
  return (
    process.platform === 'linux' &&
    text.length * 3 > longestStringBytes &&
    Buffer.byteLength(text) > longestStringBytes
  );
}

function invalid(request: ChildRequest, reason: string): HostError {
  return new HostError('invalid_argument', `Cannot start ${quote(request.command)}: ${reason}`, {
    path: request.command,
  });
}

function tooLong(request: ChildRequest, what: string): HostError {
  const reason = `${what} is longer than the ${longestStringBytes} bytes that Linux passes on`;
  return new HostError('argument_too_large', `Cannot start ${quote(request.command)}: ${reason}`, {
    path: request.command,
  });
}

/** Why it could not be started, from the error of the system. */
export function spawnError(request: ChildRequest, cause: unknown): HostError {
  const path = request.command;
  const errno = errnoOf(cause);
  const because = (code: ConstructorParameters<typeof HostError>[0], reason: string): HostError =>
    new HostError(code, `Cannot start ${quote(path)}: ${reason}`, { path, cause: new Error(errno) });
  if (request.cwd !== undefined && statSync(request.cwd, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return because('not_found', `the directory ${quote(request.cwd)} does not exist`);
  }
  switch (errno) {
    case 'ENOENT':
    case 'ENOTDIR':
      return because('command_not_found', 'there is no such command');
    case 'EACCES':
    case 'EPERM':
    case 'ENOEXEC':
    case 'EISDIR':
    case 'ELOOP':
      return because('command_not_executable', 'it is not an executable file');
    case 'E2BIG':
      return because(
        'argument_too_large',
        'the arguments and variables together are larger than the system passes on',
      );
    default:
      return because('io', `the system reports ${errno}`);
  }
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((settle) => {
    const finish = (code: number | null, signal: NodeJS.Signals | null): void =>
      settle(
        signal === null ? { exitCode: code ?? 0 } : { exitCode: 128 + constants.signals[signal], signal },
      );
    // "close" waits for the end of the output as well; with inherited streams both come together.
    if (child.exitCode !== null || child.signalCode !== null) finish(child.exitCode, child.signalCode);
    else child.once('close', finish);
  });
}

function collect(child: ChildProcess, maxBytes: number, onExcess?: () => void) {
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  let length = 0;
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.on('data', (chunk: Uint8Array) => {
      length += chunk.length;
      if (length <= maxBytes) chunks[name].push(chunk);
      else onExcess?.();
    });
  }
  const joined = (list: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(list));
  return { stdout: () => joined(chunks.stdout), stderr: () => joined(chunks.stderr) };
}

type LineWaiter = { readonly pattern: RegExp; readonly settle: (line: string) => void };

function followLines(child: ChildProcess, onLine?: (line: string, stream: 'stdout' | 'stderr') => void) {
  const seen: string[] = [];
  const waiters = new Set<LineWaiter>();
  const take = (line: string, stream: 'stdout' | 'stderr'): void => {
    seen.push(line);
    onLine?.(line, stream);
    for (const waiter of waiters) if (waiter.pattern.test(line)) waiter.settle(line);
  };
  for (const name of ['stdout', 'stderr'] as const) splitLines(child[name], (line) => take(line, name));

  const wait = (
    pattern: RegExp,
    timeoutSeconds: number,
    exited: Promise<ChildExit>,
    command: string,
  ): Promise<string> => {
    const already = seen.find((line) => pattern.test(line));
    if (already !== undefined) return Promise.resolve(already);
    return new Promise((settle, fail) => {
      const waiter: LineWaiter = { pattern, settle: (line) => finish(() => settle(line)) };
      const giveUp = (code: 'timeout' | 'io', reason: string): void =>
        finish(() =>
          fail(
            new HostError(code, `${quote(command)} ${reason} before a line like ${pattern}`, {
              path: command,
            }),
          ),
        );
      const timer = setTimeout(() => giveUp('timeout', `ran ${timeoutSeconds} s`), timeoutSeconds * 1000);
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        waiters.delete(waiter);
        act();
      };
      waiters.add(waiter);
      void exited.then((exit) => giveUp('io', `ended with ${exit.exitCode}`));
    });
  };
  return { wait };
}

function splitLines(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = '';
  const decoder = new TextDecoder();
  stream?.on('data', (chunk: Uint8Array) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
  stream?.on('end', () => {
    if (rest !== '') take(rest);
  });
}
