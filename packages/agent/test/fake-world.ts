// A clock that moves only when a test says so, a source and a judge that do what they are told, and a log to look into.
import { createHash } from 'node:crypto';
import { CurrentSecrets } from '../src/current-secrets.ts';
import { type Judge, type Judged, Refusal } from '../src/judge.ts';
import { createLog } from '../src/log.ts';
import { Refresh, type RefreshOptions } from '../src/refresh.ts';
import { type SealedCache, volatileCache } from '../src/sealed-cache.ts';
import { type Fetched, type Source, SourceError, type Validator } from '../src/sources/source.ts';

export const seconds = (count: number): number => count * 1_000;
export const hours = (count: number): number => count * 3_600_000;

export type FakeClock = {
  now(): number;
  elapsed(): number;
  after(delay: number, task: () => void): () => void;
  /** Moves both clocks and runs what falls due, letting everything settle after each step. */
  pass(milliseconds: number, settle: () => Promise<void>): Promise<void>;
  /** Steps the wall clock only. */
  step(milliseconds: number): void;
  /** Both clocks move, and no timer notices. */
  sleep(milliseconds: number): void;
  pending(): number;
};

export function fakeClock(start = Date.UTC(2026, 0, 31)): FakeClock {
  let wall = start;
  let elapsed = 1_000_000;
  let tasks: { at: number; task: () => void }[] = [];
  return {
    now: () => wall,
    elapsed: () => elapsed,
    after: (delay, task) => {
      const entry = { at: elapsed + delay, task };
      tasks.push(entry);
      return () => {
        tasks = tasks.filter((other) => other !== entry);
      };
    },
    pass: async (milliseconds, settle) => {
      const end = elapsed + milliseconds;
      for (;;) {
        const next = tasks.reduce<{ at: number; task: () => void } | undefined>(
          (first, entry) => (entry.at <= end && (first === undefined || entry.at < first.at) ? entry : first),
          undefined,
        );
        if (next === undefined) break;
        tasks = tasks.filter((other) => other !== next);
        wall += next.at - elapsed;
        elapsed = next.at;
        next.task();
        await settle();
      }
      wall += end - elapsed;
      elapsed = end;
    },
    step: (milliseconds) => {
      wall += milliseconds;
    },
    sleep: (milliseconds) => {
      wall += milliseconds;
      elapsed += milliseconds;
      for (const entry of tasks) entry.at += milliseconds;
    },
    pending: () => tasks.length,
  };
}

/** What a fake artifact says of itself. It is never encrypted: what matters here is when it is taken. */
export type FakeArtifact = {
  readonly revision: number;
  readonly epoch?: number;
  readonly expiresAt?: number;
  readonly secrets?: Record<string, string>;
  /** What is wrong with it, found before the KMS is asked. */
  readonly fault?: 'signature' | 'binding' | 'format';
  readonly revoked?: true;
  /** Spaces that change the bytes and not the payload. */
  readonly padding?: number;
};

export function bytesOf({ padding = 0, ...artifact }: FakeArtifact): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(artifact) + ' '.repeat(padding));
}

type KmsState = 'ok' | 'denied' | 'outage' | 'wrong';

export type FakeJudge = Judge & { kms: KmsState; kmsCalls: number; deniedRevisions: Set<number> };

export function fakeJudge(clock: FakeClock): FakeJudge {
  const digest = (bytes: Uint8Array): string =>
    createHash('sha256').update(new TextDecoder().decode(bytes).trim()).digest('hex');
  const judge: FakeJudge = {
    kms: 'ok',
    kmsCalls: 0,
    deniedRevisions: new Set(),
    payloadDigest: digest,
    open: async (bytes, floor): Promise<Judged> => {
      const artifact = JSON.parse(new TextDecoder().decode(bytes)) as FakeArtifact;
      const {
        revision,
        epoch = 0,
        expiresAt = clock.now() + hours(24 * 365),
        fault,
        secrets = {},
      } = artifact;
      const facts = { revision, epoch, payloadDigest: digest(bytes) };
      if (fault !== undefined) throw new Refusal('forged', fault);
      if (floor !== undefined) {
        if (epoch < floor.epoch || (epoch === floor.epoch && revision < floor.revision)) {
          throw new Refusal('forged', 'rollback');
        }
        const isSame = epoch === floor.epoch && revision === floor.revision;
        if (isSame && facts.payloadDigest !== floor.payloadDigest)
          throw new Refusal('forged', 'equivocation');
      }
      if (artifact.revoked) throw new Refusal('revoked', 'revoked', facts);
      if (expiresAt <= clock.now()) throw new Refusal('expired', 'expired');
      judge.kmsCalls++;
      const state = judge.deniedRevisions.has(revision) ? 'denied' : judge.kms;
      if (state !== 'ok') throw new Refusal(state, `kms_${state}`);
      return { ...facts, expiresAt, secrets: new Map(Object.entries(secrets)) };
    },
  };
  return judge;
}

