// A short piece of work that a signal may not cut in two: Ctrl-C is kept until the work is done or has been taken back.

import { onlyCleansUp } from './private-memory.ts';

const deferred = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const patienceMilliseconds = 2000;

type Deferred = (typeof deferred)[number];

/**
 * Runs `work` and only then lets a SIGINT, SIGTERM or SIGHUP that arrived meanwhile end the process, after `beforeDeath`:
 * by that very signal, so that a shell sees 130, 143 or 129. `work` may ask whether one is waiting and stop early. The
 * second signal, or two seconds, end the process at once. A signal that somebody else listens to is left to them,
 * unless they only clean up on our way out.
 */
export async function deferSignals<T>(
  work: (isInterrupted: () => boolean) => Promise<T>,
  beforeDeath: () => Promise<void>,
): Promise<T> {
  const ours = deferred.filter((signal) => process.listeners(signal).every(onlyCleansUp));
  let waiting: Deferred | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stopListening = (): void => {
    for (const signal of ours) process.removeListener(signal, onSignal);
    clearTimeout(timer);
  };
  const die = (signal: Deferred): void => {
    stopListening();
    process.kill(process.pid, signal);
  };
  function onSignal(signal: NodeJS.Signals): void {
    if (waiting !== undefined) die(waiting);
    waiting = signal as Deferred;
    timer = setTimeout(die, patienceMilliseconds, waiting);
  }
  for (const signal of ours) process.on(signal, onSignal);
  try {
    return await work(() => waiting !== undefined);
  } finally {
    // Whatever work returned or threw: the person has asked for the end, and that is the news.
    if (waiting !== undefined) {
      await beforeDeath();
      die(waiting);
    }
    stopListening();
  }
}
