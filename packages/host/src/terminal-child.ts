// A child in a pseudo-terminal of its own between it and our terminal: what it writes passes a filter. The package that
// makes one is optional; whoever has loaded it hands it in.
import { constants as access, accessSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { type ChildExit, type ChildRequest, checkStrings, runChild, spawnError } from './child.ts';
import type { OutputFilter } from './filter-output.ts';
import { forwardSignals, type SignalForwarding } from './forward-signals.ts';
import { HostError } from './host-error.ts';

/** As much as is used of `@lydell/node-pty`. */
export type PseudoTerminals = {
  readonly spawn: (
    file: string,
    args: string[],
    options: {
      name?: string;
      cols: number;
      rows: number;
      cwd: string;
      env: Record<string, string | undefined>;
      encoding: null;
    },
  ) => PseudoTerminal;
};

type PseudoTerminal = {
  readonly onData: (listener: (data: string) => void) => unknown;
  readonly onExit: (listener: (exit: { exitCode: number; signal?: number }) => void) => unknown;
  readonly write: (data: string) => void;
  readonly resize: (columns: number, rows: number) => void;
  readonly kill: (signal?: string) => void;
};

export type TerminalChildRequest = ChildRequest & {
  readonly cwd: string;
  readonly terminals: PseudoTerminals;
  /** For both output streams, which are one in a terminal. */
  readonly filter: OutputFilter;
  readonly onStart?: (child: { readonly kill: (signal: NodeJS.Signals) => void }) => void;
  readonly onSignal?: (signal: NodeJS.Signals) => void;
};

/**
 * Runs a command to its end in a terminal of its own, of the size of ours; what is typed goes to it key by key. Our standard
 * streams must be terminals.
 * Throws as `runChild` does when it cannot be started.
 */
export async function runInTerminal(request: TerminalChildRequest): Promise<ChildExit> {
  checkStrings(request);
  const file = findExecutable(request);
  const { stdin } = process;
  const forwarding = forwardSignals(request.onSignal);
  try {
    stdin.setRawMode(true);
    await leaveOutputAlone(request.environment['PATH']);
    return await runRaw(request, file, forwarding);
  } finally {
    // This also takes back what "stty" did.
    stdin.setRawMode(false).pause();
    forwarding.stop();
  }
}

/** The child's terminal has put in the carriage returns; Node's raw mode would let ours put in more. */
async function leaveOutputAlone(path: string | undefined): Promise<void> {
  try {
    await runChild({ command: 'stty', args: ['-opost'], environment: { PATH: path }, stdio: 'inherit' });
  } catch (error) {
    // Without it full-screen programs look odd, and everything else works.
    if (!(error instanceof HostError)) throw error;
  }
}

async function runRaw(
  request: TerminalChildRequest,
  file: string,
  forwarding: SignalForwarding,
): Promise<ChildExit> {
  const { stdin, stdout } = process;
  const child = request.terminals.spawn(file, [...request.args], {
    cols: stdout.columns,
    rows: stdout.rows,
    cwd: request.cwd,
    env: { ...request.environment },
    encoding: null,
  });
  const kill = (signal: NodeJS.Signals): void => child.kill(signal);
  const exited = exitOf(child, request.filter);
  forwarding.forwardTo({ kill });
  request.onStart?.({ kill });
  const type = (keys: Uint8Array): void => child.write(keys as unknown as string);
  const resize = (): void => child.resize(stdout.columns, stdout.rows);
  stdin.on('data', type).resume();
  stdout.on('resize', resize);
  try {
    return await exited;
  } finally {
    stdin.off('data', type);
    stdout.off('resize', resize);
  }
}

/** All that it writes has passed the filter when this settles. Bytes, whatever the types of the package say. */
function exitOf(child: PseudoTerminal, filter: OutputFilter): Promise<ChildExit> {
  child.onData((data) => void process.stdout.write(filter.push(data as unknown as Uint8Array)));
  return new Promise((settle) => {
    child.onExit(({ exitCode, signal }) => {
      const exit = signal === undefined || signal === 0 ? { exitCode } : { exitCode: 128 + signal };
      process.stdout.write(filter.end(), () => settle(exit));
    });
  });
}

/** The package reports no failure to start: what is wrong is found out before. */
function findExecutable(request: TerminalChildRequest): string {
  const { command, cwd, environment } = request;
  const folders = (environment['PATH'] ?? '').split(delimiter);
  const places = command.includes('/')
    ? [resolve(cwd, command)]
    : folders.map((folder) => join(folder, command));
  const found = places.find(isExecutableFile);
  if (found !== undefined) return found;
  const isThere = places.some((place) => statSync(place, { throwIfNoEntry: false }) !== undefined);
  throw spawnError(request, Object.assign(new Error(), { code: isThere ? 'EACCES' : 'ENOENT' }));
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, access.X_OK);
    return statSync(path).isFile();
  } catch {
    // Not there, or not for us: the next one may be.
    return false;
  }
}
