// `/v1/watch` behind the real gate on a real port, and what its watchers are told.
import { connect, type Socket } from 'node:net';
import { type LoopbackServer, startLoopbackServer } from '@clef/loopback';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMetrics, type Gauges, type Metrics } from '../src/metrics.ts';
import { createRoutes, publicPaths } from '../src/routes.ts';
import { followChanges, type Watchers } from '../src/watchers.ts';
import { bytesOf, hours, type Scene, scene, seconds } from './fake-world.ts';

const token = 'k'.repeat(43);
let s: Scene;
let server: LoopbackServer;
let watchers: Watchers;
let sockets: Socket[];
let metrics: Metrics;

beforeEach(async () => {
  sockets = [];
  metrics = createMetrics();
  s = scene({ artifact: { revision: 1, secrets: { A: 'canary-1', B: 'canary-b', C: 'canary-c' } } });
  watchers = followChanges(s.current, s.clock);
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
      watchers,
      metrics,
      formatMetrics: () => '',
    }),
    onRefusal: (code) => metrics.requestRefused(code),
    limits: { maxStreams: 1_000 },
  });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  watchers.stop();
  await server.close(0);
});

type Event = { readonly event: string; readonly id?: string; readonly data: unknown };
type Watcher = { readonly text: () => string; readonly events: () => Event[] };

