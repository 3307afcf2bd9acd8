// Keeps one artifact fresh: asks the source, has what it gives judged, and swaps it in. Whatever fails, the last good
// revision is served until its own date, or until source and KMS have been silent for too long.
import { createHash } from 'node:crypto';
import { type Absence, type CurrentSecrets, renderRevision } from './current-secrets.ts';
import { type Judge, type Judged, Refusal } from './judge.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { PollSchedule } from './poll-schedule.ts';
import type { Floor, SealedCache } from './sealed-cache.ts';
import { type Source, SourceError, type Validator } from './sources/source.ts';
import type { AgentWorld } from './world.ts';

export type RefreshOptions = {
  readonly source: Source;
  readonly judge: Judge;
  readonly cache: SealedCache;
  readonly current: CurrentSecrets;
  readonly log: Log;
  readonly metrics?: Pick<Metrics, 'refreshed' | 'artifactRefused'>;
  /** Where it serves, for the line that says that it does. */
  readonly url?: () => string;
  readonly world: Pick<AgentWorld, 'now' | 'elapsed' | 'instant' | 'after' | 'randomBytes'>;
  readonly pollSeconds: number;
  readonly maxStaleSeconds: number;
  /** `never` where no KMS is involved, too. */
  readonly reauthorize: number | 'never' | 'each-request';
};

/** What `/v1/ready` shows. Words and numbers only. */
export type Status = {
  readonly absence: Absence | undefined;
  readonly revision: number | undefined;
  readonly source: 'remote' | 'disk' | undefined;
  readonly floor: 'durable' | 'volatile';
  /** Since the source last gave or confirmed what is served. */
  readonly ageSeconds: number | undefined;
  /** The reason of the last failure, while it lasts. */
  readonly problem: string | undefined;
};

/** What only the metrics show. */
export type Vitals = {
  readonly epoch: number | undefined;
  /** Milliseconds since the epoch of the clock. */
  readonly confirmedAt: number | undefined;
  /** How late the last beat of the loop was. */
  readonly lagSeconds: number;
};

type Accepted = Floor & {
  readonly bytes: Uint8Array;
  readonly bytesDigest: string;
};

type Origin = 'remote' | 'disk';

const heartbeatMilliseconds = 1_000;
/** However often a source says "unchanged", the bytes themselves are asked for again after so long. */
const fullFetchSeconds = 600;
const clockStepMilliseconds = 60_000;
/** A loop that is later than this was held up. */
const stallMilliseconds = 5_000;
/** After a denial the KMS is left alone for so long, and after it could not be asked. */
const deniedPauseSeconds = 60;
const outagePauseSeconds = 12;
/** So long before its yes runs out the KMS is asked again, so that no request has to wait: longer than it may take. */
const maxAskAheadSeconds = 15;
/** How often the KMS is asked again about bytes that it opened to something wrong. */
const maxWrongOpenings = 3;

/** The loop. Everything that changes what is served happens in one {@link Refresh.settled} chain, never two at a time. */
export class Refresh {
  readonly #options: RefreshOptions;
  readonly #schedule: PollSchedule;
  readonly #stopping = new AbortController();
  #cancelHeartbeat: () => void = () => undefined;
  #chain: Promise<void> = Promise.resolve();
  #authorizing: Promise<void> | undefined;
  #polling: Promise<void> | undefined;

  #accepted: Accepted | undefined;
  #floor: Floor | undefined;
  #isFloorDurable: boolean;
  #validator: Validator | undefined;
  #origin: Origin | undefined;
  #problem: string | undefined;
  #authorizationProblem: string | undefined;

  #confirmedAt = 0;
  #authorizedAt = 0;
  #nextAuthorizationAt = Number.POSITIVE_INFINITY;
  /** These two on the clock of requests: when the KMS was last asked, and until when its answer is enough. */
  #askedAt = 0;
  #authorizedUntil = Number.POSITIVE_INFINITY;
  #fullFetchAt = 0;
  #savedConfirmationAt = 0;
  #isExpiryTold = false;
  #rollbacks = 0;
  #deniedUntil = 0;
  #askAgainAt = 0;
  /** Bytes that the KMS opened to something wrong, so that they do not cost a call at every poll. */
  #wrong: { readonly digest: string; readonly reason: string; readonly openings: number } | undefined;
  #clockOffset: number;
  #lagMilliseconds = 0;

