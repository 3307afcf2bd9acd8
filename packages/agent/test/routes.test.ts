// The routes behind the real gate on a real port.
import { request } from 'node:http';
import { type LoopbackServer, startLoopbackServer } from '@clef/loopback';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Absence } from '../src/current-secrets.ts';
import { createMetrics } from '../src/metrics.ts';
import { createRoutes, publicPaths } from '../src/routes.ts';
import { followChanges } from '../src/watchers.ts';
import { bytesOf, hours, type Scene, scene, seconds } from './fake-world.ts';

const token = 'k'.repeat(43);
const secrets = JSON.parse(
  '{"DB_URL":"postgres://u:p@h/d","LINES":"a\\r\\n\u2028\\"\\\\","__proto__":"p","constructor":"c","toString":"t","hasOwnProperty":"h"}',
) as Record<string, string>;
let s: Scene;
let server: LoopbackServer;

async function serve(): Promise<void> {
  server = await startLoopbackServer({
    listen: { port: 0 },
    methods: ['GET', 'HEAD'],
    maxBodyBytes: 0,
    publicPaths,
    token: () => [new TextEncoder().encode(token)],
    respond: createRoutes({
      current: s.current,
      status: () => s.refresh.status(),
      authorization: () => s.refresh.authorization(),
      watchers: followChanges(s.current, s.clock),
      metrics: createMetrics(),
      formatMetrics: () => '',
    }),
  });
}

beforeEach(async () => {
  s = scene({ artifact: { revision: 7, secrets } });
  await serve();
});
afterEach(() => server.close(0));

type Answer = { status: number; headers: Record<string, string | string[] | undefined>; text: string };

function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const all = { authorization: `Bearer ${token}`, ...headers };
    request(
      { host: '127.0.0.1', port: server.port, path, headers: all, method, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString(),
          }),
        );
      },
    )
      .on('error', reject)
      .end();
  });
}

