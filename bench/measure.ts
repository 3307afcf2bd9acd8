// Times whole processes fairly: the contestants take turns, so that a machine whose speed drifts slows all of them alike.
import { fileURLToPath } from 'node:url';
import { runChild } from '@clef/host';

export type Contestant = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly input?: Uint8Array;
};

/**
 * Milliseconds per run of each contestant, in the order of the rounds.
 * @param contestantsOf - Who runs in a round: asked each time, so that every round can store another value. Round -1 fills
 * caches and is not counted.
 */
export async function race(
  contestantsOf: (round: number) => readonly Contestant[],
  rounds: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const times = new Map<string, number[]>();
  for (let round = -1; round < rounds; round += 1) {
    for (const contestant of contestantsOf(round)) {
      const milliseconds = await timeOnce(contestant);
      if (round >= 0) times.set(contestant.name, [...(times.get(contestant.name) ?? []), milliseconds]);
    }
  }
  return times;
}

const reporter = fileURLToPath(new URL('report-processor-time.cjs', import.meta.url));

/**
 * The least milliseconds of processor time that each contestant, a program of Node's, takes in any of the rounds until it
 * exits, by its own account; what its children take is not counted. Other work on the machine can only add to it.
 */
export async function raceProcessors(
  contestants: readonly Contestant[],
  rounds: number,
): Promise<ReadonlyMap<string, number>> {
  const least = new Map<string, number>();
  for (let round = -1; round < rounds; round += 1) {
    for (const contestant of contestants) {
      const milliseconds = await processorTimeOnce(contestant);
      if (round >= 0)
        least.set(
          contestant.name,
          Math.min(milliseconds, least.get(contestant.name) ?? Number.POSITIVE_INFINITY),
        );
    }
  }
  return least;
}

async function processorTimeOnce({ name, environment, ...request }: Contestant): Promise<number> {
  const { exitCode, stderr } = await runChild({
    ...request,
    environment: { ...environment, NODE_OPTIONS: `--require=${reporter}` },
    stdio: 'capture',
  });
  const microseconds = /^processor time (\d+)$/m.exec(new TextDecoder().decode(stderr))?.[1];
  if (exitCode !== 0 || microseconds === undefined) throw new Error(`${name} ended with ${exitCode}`);
  return Number(microseconds) / 1000;
}

async function timeOnce({ name, input, ...request }: Contestant): Promise<number> {
  const start = performance.now();
  const { exitCode, stderr } = await runChild({ ...request, stdio: 'capture', ...(input && { input }) });
  const milliseconds = performance.now() - start;
  if (exitCode !== 0)
    throw new Error(`${name} ended with ${exitCode}: ${new TextDecoder().decode(stderr).slice(0, 400)}`);
  return milliseconds;
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** The median of what one contestant takes beyond another, round by round. */
export function medianOver(values: readonly number[], base: readonly number[]): number {
  return median(values.map((value, round) => value - (base[round] as number)));
}

/** The median of one contestant's time as a part of another's, round by round. */
export function medianRatio(values: readonly number[], base: readonly number[]): number {
  return median(values.map((value, round) => value / (base[round] as number)));
}
