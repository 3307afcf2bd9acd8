// The refresh loop against a clock that only tests move.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSealedCache, type SealedCache } from '../src/sealed-cache.ts';
import { SourceError } from '../src/sources/source.ts';
import { bytesOf, fakeClock, fakeSource, hours, scene, seconds } from './fake-world.ts';

const A1 = { revision: 1, secrets: { A: '1' } };
const A2 = { revision: 2, secrets: { A: '2' } };
const A3 = { revision: 3, secrets: { A: '3' } };
const down = new SourceError('unavailable', 'down');

describe('a new artifact', () => {
  test('is served after a poll; what was served before is wiped when no answer can still be on its way', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    const old = s.current.revision?.replies.get('/v1/secrets')?.body as Uint8Array;
    expect(s.served()).toEqual({ A: '1' });
    s.source.artifact = A2;
    await s.pass(seconds(37));
    expect(s.served()).toEqual({ A: '2' });
    expect(new TextDecoder().decode(old)).toBe('{"A":"1"}');
    await s.pass(seconds(15));
    expect([...old].every((byte) => byte === 0)).toBe(true);
    expect(s.events()).toEqual(['ready', 'refreshed']);
  });

  test('INV-62, F32: one KMS call for each accepted revision, however often it is polled', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    await s.start();
    await s.pass(hours(5));
    expect(s.judge.kmsCalls).toBe(1);
    s.source.artifact = A2;
    await s.pass(hours(5));
    expect(s.judge.kmsCalls).toBe(2);
  });

  test('F64: a revision every second: never two refreshes at once, the newest wins, one KMS call for each accepted', async () => {
    const s = scene({ reauthorize: 'never' });
    let revision = 0;
    let accepted = 0;
    s.source.artifact = { revision, secrets: {} };
    await s.start();
    for (let second = 0; second < 600; second++) {
      s.source.artifact = { revision: ++revision, secrets: { N: String(revision) } };
      await s.pass(seconds(1));
    }
    accepted = s.lines.filter(({ event }) => event === 'refreshed').length + 1;
    expect(s.judge.kmsCalls).toBe(accepted);
    expect(accepted).toBeGreaterThan(15);
    expect(Number((s.served() as { N: string }).N)).toBeGreaterThan(revision - 40);
  });

  test('F64: a source that takes its time is asked once until it has answered', async () => {
    const source = fakeSource(A1);
    const s = scene({ source, reauthorize: 'never' });
    await s.start();
    const { fetch } = source;
    let asked = 0;
    let answer = (): void => undefined;
    source.fetch = async (...question) => {
      asked += 1;
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return fetch(...question);
    };
    await s.clock.pass(seconds(120), () => new Promise((resolve) => setImmediate(resolve)));
    expect(asked).toBe(1);
    source.artifact = A2;
    answer();
    await s.refresh.settled();
    expect(s.served()).toEqual({ A: '2' });
  });

  test.each([
    [0, 24],
    [128, 30],
    [255, 36],
  ])('F63: polls are 30 s apart, give or take 20 % (chance %i: %i s)', async (randomByte, gap) => {
    const s = scene({ artifact: A1, reauthorize: 'never', randomByte });
    await s.start();
    await s.pass(seconds(gap - 1));
    expect(s.source.fetches.length).toBe(1);
    await s.pass(seconds(2));
    expect(s.source.fetches.length).toBe(2);
  });
});

