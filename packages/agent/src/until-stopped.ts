// The signals that end the agent.
import type { AgentWorld } from './world.ts';

export type Stopped = {
  /** Resolves at the first of the signals. */
  readonly signal: Promise<void>;
  isStopped(): boolean;
  /** Gives them back to Node. */
  forget(): void;
};

export function untilStopped(
  world: Pick<AgentWorld, 'onSignal'>,
  names: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'],
): Stopped {
  let isStopped = false;
  let resolveSignal: () => void = () => undefined;
  const signal = new Promise<void>((resolve) => {
    resolveSignal = resolve;
  });
  const stop = (): void => {
    isStopped = true;
    resolveSignal();
  };
  const undo = names.map((name) => world.onSignal(name, stop));
  return { signal, isStopped: () => isStopped, forget: () => undo.forEach((forget) => void forget()) };
}