  constructor(options: RefreshOptions) {
    this.#options = options;
    this.#schedule = new PollSchedule(options.world, options.pollSeconds);
    this.#isFloorDurable = options.cache.isDurable;
    this.#clockOffset = options.world.now() - options.world.elapsed();
  }

  /** Reads the floor, asks the source and, if that gives nothing good, the disk. Then goes on by itself. Never throws. */
  async start(): Promise<void> {
    await this.#readFloor();
    await this.#poll();
    if (this.#accepted === undefined && this.#options.current.absence !== 'revoked')
      await this.#loadFromDisk();
    this.#beat();
  }

  /** Stops asking. What is under way is given up or finished first. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancelHeartbeat();
    await this.settled();
  }

  /** Resolves when nothing is being fetched or judged. */
  async settled(): Promise<void> {
    await this.#polling;
    await this.#chain;
  }

  status(): Status {
    const { current, world } = this.#options;
    const isServing = current.revision !== undefined;
    const accepted = isServing ? this.#accepted : undefined;
    return {
      absence: isServing ? undefined : current.absence,
      revision: accepted?.revision,
      source: isServing ? this.#origin : undefined,
      floor: this.#isFloorDurable ? 'durable' : 'volatile',
      ageSeconds: isServing
        ? Math.max(0, Math.round((world.elapsed() - this.#confirmedAt) / 1_000))
        : undefined,
      problem: this.#problem ?? this.#authorizationProblem,
    };
  }

  vitals(): Vitals {
    const { current, world } = this.#options;
    const isServing = current.revision !== undefined;
    return {
      epoch: isServing ? this.#accepted?.epoch : undefined,
      confirmedAt: isServing ? world.now() - (world.elapsed() - this.#confirmedAt) : undefined,
      lagSeconds: this.#lagMilliseconds / 1_000,
    };
  }

  /**
   * Undefined while the last word of the KMS is young enough to serve by; otherwise it is being asked, and nothing may be
   * served before it has answered.
   */
  authorization(): Promise<void> | undefined {
    const { reauthorize, world } = this.#options;
    if (reauthorize !== 'each-request' && world.instant() < this.#authorizedUntil) return undefined;
    return this.authorizeNow();
  }

  /** Has the KMS asked now whether the current artifact may still be opened; who asks meanwhile shares the answer. */
  authorizeNow(): Promise<void> {
    this.#authorizing ??= this.#exclusively(() => this.#reauthorize()).finally(() => {
      this.#authorizing = undefined;
    });
    return this.#authorizing;
  }

  #beat(): void {
    if (this.#stopping.signal.aborted) return;
    const { world } = this.#options;
    const due = world.elapsed() + heartbeatMilliseconds;
    this.#cancelHeartbeat = world.after(heartbeatMilliseconds, () => {
      this.#noticeLag(world.elapsed() - due);
      this.#tick();
      this.#beat();
    });
  }

  #noticeLag(milliseconds: number): void {
    this.#lagMilliseconds = Math.max(0, milliseconds);
    if (milliseconds > stallMilliseconds)
      this.#options.log.warn('stalled', { seconds: Math.round(milliseconds / 1_000) });
  }

  #tick(): void {
    const { world } = this.#options;
    this.#watchClock();
    this.#withdrawWhatIsStale();
    this.#noticeExpiry();
    if (this.#schedule.isDue) void this.#poll();
    if (world.elapsed() >= this.#nextAuthorizationAt) void this.authorizeNow();
  }

  /** Expiry is judged at every request; here it is only told, once. */
  #noticeExpiry(): void {
    const { current, log } = this.#options;
    const isExpired = current.revision === undefined && current.absence === 'expired';
    if (isExpired && !this.#isExpiryTold) log.error('expired', { revision: this.#accepted?.revision });
    this.#isExpiryTold = isExpired;
  }

  /** A step of the wall clock changes no duration, but what it says about dates is worth a fresh look. */
  #watchClock(): void {
    const { world, log } = this.#options;
    const offset = world.now() - world.elapsed();
    const step = offset - this.#clockOffset;
    this.#clockOffset = offset;
    if (Math.abs(step) <= clockStepMilliseconds) return;
    log.warn('clock_step', { seconds: Math.round(step / 1_000) });
    this.#schedule.hurry();
  }

  #withdrawWhatIsStale(): void {
    const { current, world, maxStaleSeconds, reauthorize, log } = this.#options;
    if (current.revision === undefined) return;
    const isAuthorizationOld = reauthorize !== 'never' && this.#authorizationProblem !== undefined;
    const oldest = isAuthorizationOld ? Math.min(this.#confirmedAt, this.#authorizedAt) : this.#confirmedAt;
    if (world.elapsed() - oldest <= maxStaleSeconds * 1_000) return;
    current.withdraw('stale');
    this.#validator = undefined;
    log.error('stale', { problem: this.#problem ?? this.#authorizationProblem });
  }

  #poll(): Promise<void> {
    this.#polling ??= this.#fetch().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #fetch(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    try {
      const fetched = await this.#options.source.fetch(this.#conditions(), this.#stopping.signal);
      await this.#exclusively(async () => {
        if (fetched.kind === 'unchanged') await this.#confirm();
        else await this.#consider(fetched.bytes, fetched.validator);
      });
    } catch (error) {
      this.#sourceFailed(error);
    }
  }

  /** What makes the request conditional: only while what it stands for is what is served. */
  #conditions(): Validator | undefined {
    const { current, world } = this.#options;
    const isFullDue = world.elapsed() - this.#fullFetchAt >= fullFetchSeconds * 1_000;
    return isFullDue || current.revision === undefined ? undefined : this.#validator;
  }

  #sourceFailed(error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const reason = error instanceof SourceError ? error.code : 'internal';
    this.#options.metrics?.refreshed(reason);
    if (this.#problem !== reason) this.#options.log.warn('source_failed', { reason });
    this.#problem = reason;
    this.#schedule.failed(error instanceof SourceError ? error.retryAfterSeconds : undefined);
  }

  #succeeded(): void {
    this.#problem = undefined;
    this.#rollbacks = 0;
    this.#schedule.answered();
  }

  #in(seconds: number): number {
    return this.#options.world.elapsed() + seconds * 1_000;
  }

  /** The source still has what is served. */
  async #confirm(): Promise<void> {
    const { world, cache, metrics } = this.#options;
    metrics?.refreshed('unchanged');
    this.#succeeded();
    this.#confirmedAt = world.elapsed();
    this.#origin = 'remote';
    if (world.elapsed() - this.#savedConfirmationAt < fullFetchSeconds * 1_000) return;
    this.#savedConfirmationAt = world.elapsed();
    await this.#onDisk(() => cache.confirmArtifact(world.now()));
  }

  /** Judges bytes from the source. The digest of the bytes decides whether they are new; nothing the source says does. */
  async #consider(bytes: Uint8Array, validator: Validator | undefined): Promise<void> {
    const { current, judge, world, log, metrics } = this.#options;
    this.#fullFetchAt = world.elapsed();
    const isServing = current.revision !== undefined;
    const digest = sha256(bytes);
    if (isServing && this.#accepted !== undefined) {
      const isSame =
        digest === this.#accepted.bytesDigest || judge.payloadDigest(bytes) === this.#accepted.payloadDigest;
      if (isSame) {
        this.#validator = validator;
        return this.#confirm();
      }
    }
    try {
      const judged = await this.#judge(bytes, digest);
      const previous = this.#accepted?.revision;
      await this.#accept(bytes, digest, judged, 'remote');
      this.#validator = validator;
      this.#succeeded();
      metrics?.refreshed('accepted');
      if (isServing) log.info('refreshed', { revision: judged.revision, previous });
      else this.#announce(judged.revision);
    } catch (error) {
      await this.#refused(error);
    }
  }

  /** Has bytes judged, unless the KMS has lately denied everything or opened these very bytes wrongly too often. */
  async #judge(bytes: Uint8Array, digest: string): Promise<Judged> {
    const { judge, world } = this.#options;
    if (world.elapsed() < this.#deniedUntil) throw new Refusal('denied', 'kms_denied');
    const known = this.#wrong?.digest === digest ? this.#wrong : undefined;
    if (known !== undefined && known.openings >= maxWrongOpenings) throw new Refusal('wrong', known.reason);
    try {
      this.#askedAt = world.instant();
      return await judge.open(bytes, this.#floor);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.kind === 'denied') {
        this.#deniedUntil = this.#in(deniedPauseSeconds);
        this.#postponeAuthorization(0); // is what we serve denied as well?
      }
      if (error.kind === 'wrong')
        this.#wrong = { digest, reason: error.reason, openings: (known?.openings ?? 0) + 1 };
      throw error;
    }
  }

  async #accept(bytes: Uint8Array, bytesDigest: string, judged: Judged, origin: Origin): Promise<void> {
    const { cache, current, world } = this.#options;
    const { epoch, revision, payloadDigest, expiresAt } = judged;
    if (origin === 'remote') await this.#onDisk(() => cache.writeArtifact(bytes));
    await this.#raiseFloor({ epoch, revision, payloadDigest });
    current.swap(renderRevision({ revision, payloadDigest, expiresAt }, judged.secrets));
    this.#accepted = { epoch, revision, payloadDigest, bytes, bytesDigest };
    this.#origin = origin;
    this.#confirmedAt = world.elapsed();
    this.#savedConfirmationAt = world.elapsed();
    this.#authorized();
  }

  async #refused(error: unknown): Promise<void> {
    const { current, log, metrics } = this.#options;
    const refusal = error instanceof Refusal ? error : new Refusal('other', 'internal');
    metrics?.refreshed(refusal.reason);
    metrics?.artifactRefused(refusal.reason);
    if (refusal.kind === 'revoked') return this.#revoked(refusal);
    const isNew = this.#problem !== refusal.reason;
    this.#rollbacks = refusal.reason === 'rollback' ? this.#rollbacks + 1 : 0;
    this.#problem = refusal.reason;
    if (refusal.kind === 'outage') this.#schedule.failed(outagePauseSeconds);
    else this.#schedule.answered();
    if (current.revision === undefined) current.withdraw(absenceOf(refusal, current.absence));
    if (isNew || this.#rollbacks === 3) this.#report(refusal, log);
  }

  /** One older replica of a source is no attack; three in a row are worth an alarm, as is every forgery. */
  #report(refusal: Refusal, log: Log): void {
    const isForged = refusal.kind === 'forged' || refusal.kind === 'wrong';
    const isAlarm = isForged && (refusal.reason !== 'rollback' || this.#rollbacks >= 3);
    log[isAlarm ? 'error' : 'warn']('refused', { reason: refusal.reason });
  }

  async #revoked({ floor }: Refusal): Promise<void> {
    const { cache, current, log } = this.#options;
    this.#succeeded();
    if (current.revision === undefined && current.absence === 'revoked') return;
    current.withdraw('revoked');
    this.#accepted = undefined;
    this.#askNoMore();
    if (floor !== undefined) await this.#raiseFloor(floor);
    await this.#onDisk(() => cache.removeArtifact());
    log.error('revoked', { revision: floor?.revision });
  }

  async #reauthorize(): Promise<void> {
    const { current, judge, world } = this.#options;
    const accepted = this.#accepted;
    const isServing = current.revision !== undefined;
    const isWorthAsking = isServing
      ? world.elapsed() >= this.#askAgainAt
      : current.absence === 'denied' && world.elapsed() >= this.#deniedUntil;
    if (accepted === undefined || !isWorthAsking) return this.#postponeAuthorization(outagePauseSeconds);
    try {
      this.#askedAt = world.instant();
      const judged = await judge.open(accepted.bytes, this.#floor);
      this.#authorized();
      if (!isServing) this.#restore(judged);
    } catch (error) {
      this.#authorizationFailed(error instanceof Refusal ? error : new Refusal('other', 'internal'));
    }
  }

  #authorizationFailed(refusal: Refusal): void {
    const { current, log } = this.#options;
    const isDenied = refusal.kind === 'denied';
    if (isDenied) this.#deniedUntil = this.#in(deniedPauseSeconds);
    this.#askAgainAt = this.#in(outagePauseSeconds);
    this.#postponeAuthorization(deniedPauseSeconds);
    if (isDenied && current.revision !== undefined) {
      current.withdraw('denied');
      this.#validator = undefined;
      log.error('denied', { revision: this.#accepted?.revision });
    } else if (!isDenied && this.#authorizationProblem !== refusal.reason) {
      log.warn('reauthorization_failed', { reason: refusal.reason });
    }
    this.#authorizationProblem = refusal.reason;
  }

  /** The KMS opens it again: serve again what was wiped, with the age it had. */
  #restore({ revision, payloadDigest, expiresAt, secrets }: Judged): void {
    this.#options.current.swap(renderRevision({ revision, payloadDigest, expiresAt }, secrets));
    this.#announce(revision);
  }

  #announce(revision: number): void {
    this.#options.log.info('ready', { url: this.#options.url?.(), revision, source: this.#origin });
  }

  #authorized(): void {
    this.#authorizedAt = this.#options.world.elapsed();
    this.#authorizationProblem = undefined;
    const { reauthorize } = this.#options;
    if (typeof reauthorize !== 'number') {
      this.#askNoMore();
      return;
    }
    this.#nextAuthorizationAt = this.#in(reauthorize - Math.min(maxAskAheadSeconds, reauthorize / 10));
    this.#authorizedUntil = this.#askedAt + reauthorize * 1_000;
  }

  /** The KMS could not say. Requests do not wait for it meanwhile, unless it is to be asked at once. */
  #postponeAuthorization(seconds: number): void {
    if (typeof this.#options.reauthorize !== 'number') {
      this.#askNoMore();
      return;
    }
    this.#nextAuthorizationAt = this.#in(seconds);
    this.#authorizedUntil = seconds === 0 ? 0 : Number.POSITIVE_INFINITY;
  }

  #askNoMore(): void {
    this.#nextAuthorizationAt = Number.POSITIVE_INFINITY;
    this.#authorizedUntil = Number.POSITIVE_INFINITY;
  }

  async #loadFromDisk(): Promise<void> {
    const { cache, world, log } = this.#options;
    await this.#exclusively(async () => {
      const copy = await this.#onDisk(() => cache.readArtifact());
      if (copy === undefined) return;
      const problem = this.#problem;
      try {
        const digest = sha256(copy.bytes);
        const judged = await this.#judge(copy.bytes, digest);
        const ageMilliseconds = Math.max(0, world.now() - copy.confirmedAtMilliseconds);
        await this.#accept(copy.bytes, digest, judged, 'disk');
        this.#confirmedAt -= ageMilliseconds;
        this.#announce(judged.revision);
        this.#withdrawWhatIsStale();
      } catch (error) {
        const refusal = error instanceof Refusal ? error : new Refusal('other', 'internal');
        log.warn('disk_copy_refused', { reason: refusal.reason });
      }
      this.#problem = problem;
    });
  }

  async #readFloor(): Promise<void> {
    try {
      this.#floor = await this.#options.cache.readFloor();
    } catch {
      this.#isFloorDurable = false; // never a reason not to start; /v1/ready says so, and the next revision mends it
      this.#options.log.warn('floor_unreadable');
    }
  }

  async #raiseFloor(floor: Floor): Promise<void> {
    this.#floor = floor;
    await this.#onDisk(async () => {
      await this.#options.cache.writeFloor(floor);
      this.#isFloorDurable = this.#options.cache.isDurable;
    });
  }

  /** A disk that fails costs durability, which is shown, and never the service. */
  async #onDisk<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch {
      if (this.#isFloorDurable) this.#options.log.warn('state_not_saved');
      this.#isFloorDurable = false;
      return undefined;
    }
  }

  #exclusively(work: () => Promise<void>): Promise<void> {
    this.#chain = this.#chain.then(work).catch((error: unknown) => {
      // A bug must not end the loop, nor say anything of what it was working on.
      this.#options.log.error('internal', { kind: error instanceof Error ? error.name : 'unknown' });
      this.#problem = 'internal';
      this.#schedule.failed();
    });
    return this.#chain;
  }
}

function absenceOf(refusal: Refusal, before: Absence): Absence {
  if (refusal.kind === 'expired') return 'expired';
  if (refusal.kind === 'denied') return 'denied';
  return before;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