describe('F43: the digest of the bytes decides, never what the source says', () => {
  test('same bytes under a changing ETag are not judged again', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    let count = 0;
    s.source.etag = () => String(count++);
    await s.start();
    await s.pass(hours(1));
    expect(s.judge.kmsCalls).toBe(1);
    expect(s.events()).toEqual(['ready']);
  });

  test('other bytes under the same ETag are found within ten minutes', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    s.source.etag = () => 'same';
    await s.start();
    s.source.artifact = A2;
    await s.pass(seconds(640));
    expect(s.served()).toEqual({ A: '2' });
  });

  test('another envelope around the same payload costs no KMS call', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    await s.start();
    for (let padding = 1; padding < 20; padding++) {
      s.source.artifact = { ...A1, padding };
      await s.pass(seconds(37));
    }
    expect(s.judge.kmsCalls).toBe(1);
    expect(s.refresh.status().ageSeconds).toBeLessThan(40);
  });

  test('a source without validators works', async () => {
    const s = scene({ artifact: A1 });
    s.source.etag = undefined;
    await s.start();
    s.source.artifact = A2;
    await s.pass(seconds(37));
    expect(s.served()).toEqual({ A: '2' });
  });
});

describe('F45, F46: what is refused changes nothing', () => {
  const faults = [
    ['a bad signature', { ...A2, fault: 'signature' }, 'refused:signature'],
    ['INV-50: another identity', { ...A2, fault: 'binding' }, 'refused:binding'],
    ['no artifact', { ...A2, fault: 'format' }, 'refused:format'],
    ['INV-47: an older revision', { revision: 0, secrets: {} }, 'refused:rollback'],
    [
      'INV-46: the same revision with other content',
      { revision: 1, secrets: { A: 'x' } },
      'refused:equivocation',
    ],
    ['an expired one', { ...A2, expiresAt: 1 }, 'refused:expired'],
  ] as const;
  const modes = ['never', 'each-request'] as const;
  test.each(modes.flatMap((mode) => faults.map(([title, bad, event]) => [title, mode, bad, event] as const)))(
    '%s (reauthorize %s)',
    async (_, reauthorize, bad, event) => {
      const s = scene({ artifact: A1, reauthorize });
      await s.start();
      s.source.artifact = bad;
      await s.pass(hours(1));
      expect(s.served()).toEqual({ A: '1' });
      expect(s.judge.kmsCalls).toBe(1);
      expect(s.refresh.status()).toMatchObject({
        absence: undefined,
        problem: event.slice('refused:'.length),
      });
      expect(s.events().filter((name) => name === event).length).toBeLessThanOrEqual(2);
      s.source.artifact = A3;
      await s.pass(seconds(61));
      expect(s.served()).toEqual({ A: '3' });
      expect(s.refresh.status().problem).toBeUndefined();
    },
  );

  test('bytes that make the judge fall over are refused and the loop lives (F60)', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.source.artifact = new Uint8Array([0xff, 0x00]);
    await s.pass(seconds(100));
    expect(s.served()).toEqual({ A: '1' });
    expect(s.events()).toContain('refused:internal');
    s.source.artifact = A2;
    await s.pass(seconds(61));
    expect(s.served()).toEqual({ A: '2' });
  });

  test('F49: a stale replica is a warning; three in a row are an alarm', async () => {
    const s = scene({ artifact: A2 });
    await s.start();
    s.source.artifact = A1;
    await s.pass(seconds(37));
    s.source.artifact = A2;
    await s.pass(seconds(61));
    expect(s.lines.filter(({ level }) => level === 'error')).toEqual([]);
    s.source.artifact = A1;
    await s.pass(seconds(200));
    expect(s.lines.filter(({ level }) => level === 'error')).toEqual([
      expect.objectContaining({ reason: 'rollback' }),
    ]);
  });

  test('INV-49: a new epoch starts a new floor', async () => {
    const s = scene({ artifact: { ...A3, revision: 1_000, epoch: 0 } });
    await s.start();
    s.source.artifact = { revision: 5, epoch: 1, secrets: { A: 'recovered' } };
    await s.pass(seconds(37));
    expect(s.served()).toEqual({ A: 'recovered' });
    s.source.artifact = { revision: 2_000, epoch: 0, secrets: { A: 'old key' } };
    await s.pass(seconds(200));
    expect(s.served()).toEqual({ A: 'recovered' });
  });
});