export type FakeSource = Source & {
  artifact: FakeArtifact | Uint8Array | undefined;
  failure: SourceError | undefined;
  /** The ETag it claims; by default one that follows the bytes. */
  etag: ((bytes: Uint8Array) => string) | undefined;
  fetches: (Validator | undefined)[];
};

export function fakeSource(artifact: FakeArtifact | undefined): FakeSource {
  const source: FakeSource = {
    kind: 'https',
    artifact,
    failure: undefined,
    etag: (bytes) => createHash('sha256').update(bytes).digest('hex'),
    fetches: [],
    fetch: async (validator): Promise<Fetched> => {
      source.fetches.push(validator);
      if (source.failure !== undefined) throw source.failure;
      if (source.artifact === undefined) throw new SourceError('not_found', 'There is none');
      const bytes = source.artifact instanceof Uint8Array ? source.artifact : bytesOf(source.artifact);
      if (source.etag === undefined) return { kind: 'artifact', bytes };
      const etag = source.etag(bytes);
      return validator?.etag === etag
        ? { kind: 'unchanged' }
        : { kind: 'artifact', bytes, validator: { etag } };
    },
  };
  return source;
}

export type Scene = {
  readonly clock: FakeClock;
  readonly source: FakeSource;
  readonly judge: FakeJudge;
  readonly current: CurrentSecrets;
  readonly refresh: Refresh;
  readonly lines: Record<string, unknown>[];
  start(): Promise<void>;
  pass(milliseconds: number): Promise<void>;
  /** What `/v1/secrets` would say: the values, or why there are none. */
  served(): unknown;
  events(): string[];
};

/** A refresh loop over fakes. What is given replaces one of its parts. */
export function scene(
  options: Partial<RefreshOptions> & {
    readonly artifact?: FakeArtifact;
    readonly clock?: FakeClock;
    readonly source?: FakeSource;
    readonly cache?: SealedCache;
    /** What every random byte is; decides the jitter. */
    readonly randomByte?: number;
  } = {},
): Scene {
  const clock = options.clock ?? fakeClock();
  const source = options.source ?? fakeSource(options.artifact);
  const judge = fakeJudge(clock);
  const lines: Record<string, unknown>[] = [];
  const world = {
    now: clock.now,
    elapsed: clock.elapsed,
    instant: clock.elapsed,
    after: clock.after,
    randomBytes: (length: number) => new Uint8Array(length).fill(options.randomByte ?? 128),
    talk: (text: string) => void lines.push(JSON.parse(text) as Record<string, unknown>),
  };
  const current = new CurrentSecrets(world);
  const refresh = new Refresh({
    source,
    judge,
    cache: options.cache ?? volatileCache,
    current,
    log: createLog('json', world),
    world,
    pollSeconds: options.pollSeconds ?? 30,
    maxStaleSeconds: options.maxStaleSeconds ?? 86_400,
    reauthorize: options.reauthorize ?? 3_600,
  });
  const served = (): unknown => {
    const body = current.revision?.replies.get('/v1/secrets')?.body;
    return body instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(body)) : current.absence;
  };
  return {
    clock,
    source,
    judge,
    current,
    refresh,
    lines,
    served,
    start: () => refresh.start(),
    pass: (milliseconds) => clock.pass(milliseconds, () => refresh.settled()),
    events: () =>
      lines.map(({ event, reason }) => (reason === undefined ? String(event) : `${event}:${reason}`)),
  };
}
