// The values that are served now, as the very bytes that go out: made once per revision, filled with zeros when they
// are replaced. What a request does is look one of them up.
import { createHash, randomBytes } from 'node:crypto';
import { prepareReply, type Reply } from '@clef/loopback';

/** Why nothing is served. */
export type Absence = 'not_loaded' | 'expired' | 'revoked' | 'stale' | 'denied';

/** What one accepted artifact becomes. */
export type Revision = {
  readonly revision: number;
  /** Hex SHA-256 of the verified payload. */
  readonly payloadDigest: string;
  /** Milliseconds since the epoch; nothing is served from then on. */
  readonly expiresAt: number;
  /** In the order of the artifact. */
  readonly keys: readonly string[];
  /** By path, for example `/v1/secrets/DB_URL`. */
  readonly replies: ReadonlyMap<string, Reply>;
  readonly etag: string;
  /** The answer to who has this revision already. */
  readonly unchanged: Reply;
};

/** What those who watch are told: names, never values. */
export type Change =
  | { readonly kind: 'revision'; readonly revision: number; readonly changed: readonly string[] }
  | { readonly kind: 'absence'; readonly absence: Absence };

/**
 * Renders every answer of a revision. Strings that pass through here cannot be wiped: only the bytes that are kept can.
 */
export function renderRevision(
  facts: Pick<Revision, 'revision' | 'payloadDigest' | 'expiresAt'>,
  secrets: ReadonlyMap<string, string>,
): Revision {
  const etag = `"${facts.payloadDigest.slice(0, 32)}"`;
  const headers = { 'Content-Type': 'application/json', 'Clef-Revision': String(facts.revision), ETag: etag };
  const reply = (json: string): Reply => prepareReply({ status: 200, headers, body: encoder.encode(json) });
  const pairs = [...secrets].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const replies = new Map([
    ['/v1/secrets', reply(`{${pairs.join(',')}}`)],
    ['/v1/keys', reply(JSON.stringify([...secrets.keys()]))],
  ]);
  for (const [key, value] of secrets)
    replies.set(`/v1/secrets/${key}`, reply(`{"value":${JSON.stringify(value)}}`));
  return {
    ...facts,
    keys: [...secrets.keys()],
    replies,
    etag,
    unchanged: prepareReply({
      status: 304,
      headers: { ETag: etag, 'Clef-Revision': String(facts.revision) },
    }),
  };
}

const encoder = new TextEncoder();

/** Fills every byte of a revision with zeros. Nobody may still be sending it. */
export function wipeRevision(revision: Revision): void {
  for (const { body } of revision.replies.values()) if (body instanceof Uint8Array) body.fill(0);
}

/** How long a replaced revision's bytes are kept for answers that are still being sent; the server cuts those before. */
export const sendingMilliseconds = 15_000;

/** Holds the revision that is served, or why there is none. Replacing it is one assignment: no answer mixes two. */
export class CurrentSecrets {
  #revision: Revision | undefined;
  #absence: Absence = 'not_loaded';
  readonly #now: () => number;
  readonly #after: (delayMilliseconds: number, task: () => void) => () => void;
  readonly #fading = new Map<Revision, () => void>();
  readonly #listeners = new Set<(change: Change) => void>();
  /** Of the last revision, by key: they tell what changed also after its values were wiped, and nobody else anything. */
  #fingerprints: ReadonlyMap<string, string> = new Map();
  readonly #salt = randomBytes(32);

  constructor(world: {
    readonly now: () => number;
    readonly after: (delayMilliseconds: number, task: () => void) => () => void;
  }) {
    this.#now = world.now;
    this.#after = world.after;
  }

  /** What may be served at this moment. */
  get revision(): Revision | undefined {
    const revision = this.#revision;
    if (revision === undefined || this.#now() < revision.expiresAt) return revision;
    this.withdraw('expired');
    return undefined;
  }

  /** Why there is no revision; of no meaning while there is one. */
  get absence(): Absence {
    return this.#absence;
  }

  swap(next: Revision): void {
    const previous = this.#revision;
    const before = this.#fingerprints;
    this.#revision = next;
    this.#fingerprints = this.#fingerprintsOf(next);
    if (previous !== undefined) this.#fade(previous);
    this.#tell({
      kind: 'revision',
      revision: next.revision,
      changed: differences(before, this.#fingerprints),
    });
  }

  withdraw(absence: Absence): void {
    const previous = this.#revision;
    const isNew = previous !== undefined || this.#absence !== absence;
    this.#absence = absence;
    this.#revision = undefined;
    if (previous !== undefined) this.#fade(previous);
    if (isNew) this.#tell({ kind: 'absence', absence });
  }

  /** Calls `listener` after every change, in order. Returns what ends that. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Wipes everything at once; for the end, when no answer is being sent any more. */
  wipe(): void {
    this.withdraw('not_loaded');
    for (const [revision, cancel] of this.#fading) {
      cancel();
      wipeRevision(revision);
    }
    this.#fading.clear();
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }

  #fingerprintsOf({ keys, replies }: Revision): ReadonlyMap<string, string> {
    const fingerprint = (key: string): string =>
      createHash('sha256')
        .update(this.#salt)
        .update((replies.get(`/v1/secrets/${key}`)?.body as Uint8Array | undefined) ?? new Uint8Array())
        .digest('base64');
    return new Map(keys.map((key) => [key, fingerprint(key)]));
  }

  #fade(revision: Revision): void {
    const cancel = this.#after(sendingMilliseconds, () => {
      this.#fading.delete(revision);
      wipeRevision(revision);
    });
    this.#fading.set(revision, cancel);
  }
}

/** The names that are new, gone, or of another value; sorted. */
function differences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name)).sort();
}
