// What work costs the processor: unlike the time on the clock it stays the same on a busy machine. For work that is slow
// only if an algorithm is wrong; a wait is bounded by the clock, far above what it takes.

/** Milliseconds of processor time that this process has used since it began. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
