// The values of a revision for those who hand them on within this process. They are read from the bytes that are served, so
// that there is one truth.
import type { Revision } from './current-secrets.ts';

/** Names and values in the order of the artifact. */
export function valuesOf(revision: Revision): ReadonlyMap<string, string> {
  const { body } = revision.replies.get('/v1/secrets') ?? {};
  const values = JSON.parse(new TextDecoder().decode(body as Uint8Array)) as Record<string, string>;
  return new Map(Object.entries(values));
}

export function haveSameValues(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
