// Signals that have a meaning for the program we started rather than for us: passed on to it while it runs.
import { readFileSync } from 'node:fs';

/** What gets the signals: a child process. */
export type SignalReceiver = { readonly kill: (signal: NodeJS.Signals) => unknown };

export type SignalForwarding = {
  /** From now on signals go to this child; those that came before it are sent at once. */
  readonly forwardTo: (child: SignalReceiver) => void;
  /** Gives the signals back their usual meaning. */
  readonly stop: () => void;
};

const forwardedSignals = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
] as const;
const sentByTerminals: ReadonlySet<NodeJS.Signals> = new Set<NodeJS.Signals>([
  'SIGINT',
  'SIGQUIT',
  'SIGWINCH',
  'SIGTSTP',
]);

/**
 * Keeps our process alive through the signals and passes them on. What Node cannot do: it does not tell who sent a
 * signal. A terminal sends Ctrl-C, Ctrl-\, Ctrl-Z and a change of its size to the whole foreground group, our child
 * included, so while we are in the foreground these are not sent a second time (a `kill -INT` aimed at us alone is then
 * not passed on; SIGTERM is). SIGKILL and SIGSTOP cannot be forwarded by anybody.
 * Listening to SIGUSR1 also keeps Node from opening its debugger. `onSignal` is told of each signal first.
 */
export function forwardSignals(onSignal?: (signal: NodeJS.Signals) => void): SignalForwarding {
  let child: SignalReceiver | undefined;
  const early: NodeJS.Signals[] = [];
  const pass = (signal: NodeJS.Signals): void => {
    onSignal?.(signal);
    if (sentByTerminals.has(signal) && isForeground()) return;
    if (child === undefined) early.push(signal);
    else child.kill(signal);
  };
  /** The child stops, then we do, so that a shell sees its job stopped; in a group without a shell nobody would wake us. */
  const suspend = (): void => {
    pass('SIGTSTP');
    process.off('SIGTSTP', suspend);
    // It stops us before it returns: the system takes a signal to oneself on the way out of the call. Then SIGCONT is passed on.
    process.kill(process.pid, 'SIGTSTP');
    process.on('SIGTSTP', suspend);
  };
  for (const signal of forwardedSignals) process.on(signal, pass);
  process.on('SIGTSTP', suspend);
  return {
    forwardTo(started) {
      child = started;
      for (const signal of early) started.kill(signal);
    },
    stop() {
      for (const signal of forwardedSignals) process.off(signal, pass);
      process.off('SIGTSTP', suspend);
    },
  };
}

function isForeground(): boolean {
  if (process.platform !== 'linux') return process.stdin.isTTY || process.stderr.isTTY;
  try {
    // After the command's name, which may hold anything but ends with the last ")": state ppid pgrp session tty tpgid
    const fields = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    return fields[5] !== '-1' && fields[2] === fields[5];
  } catch {
    return process.stdin.isTTY || process.stderr.isTTY;
  }
}
