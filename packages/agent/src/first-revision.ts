// Waiting for the first good artifact, for the modes that have nothing to do without one.
import type { Revision } from './current-secrets.ts';
import type { Following } from './follow-artifact.ts';
import type { AgentWorld } from './world.ts';

/** The first revision; or the reason why there was none in time, or that we were told to stop. */
export async function firstRevision(
  { current, refresh }: Following,
  world: Pick<AgentWorld, 'after'>,
  waitSeconds: number,
  stopped: Promise<void>,
): Promise<Revision | { readonly reason: string } | 'stopped'> {
  let cancel = (): void => undefined;
  let forget = (): void => undefined;
  const isOver = new Promise<'over'>((resolve) => {
    cancel = world.after(waitSeconds * 1_000, () => resolve('over'));
  });
  const isThere = new Promise<'there'>((resolve) => {
    if (current.revision !== undefined) resolve('there');
    forget = current.onChange(({ kind }) => {
      if (kind === 'revision') resolve('there');
    });
  });
  const outcome = await Promise.race([isOver, isThere, stopped.then(() => 'stopped' as const)]);
  cancel();
  forget();
  if (outcome === 'stopped') return 'stopped';
  const { absence, problem } = refresh.status();
  return current.revision ?? { reason: problem ?? absence ?? 'not_loaded' };
}