describe('a loaded agent', () => {
  beforeEach(() => s.start());

  test('INV-75, INV-76: all values, with a strong ETag, the revision, and nothing to cache or sniff', async () => {
    const { status, headers, text } = await ask('/v1/secrets');
    expect(status).toBe(200);
    expect(Object.entries(JSON.parse(text))).toEqual(Object.entries(secrets));
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'clef-revision': '7',
    });
    expect(headers['etag']).toMatch(/^"[0-9a-f]{32}"$/);
    expect(headers).not.toHaveProperty('server');
    expect(headers).not.toHaveProperty('x-powered-by');
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  test.each(Object.keys(secrets))('INV-75: one value by its exact name: %s', async (key) => {
    const { status, text } = await ask(`/v1/secrets/${key}`);
    expect([status, text]).toEqual([200, JSON.stringify({ value: secrets[key] })]);
  });

  test('the keys', async () => {
    expect(JSON.parse((await ask('/v1/keys')).text)).toEqual(Object.keys(secrets));
  });

  test.each([
    '/v1/secrets/NOPE',
    '/v1/secrets/valueOf',
    '/v1/secrets/db_url',
    '/v1/secrets/%5f%5fproto%5f%5f',
    '/v1/secrets/DB_URL/',
    '/v1/secrets/..%2fkeys',
    '/v1/secrets/',
    '/v1/watch/',
    '/metrics/',
    '/',
    '/v1',
    '/V1/secrets',
    '/v1/secrets;x',
    '/v1/health/../secrets',
  ])('F16, F17: %s is 404', async (path) => {
    const { status, text } = await ask(path);
    expect([status, JSON.parse(text).error.code]).toEqual([404, 'not_found']);
    expect(text).not.toContain('DB_URL');
  });

  test.each(['/v1/secrets', '/v1/secrets/DB_URL', '/v1/keys', '/v1/nothing', '/metrics'])(
    'F01: without the token, %s is 401',
    async (path) => {
      expect((await ask(path, { authorization: '' })).status).toBe(401);
      expect((await ask(path, { authorization: `Bearer ${'x'.repeat(43)}` })).status).toBe(401);
    },
  );

  test('F20: If-None-Match gives 304 for the tag, for a list with it, and for any; otherwise the answer', async () => {
    const etag = String((await ask('/v1/secrets')).headers['etag']);
    for (const condition of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const { status, headers, text } = await ask('/v1/secrets', { 'if-none-match': condition });
      expect([status, headers['etag'], headers['clef-revision'], text]).toEqual([304, etag, '7', '']);
    }
    for (const condition of ['"x"', etag.slice(1, -1), '']) {
      expect((await ask('/v1/secrets', { 'if-none-match': condition })).status).toBe(200);
    }
  });

  test('F20: Range and Accept change nothing; HEAD has the headers only', async () => {
    const whole = (await ask('/v1/secrets')).text;
    expect((await ask('/v1/secrets', { range: 'bytes=0-1', accept: 'text/html' })).text).toBe(whole);
    const head = await ask('/v1/secrets', {}, 'HEAD');
    expect([head.status, head.text, head.headers['content-length']]).toEqual([
      200,
      '',
      String(Buffer.byteLength(whole)),
    ]);
  });

  test('F24: health and ready say the same with, without and with a wrong token', async () => {
    for (const path of publicPaths) {
      const answers = [
        await ask(path),
        await ask(path, { authorization: '' }),
        await ask(path, { authorization: 'Bearer x' }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    }
  });

  test('INV-79: ready shows words and numbers, no key and no value', async () => {
    const { text } = await ask('/v1/ready');
    expect(JSON.parse(text)).toEqual({
      ready: true,
      revision: 7,
      source: 'remote',
      floor: 'volatile',
      ageSeconds: 0,
    });
  });

  test('a new revision changes the tag', async () => {
    const before = (await ask('/v1/secrets')).headers['etag'] as string;
    s.source.artifact = { revision: 8, secrets: { A: '1' } };
    await s.pass(seconds(37));
    const { status, headers } = await ask('/v1/secrets', { 'if-none-match': before });
    expect([status, headers['clef-revision']]).toEqual([200, '8']);
  });
});

describe('F25, INV-79: an agent without secrets', () => {
  const states: [Absence, () => Promise<void>][] = [
    ['not_loaded', async () => undefined],
    [
      'expired',
      async () => {
        s.source.artifact = { revision: 7, expiresAt: s.clock.now() + 1, secrets };
        await s.start();
        await s.pass(2);
      },
    ],
    [
      'revoked',
      async () => {
        s.source.artifact = { revision: 7, revoked: true };
        await s.start();
      },
    ],
    [
      'stale',
      async () => {
        await s.start();
        s.source.artifact = undefined;
        await s.pass(hours(25));
      },
    ],
    [
      'denied',
      async () => {
        await s.start();
        s.judge.kms = 'denied';
        await s.pass(hours(2));
      },
    ],
  ];
  test.each(states)('%s: 503 with that code everywhere but on health', async (code, reach) => {
    await reach();
    for (const path of ['/v1/secrets', '/v1/keys', '/v1/secrets/DB_URL', '/v1/secrets/NOPE', '/v1/ready']) {
      const { status, text } = await ask(path);
      expect([path, status, JSON.parse(text).error.code]).toEqual([path, 503, code]);
      expect(text).not.toMatch(/DB_URL|postgres/);
    }
    expect((await ask('/v1/health')).status).toBe(200);
    expect((await ask('/v1/secrets', { authorization: '' })).status).toBe(401);
  });
});

test('F33: a right that was taken away: 503 at the first request after the configured time, without a beat of the loop', async () => {
  await s.start();
  s.judge.kms = 'denied';
  s.clock.sleep(hours(1) - 1);
  expect((await ask('/v1/secrets')).status).toBe(200);
  s.clock.sleep(1);
  for (const path of ['/v1/secrets', '/v1/secrets/DB_URL', '/v1/keys'])
    expect([path, (await ask(path)).status]).toEqual([path, 503]);
  expect(s.judge.kmsCalls).toBe(2);
});

test('INV-61: a thousand swaps under a hundred readers: every answer is of one revision', async () => {
  const wide = (revision: number) =>
    Object.fromEntries(
      Array.from({ length: 200 }, (_, index) => [`KEY_${index}`, `${revision}-`.repeat(40)]),
    );
  s.source.artifact = { revision: 1, secrets: wide(1) };
  s.source.etag = undefined;
  await s.start();
  let isOver = false;
  const seen = new Set<string>();
  const readers = Array.from({ length: 100 }, async () => {
    while (!isOver) {
      const { headers, text } = await ask('/v1/secrets');
      const revision = String(headers['clef-revision']);
      expect(text).toBe(JSON.stringify(wide(Number(revision))));
      seen.add(revision);
    }
  });
  for (let revision = 2; revision <= 1_001; revision++) {
    s.source.artifact = bytesOf({ revision, secrets: wide(revision) });
    await s.pass(seconds(37));
    if (revision % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  isOver = true;
  await Promise.all(readers);
  expect(seen.size).toBeGreaterThan(5);
  expect(s.refresh.status().revision).toBe(1_001);
}, 60_000);
