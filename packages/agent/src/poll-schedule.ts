// When the source is asked next: every so often with jitter, so that many agents spread; after a failure soon, then
// slower; never sooner than the source asked for.
import type { AgentWorld } from './world.ts';

/** A source that asks for more is asked again nevertheless. */
const maxRetryAfterSeconds = 3_600;

export class PollSchedule {
  readonly #world: Pick<AgentWorld, 'elapsed' | 'randomBytes'>;
  readonly #pollSeconds: number;
  #failures = 0;
  #nextAt = 0;

  constructor(world: Pick<AgentWorld, 'elapsed' | 'randomBytes'>, pollSeconds: number) {
    this.#world = world;
    this.#pollSeconds = pollSeconds;
  }

  get isDue(): boolean {
    return this.#world.elapsed() >= this.#nextAt;
  }

  /** Due at once. */
  hurry(): void {
    this.#nextAt = 0;
  }

  /** The source answered, whatever the answer is worth: the interval, give or take 20 %. */
  answered(): void {
    this.#failures = 0;
    this.#wait(this.#pollSeconds * (0.8 + this.#chance() * 0.4));
  }

  /** It did not: 1 s, 2 s, 4 s… with jitter, up to twice the interval, so that recovery is seen within two polls. */
  failed(notBeforeSeconds = 0): void {
    const backoff = Math.min(2 ** this.#failures, this.#pollSeconds * 2) * (0.5 + this.#chance() / 2);
    this.#failures++;
    this.#wait(Math.max(backoff, Math.min(notBeforeSeconds, maxRetryAfterSeconds)));
  }

  #wait(seconds: number): void {
    this.#nextAt = this.#world.elapsed() + seconds * 1_000;
  }

  /** From 0 to 1. */
  #chance(): number {
    const [high = 0, low = 0] = this.#world.randomBytes(2);
    return (high * 256 + low) / 65_535;
  }
}