describe('the source is away', () => {
  test('F40: at the start: not loaded, and it keeps trying', async () => {
    const s = scene();
    s.source.failure = down;
    await s.start();
    expect(s.served()).toBe('not_loaded');
    s.source.failure = undefined;
    s.source.artifact = A1;
    await s.pass(seconds(3));
    expect(s.served()).toEqual({ A: '1' });
  });

  test('F42, INV-51: for 23 h it goes on serving; at 24 h it is stale and wiped; back again within two polls', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    await s.start();
    const body = s.current.revision?.replies.get('/v1/secrets')?.body as Uint8Array;
    s.source.failure = down;
    await s.pass(hours(23));
    expect(s.served()).toEqual({ A: '1' });
    expect(s.refresh.status()).toMatchObject({
      absence: undefined,
      ageSeconds: 23 * 3_600,
      problem: 'unavailable',
    });
    await s.pass(hours(1) + seconds(2));
    expect(s.served()).toBe('stale');
    await s.pass(seconds(15));
    expect(body.every((byte) => byte === 0)).toBe(true);
    s.source.failure = undefined;
    await s.pass(seconds(60));
    expect(s.served()).toEqual({ A: '1' });
    expect(s.events().filter((event) => event === 'source_failed:unavailable')).toEqual([
      'source_failed:unavailable',
    ]);
  });

  test('F42: source and KMS both away for 24 h: served from the last good, then no more; back within two polls', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.judge.kms = 'outage';
    s.source.failure = new SourceError('unavailable', 'gone');
    for (let hour = 0; hour < 24; hour += 1) {
      expect(s.served()).toEqual(A1.secrets);
      await s.pass(hours(1));
    }
    await s.pass(seconds(30));
    expect(s.served()).toBe('stale');
    expect(s.judge.kmsCalls).toBeLessThan(24 * 60 * 5);
    s.source.failure = undefined;
    s.judge.kms = 'ok';
    await s.pass(seconds(72));
    expect(s.served()).toEqual(A1.secrets);
  });

  test('F44: 404 is not a revocation', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.source.artifact = undefined;
    await s.pass(hours(1));
    expect(s.served()).toEqual({ A: '1' });
  });

  test('F44: Retry-After is kept, up to an hour', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.source.failure = new SourceError('throttled', 'later', 86_400);
    await s.pass(seconds(37));
    const before = s.source.fetches.length;
    await s.pass(seconds(3_500));
    expect(s.source.fetches.length).toBe(before);
    await s.pass(seconds(120));
    expect(s.source.fetches.length).toBe(before + 1);
  });

  test('failures back off to twice the poll interval', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.source.failure = down;
    await s.pass(hours(1));
    expect(s.source.fetches.length).toBeGreaterThan(60);
    expect(s.source.fetches.length).toBeLessThan(130);
  });
});

describe('F47: expiry', () => {
  test('is judged at the second, whatever the polls; a renewed artifact recovers', async () => {
    const clock = fakeClock();
    const s = scene({
      artifact: { ...A1, expiresAt: clock.now() + seconds(100) },
      clock,
      reauthorize: 'never',
    });
    await s.start();
    await s.pass(seconds(100) - 1);
    expect(s.served()).toEqual({ A: '1' });
    await s.pass(1);
    expect(s.served()).toBe('expired');
    await s.pass(seconds(60));
    expect(s.events()).toContain('expired');
    expect(s.judge.kmsCalls).toBe(1);
    s.source.artifact = A2;
    await s.pass(seconds(61));
    expect(s.served()).toEqual({ A: '2' });
  });

  test('an expired artifact at the start is said to be expired, with no KMS call', async () => {
    const s = scene({ artifact: { ...A1, expiresAt: 1 } });
    await s.start();
    expect(s.served()).toBe('expired');
    expect(s.judge.kmsCalls).toBe(0);
  });
});

