// Where artifacts are published: one interface, one file a kind. A write is conditional on what was read, so that of two
// packs that race one is told.
import { maxArtifactBytes } from '@clef/artifact';
import { ClefError } from '../../errors.ts';

/** What a destination holds, and by what the place tells it from any other state of it. */
export type Stored = {
  readonly bytes: Uint8Array;
  /** The ETag or generation; undefined where the place gives none. */
  readonly version: string | undefined;
};

export type Destination = {
  /** As a person named it, without what could be a credential. */
  readonly name: string;
  /** Undefined where there is nothing. Throws `io`, `bad_path`, `limit`, `destination`. */
  read(): Promise<Stored | undefined>;
  /**
   * Puts an artifact in the place of `previous`, whole or not at all.
   * @throws {ClefError} `changed_meanwhile` where the place no longer holds `previous`, and what {@link read} throws.
   */
  write(artifact: Uint8Array, previous: Stored | undefined): Promise<void>;
};

/** The most that a destination may hold: an artifact is never larger. */
export const maxStoredBytes = maxArtifactBytes;

/** The error of a write that came after another's. */
export function writtenMeanwhile(name: string): ClefError {
  return new ClefError({
    code: 'changed_meanwhile',
    message: `Cannot publish to "${name}": another pack wrote it meanwhile`,
    hint: 'run the command again',
  });
}

/** The error of a place that cannot be reached or says no. `why` is our own text. */
export function unusableDestination(name: string, why: string, hint: string, cause?: unknown): ClefError {
  return new ClefError({
    code: 'destination',
    message: `Cannot publish to "${name}": ${why}`,
    hint,
    ...(cause !== undefined && { cause }),
  });
}
