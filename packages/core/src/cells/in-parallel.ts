// Work on many cells at once, a few at a time: enough to hide the waiting for disks and key services.

import type { World } from '../world.ts';

/** How many cells are worked on at a time. */
const atOnce = 8;

/**
 * What `work` gives for each item, in their order. Tells the world after each; the first error ends it, after those that
 * were begun.
 */
export async function inParallel<T, R>(
  world: Pick<World, 'progress'>,
  what: string,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  const total = items.length;
  const waiting = [...items.entries()].reverse();
  let done = 0;
  const takeTurns = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [index, item] = next;
      results[index] = await work(item);
      done += 1;
      world.progress?.({ what, done, total });
    }
  };
  const turns = Array.from({ length: Math.min(atOnce, total) }, takeTurns);
  const ended = await Promise.allSettled(
    turns.map((turn) => turn.catch((error: unknown) => stop(waiting, error))),
  );
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  return results;
}

function stop(waiting: unknown[], error: unknown): never {
  waiting.length = 0;
  throw error;
}