describe('INV-54, F48: a signed revocation', () => {
  test('ends serving within one poll, wipes, and what it revoked stays refused until something newer comes', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    const body = s.current.revision?.replies.get('/v1/secrets')?.body as Uint8Array;
    s.source.artifact = { revision: 2, revoked: true };
    await s.pass(seconds(37));
    expect(s.served()).toBe('revoked');
    await s.pass(seconds(15));
    expect(body.every((byte) => byte === 0)).toBe(true);
    s.source.artifact = A1;
    await s.pass(hours(1));
    expect(s.served()).toBe('revoked');
    s.source.artifact = A3;
    await s.pass(seconds(61));
    expect(s.served()).toEqual({ A: '3' });
    expect(s.events().filter((event) => event === 'revoked').length).toBe(1);
  });

  test('a forged one changes nothing', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.source.artifact = { revision: 2, revoked: true, fault: 'signature' };
    await s.pass(hours(1));
    expect(s.served()).toEqual({ A: '1' });
  });
});

describe('reauthorize: the KMS is asked again about what is served', () => {
  test('once an hour, one call each', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    await s.pass(hours(10) + seconds(20));
    expect(s.judge.kmsCalls).toBe(11);
    expect(s.events()).toEqual(['ready']);
  });

  test('F33: within the configured time: from its very end nothing is given before the KMS has answered', async () => {
    const s = scene({ artifact: A1, reauthorize: 60 });
    await s.start();
    s.judge.kms = 'denied';
    s.clock.sleep(seconds(60) - 1);
    expect(s.refresh.authorization()).toBeUndefined();
    s.clock.sleep(1);
    const asked = s.refresh.authorization();
    expect(s.refresh.authorization()).toBe(asked);
    await asked;
    expect(s.served()).toBe('denied');
    expect(s.judge.kmsCalls).toBe(2);
  });

  test('F33: the time counts from when the KMS was asked, however late it answers', async () => {
    const s = scene({ artifact: A1, reauthorize: 60 });
    const { open } = s.judge;
    s.judge.open = async (...question) => {
      const judged = await open(...question);
      s.clock.sleep(seconds(10));
      return judged;
    };
    await s.start();
    s.clock.sleep(seconds(50) - 1);
    expect(s.refresh.authorization()).toBeUndefined();
    s.clock.sleep(1);
    expect(s.refresh.authorization()).toBeDefined();
    await s.refresh.authorization();
  });

  test('F33: the KMS is asked before its last yes runs out, so that nobody waits', async () => {
    const s = scene({ artifact: A1, reauthorize: 60 });
    await s.start();
    await s.pass(seconds(55));
    expect(s.judge.kmsCalls).toBe(2);
    s.clock.sleep(seconds(50));
    expect(s.refresh.authorization()).toBeUndefined();
  });

  test('F30: while the KMS cannot be asked no request waits for it', async () => {
    const s = scene({ artifact: A1, reauthorize: 60 });
    await s.start();
    s.judge.kms = 'outage';
    s.clock.sleep(seconds(60));
    await s.refresh.authorization();
    s.clock.sleep(hours(1));
    expect(s.refresh.authorization()).toBeUndefined();
    expect(s.served()).toEqual({ A: '1' });
    await s.pass(seconds(1));
    expect(s.judge.kmsCalls).toBe(3);
  });

  test('F33: denied: wiped at the next asking, then at most one call a minute, and back when allowed again', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.judge.kms = 'denied';
    await s.pass(hours(1) + seconds(1));
    expect(s.served()).toBe('denied');
    const before = s.judge.kmsCalls;
    await s.pass(seconds(600));
    expect(s.judge.kmsCalls - before).toBeLessThanOrEqual(10);
    s.judge.kms = 'ok';
    await s.pass(seconds(75));
    expect(s.served()).toEqual({ A: '1' });
  });

  test('F33: allowed again while the source is away: what was sealed is opened again', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.source.failure = down;
    s.judge.kms = 'denied';
    await s.pass(hours(1) + seconds(1));
    expect(s.served()).toBe('denied');
    s.judge.kms = 'ok';
    await s.pass(seconds(75));
    expect(s.served()).toEqual({ A: '1' });
  });

  test('F30: an outage keeps serving for 24 h after the last yes, though the source is there; then stale', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.judge.kms = 'outage';
    await s.pass(hours(23));
    expect(s.served()).toEqual({ A: '1' });
    expect(s.refresh.status().problem).toBe('kms_outage');
    await s.pass(hours(1) + seconds(5));
    expect(s.served()).toBe('stale');
    s.judge.kms = 'ok';
    await s.pass(seconds(75));
    expect(s.served()).toEqual({ A: '1' });
  });

  test('a denial of a new artifact has the old one asked about at once', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.source.artifact = A2;
    s.judge.kms = 'denied';
    await s.pass(seconds(40));
    expect(s.served()).toBe('denied');
  });

  test('a denial of the new artifact alone keeps the old one', async () => {
    const s = scene({ artifact: A1 });
    await s.start();
    s.judge.deniedRevisions.add(2);
    s.source.artifact = A2;
    await s.pass(hours(2));
    expect(s.served()).toEqual({ A: '1' });
    expect(s.judge.kmsCalls).toBeLessThan(250);
    s.judge.deniedRevisions.clear();
    await s.pass(seconds(125));
    expect(s.served()).toEqual({ A: '2' });
  });

  test('never: no further call', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    await s.start();
    s.judge.kms = 'denied';
    await s.pass(hours(48));
    expect(s.judge.kmsCalls).toBe(1);
    expect(s.served()).toEqual({ A: '1' });
  });

  test('each-request: one call for each, shared by those that wait; denied wipes; an outage does not', async () => {
    const s = scene({ artifact: A1, reauthorize: 'each-request' });
    await s.start();
    await Promise.all([s.refresh.authorizeNow(), s.refresh.authorizeNow(), s.refresh.authorizeNow()]);
    expect(s.judge.kmsCalls).toBe(2);
    s.judge.kms = 'outage';
    await s.refresh.authorizeNow();
    expect(s.served()).toEqual({ A: '1' });
    await s.pass(seconds(13));
    s.judge.kms = 'denied';
    await s.refresh.authorizeNow();
    expect(s.served()).toBe('denied');
    await s.pass(hours(30));
  });

  test('each-request: a day without requests makes nothing stale', async () => {
    const s = scene({ artifact: A1, reauthorize: 'each-request' });
    await s.start();
    await s.pass(hours(30));
    expect(s.served()).toEqual({ A: '1' });
  });
});

