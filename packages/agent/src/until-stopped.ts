// The signals that end the agent.
import type { AgentWorld } from './world.ts';

/** `signal` resolves at the first of them; `forget` gives them back to Node. */
export function untilStopped(world: AgentWorld): { readonly signal: Promise<void>; forget(): void } {
  let stop: () => void = () => undefined;
  const signal = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const undo = (['SIGTERM', 'SIGINT', 'SIGHUP'] as const).map((name) => world.onSignal(name, () => stop()));
  return { signal, forget: () => undo.forEach((forget) => void forget()) };
}