/** Follows the stream. The head is asserted, chunks are put together. */
async function watch(lastEventId?: string): Promise<Watcher> {
  let raw = '';
  const socket = connect(server.port, '127.0.0.1');
  sockets.push(socket);
  socket.on('data', (chunk) => {
    raw += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  const last = lastEventId === undefined ? '' : `Last-Event-ID: ${lastEventId}\r\n`;
  socket.write(
    `GET /v1/watch HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${token}\r\n${last}\r\n`,
  );
  await until(() => raw.includes('retry: 1000\n\n'));
  expect(raw).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(raw).toContain('Content-Type: text/event-stream\r\n');
  const text = (): string => dechunk(raw.slice(raw.indexOf('\r\n\r\n') + 4));
  return { text, events: () => parseEvents(text()) };
}

function dechunk(body: string): string {
  let text = '';
  for (let at = 0; at < body.length; ) {
    const lineEnd = body.indexOf('\r\n', at);
    if (lineEnd < 0) return text;
    const length = Number.parseInt(body.slice(at, lineEnd), 16);
    if (length === 0 || body.length < lineEnd + 4 + length) return text;
    text += body.slice(lineEnd + 2, lineEnd + 2 + length);
    at = lineEnd + 4 + length;
  }
  return text;
}

function parseEvents(text: string): Event[] {
  const blocks = text.split('\n\n').filter((block) => block.startsWith('event: '));
  return blocks.map((block) => {
    const fields = Object.fromEntries(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    ) as { event: string; id?: string; data: string };
    return { ...fields, data: JSON.parse(fields.data) as unknown };
  });
}

async function until(isDone: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400 && !isDone(); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(isDone()).toBe(true);
}

async function publish(revision: number, secrets: Record<string, string>): Promise<void> {
  s.source.artifact = { revision, secrets };
  await s.pass(seconds(37));
  expect(s.refresh.status().revision).toBe(revision);
}

const revisionEvent = (revision: number, changed: readonly string[]): Event => ({
  event: 'revision',
  id: String(revision),
  data: { revision, changed },
});

test('the first event says where things stand, each further one which keys are new, gone or changed; no values', async () => {
  await s.start();
  const watcher = await watch();
  await until(() => watcher.events().length === 1);
  await publish(2, { A: 'canary-2', B: 'canary-b', C: 'canary-c' });
  await publish(3, { A: 'canary-2', B: 'canary-b', D: 'canary-d' });
  await publish(4, { A: 'canary-2', B: 'canary-b', D: 'canary-d' });
  await until(() => watcher.events().length === 4);
  expect(watcher.events()).toEqual([
    revisionEvent(1, ['A', 'B', 'C']),
    revisionEvent(2, ['A']),
    revisionEvent(3, ['C', 'D']),
    revisionEvent(4, []),
  ]);
  expect(watcher.text()).not.toContain('canary');
});

describe('a watcher that comes back with Last-Event-ID', () => {
  test.each([
    ['has everything', '4', undefined],
    ['missed two changes', '2', ['C', 'D']],
    ['missed all', '1', ['A', 'B', 'C', 'D']],
    ['comes from long ago', '99', ['A', 'B', 'D']],
    ['sends something odd', '"><script>', ['A', 'B', 'D']],
  ])('%s', async (_, lastEventId, changed) => {
    await s.start();
    await publish(2, { A: '2', B: 'b', C: 'c' });
    await publish(3, { A: '2', B: 'b', C: 'c2' });
    await publish(4, { A: '2', B: 'b', D: 'd' });
    const watcher = await watch(lastEventId);
    await publish(5, { A: '5', B: 'b', D: 'd' });
    await until(() => watcher.events().length === (changed === undefined ? 1 : 2));
    expect(watcher.events()[0]).toEqual(
      changed === undefined ? revisionEvent(5, ['A']) : revisionEvent(4, changed),
    );
    expect(watcher.events().at(-1)).toEqual(revisionEvent(5, ['A']));
  });
});

test('before anything is loaded, when it expires, is revoked and comes again', async () => {
  s.source.artifact = undefined;
  await s.start();
  const watcher = await watch();
  await until(() => watcher.events().length === 1);
  s.source.artifact = { revision: 1, expiresAt: s.clock.now() + hours(1), secrets: { A: '1', B: 'b' } };
  await s.pass(seconds(75));
  await s.pass(hours(1));
  s.source.artifact = { revision: 2, secrets: { A: '2', B: 'b' } };
  await s.pass(seconds(75));
  s.source.artifact = { revision: 3, revoked: true };
  await s.pass(seconds(75));
  await until(() => watcher.events().length === 5);
  expect(watcher.events()).toEqual([
    { event: 'unavailable', data: { code: 'not_loaded' } },
    revisionEvent(1, ['A', 'B']),
    { event: 'unavailable', data: { code: 'expired' } },
    revisionEvent(2, ['A']),
    { event: 'unavailable', data: { code: 'revoked' } },
  ]);
});

test('F33: who begins to watch after the configured time is told what the KMS says now', async () => {
  await s.start();
  s.judge.kms = 'denied';
  s.clock.sleep(hours(1));
  const watcher = await watch();
  await until(() => watcher.events().length > 0);
  expect(watcher.events()).toEqual([{ event: 'unavailable', data: { code: 'denied' } }]);
});

test('a heartbeat every 15 seconds, only while somebody watches', async () => {
  await s.start();
  const before = s.clock.pending();
  const watcher = await watch();
  await until(() => watchers.count() === 1);
  for (let count = 0; count < 3; count += 1) await s.pass(seconds(15));
  await until(() => watcher.text().split(': still here\n\n').length === 4);
  for (const socket of sockets) socket.destroy();
  await until(() => watchers.count() === 0);
  await s.pass(seconds(16));
  expect(s.clock.pending()).toBe(before);
});

/** The beginning of the answer to one who asks for the stream. */
async function headOf(method: string, authorization = `Authorization: Bearer ${token}\r\n`): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  sockets.push(socket);
  let raw = '';
  socket.on('data', (chunk) => {
    raw += chunk.toString('latin1');
  });
  socket.write(`${method} /v1/watch HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n${authorization}\r\n`);
  await until(() => raw !== '');
  return raw;
}

test('without the token: 401', async () => {
  expect(await headOf('GET', '')).toMatch(/^HTTP\/1\.1 401 /);
});

const noGauges: Gauges = {
  revision: undefined,
  epoch: undefined,
  expiresAtSeconds: undefined,
  lastSuccessTimestampSeconds: undefined,
  ready: false,
  floorDurable: false,
  connections: 0,
  watchers: 0,
  heartbeatLagSeconds: 0,
};

test('a thousand watchers get every change, once and in order, while others ask', async () => {
  await s.start();
  const all: Watcher[] = [];
  for (let count = 0; count < 1_000; count += 100) {
    all.push(...(await Promise.all(Array.from({ length: 100 }, () => watch()))));
  }
  expect(watchers.count()).toBe(1_000);
  expect(await headOf('GET')).toMatch(/^HTTP\/1\.1 429 /);
  expect(await headOf('HEAD')).toMatch(/^HTTP\/1\.1 200 /);
  const counted = metrics.format('0', noGauges);
  expect(counted, 'one too many counts as refused').toContain('{reason="too_many_streams"} 1\n');
  expect(counted).toContain('{route="/v1/watch",status="200"} 1001\n');
  const changes = 30;
  for (let revision = 2; revision <= changes + 1; revision += 1) {
    s.source.artifact = bytesOf({ revision, secrets: { A: `canary-${revision}`, B: 'canary-b' } });
    await s.pass(seconds(37));
    if (revision % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const wanted = [
    revisionEvent(1, ['A', 'B', 'C']),
    revisionEvent(2, ['A', 'C']),
    ...Array.from({ length: changes - 1 }, (_, index) => revisionEvent(index + 3, ['A'])),
  ];
  await until(() => all.every((watcher) => watcher.text().includes(`id: ${changes + 1}\n`)));
  for (const watcher of all) expect(watcher.events()).toEqual(wanted);
}, 30_000);