describe('the KMS fails a new artifact', () => {
  test('F30: an outage: at most five calls a minute, the old one is served', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    await s.start();
    s.judge.kms = 'outage';
    s.source.artifact = A2;
    await s.pass(seconds(600));
    expect(s.judge.kmsCalls - 1).toBeLessThanOrEqual(50);
    expect(s.served()).toEqual({ A: '1' });
    s.judge.kms = 'ok';
    await s.pass(seconds(60));
    expect(s.served()).toEqual({ A: '2' });
  });

  test('F34: opened to something wrong: asked three times, then left alone until other bytes come', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    await s.start();
    s.judge.kms = 'wrong';
    s.source.artifact = A2;
    await s.pass(hours(2));
    expect(s.judge.kmsCalls - 1).toBe(3);
    s.judge.kms = 'ok';
    s.source.artifact = A3;
    await s.pass(seconds(61));
    expect(s.served()).toEqual({ A: '3' });
  });

  test('denied at the start is said', async () => {
    const s = scene({ artifact: A1 });
    s.judge.kms = 'denied';
    await s.start();
    expect(s.served()).toBe('denied');
    s.judge.kms = 'ok';
    await s.pass(seconds(125));
    expect(s.served()).toEqual({ A: '1' });
  });
});

describe('F50, INV-113: clocks', () => {
  test.each([
    ['+24 h', hours(24)],
    ['-24 h', hours(-24)],
    ['1970', -Date.UTC(2026, 0, 31)],
    ['2106', Date.UTC(2106, 0, 1) - Date.UTC(2026, 0, 31)],
  ])('a step of %s is logged, polls at once and changes no duration', async (_, step) => {
    const s = scene({ artifact: { ...A1, expiresAt: Number.MAX_SAFE_INTEGER }, reauthorize: 'never' });
    await s.start();
    const before = s.source.fetches.length;
    s.clock.step(step);
    await s.pass(seconds(2));
    expect(s.source.fetches.length).toBe(before + 1);
    expect(s.events()).toContain('clock_step');
    expect(s.served()).toEqual({ A: '1' });
    await s.pass(seconds(60));
    expect(s.events().filter((event) => event === 'clock_step').length).toBe(1);
  });

  test('what a fast clock took for expired is served again when it is set right', async () => {
    const clock = fakeClock();
    const s = scene({ artifact: { ...A1, expiresAt: clock.now() + hours(1) }, clock, reauthorize: 'never' });
    await s.start();
    clock.step(hours(2));
    await s.pass(seconds(75));
    expect(s.served()).toBe('expired');
    clock.step(hours(-2));
    await s.pass(seconds(75));
    expect(s.served()).toEqual({ A: '1' });
  });

  test('time asleep counts as silence', async () => {
    const s = scene({ artifact: A1, reauthorize: 'never' });
    await s.start();
    s.source.failure = down;
    s.clock.sleep(hours(24));
    await s.pass(seconds(2));
    expect(s.served()).toBe('stale');
    expect(s.events()).not.toContain('clock_step');
  });
});

