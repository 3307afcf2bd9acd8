// How many connections there is room for: the system limits the descriptors of a process, and some must stay free for the
// artifact, the state directory and the KMS, whoever connects.

export type ConnectionBudget = { readonly maxConnections: number; readonly maxStreams: number };

const most: ConnectionBudget = { maxConnections: 512, maxStreams: 1_024 };
const reserved = 40;

/** @param limits - As in `/proc/self/limits`; the most there is where they say nothing. */
export function budgetFor(limits: string): ConnectionBudget {
  const soft = /^Max open files\s+([0-9]+)/m.exec(limits)?.[1];
  if (soft === undefined) return most;
  const free = Math.max(8, Number(soft) - reserved);
  const maxConnections = Math.min(most.maxConnections, Math.ceil(free * 0.6));
  return { maxConnections, maxStreams: Math.min(most.maxStreams, free - maxConnections) };
}
