// Whether two values are the same, in a time that says nothing of them: digests under a random salt are compared.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { World } from '../world.ts';

/** The digest of a value; of use only for {@link isSameDigest} with one of the same salt. */
export type ValueDigest = Uint8Array;

/** A function that makes digests under a salt that nobody knows. */
export function valueDigests({
  randomBytes,
}: Pick<World, 'randomBytes'>): (value: string | Uint8Array) => ValueDigest {
  const salt = randomBytes(32);
  return (value) => createHash('sha256').update(salt).update(value).digest();
}

export function isSameDigest(a: ValueDigest, b: ValueDigest): boolean {
  return timingSafeEqual(a, b);
}