describe('the state directory', () => {
  let folder: string;
  let cache: SealedCache;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clef-refresh-'));
    cache = await openSealedCache(join(folder, 'state'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('INV-47: a rollback after a restart is refused', async () => {
    const first = scene({ artifact: A2, cache });
    await first.start();
    const second = scene({ artifact: A1, cache });
    await second.start();
    expect(second.events()).toContain('refused:rollback');
    expect(second.served()).toEqual({ A: '2' });
    expect(second.refresh.status()).toMatchObject({ source: 'disk', floor: 'durable' });
  });

  test('F41, INV-56: started without the source, the last good artifact is served, also after garbage was served', async () => {
    const first = scene({ artifact: A1, cache });
    await first.start();
    first.source.artifact = { ...A2, fault: 'signature' };
    await first.pass(seconds(100));
    const second = scene({ cache });
    await second.start();
    expect(second.served()).toEqual({ A: '1' });
    expect(second.refresh.status()).toMatchObject({ source: 'disk', problem: 'not_found' });
    second.source.artifact = A1;
    await second.pass(seconds(61));
    expect(second.refresh.status()).toMatchObject({ source: 'remote', problem: undefined });
    expect(second.judge.kmsCalls).toBe(1);
  });

  test('F41: a copy that the source last gave too long ago is stale, however often the agent restarts', async () => {
    const clock = fakeClock(Date.now());
    const first = scene({ artifact: A1, cache, clock });
    await first.start();
    await cache.confirmArtifact(clock.now() - hours(25));
    const second = scene({ cache, clock });
    await second.start();
    expect(second.served()).toBe('stale');
  });

  test('a poisoned copy is judged like anything else', async () => {
    await cache.writeArtifact(bytesOf({ ...A1, fault: 'signature' }));
    const s = scene({ cache });
    await s.start();
    expect(s.served()).toBe('not_loaded');
    expect(s.events()).toContain('disk_copy_refused:signature');
  });

  test('INV-47: an older copy that somebody puts back is refused', async () => {
    await scene({ artifact: A2, cache }).start();
    await cache.writeArtifact(bytesOf(A1));
    const s = scene({ cache });
    await s.start();
    expect(s.served()).toBe('not_loaded');
    expect(s.events()).toContain('disk_copy_refused:rollback');
  });

  test('INV-54: a revocation removes the copy and keeps the floor', async () => {
    const s = scene({ artifact: A1, cache });
    await s.start();
    s.source.artifact = { revision: 2, revoked: true };
    await s.pass(seconds(37));
    expect(await readdir(join(folder, 'state'))).toEqual(['floor.json']);
    const again = scene({ artifact: A1, cache });
    await again.start();
    expect(again.served()).toBe('not_loaded');
    expect(again.events()).toContain('refused:rollback');
  });

  test('F59: a torn floor is said to be volatile, costs nothing else, and is mended by the next revision', async () => {
    await writeFile(join(folder, 'state', 'floor.json'), '{"version":1,"epo');
    const s = scene({ artifact: A1, cache });
    await s.start();
    expect(s.events()).toContain('floor_unreadable');
    expect(s.served()).toEqual({ A: '1' });
    expect(s.refresh.status().floor).toBe('durable');
  });

  test('F59: a disk that fails costs durability only', async () => {
    const fails = () => Promise.reject(new Error('disk full'));
    const s = scene({ artifact: A1, cache: { ...cache, writeFloor: fails, writeArtifact: fails } });
    await s.start();
    expect(s.served()).toEqual({ A: '1' });
    expect(s.refresh.status().floor).toBe('volatile');
    s.source.artifact = A2;
    await s.pass(seconds(37));
    s.source.artifact = A1;
    await s.pass(seconds(100));
    expect(s.served()).toEqual({ A: '2' });
    expect(s.events().filter((event) => event === 'state_not_saved').length).toBe(1);
  });

  test('the floor and the copy are on the disk before anything is served', async () => {
    const seen: unknown[] = [];
    const s = scene({
      artifact: A1,
      cache: {
        ...cache,
        writeFloor: async (floor) => {
          seen.push(['floor', s.served(), (await cache.readArtifact())?.bytes.length]);
          await cache.writeFloor(floor);
        },
      },
    });
    await s.start();
    expect(seen).toEqual([['floor', 'not_loaded', bytesOf(A1).length]]);
  });
});

test('INV-48: without a state directory the floor is said to be volatile', async () => {
  const s = scene({ artifact: A1 });
  await s.start();
  expect(s.refresh.status().floor).toBe('volatile');
});

test('stopping ends everything: no timer is left, nothing is fetched any more', async () => {
  const source = fakeSource(A1);
  const s = scene({ source });
  await s.start();
  await s.refresh.stop();
  s.current.wipe();
  expect(s.clock.pending()).toBe(0);
  await s.pass(hours(1));
  expect(source.fetches.length).toBe(1);
});

test('F61: a loop that was held up says so, and asks the source once', async () => {
  const s = scene({ artifact: A1 });
  await s.start();
  s.clock.sleep(seconds(60));
  await s.pass(seconds(2));
  expect(s.events()).toEqual(['ready', 'stalled']);
  expect(s.source.fetches).toHaveLength(2);
  expect(s.refresh.vitals().lagSeconds).toBe(0);
});

test('stopping gives up a fetch that is under way', async () => {
  const source = fakeSource(A1);
  const s = scene({ source });
  await s.start();
  source.fetch = (_, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
  s.clock.sleep(seconds(60));
  void s.clock.pass(seconds(1), () => Promise.resolve());
  await s.refresh.stop();
  expect(s.events()).toEqual(['ready', 'stalled']);
});

test('the log never holds a key, a value or a digest', async () => {
  const s = scene({ artifact: { revision: 1, secrets: { CANARY_KEY: 'canary-value' } } });
  await s.start();
  s.judge.kms = 'outage';
  s.source.artifact = { revision: 2, secrets: { CANARY_KEY: 'canary-value-2' } };
  await s.pass(hours(26));
  const text = JSON.stringify(s.lines);
  expect(text).not.toMatch(/canary/i);
  expect(text).not.toMatch(/[0-9a-f]{32}/);
});
