import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClefAgentError, type ClefClient, createClient, type SecretsChange } from '../src/index.ts';

const token = 'T'.repeat(43);
type Values = Record<string, string>;

/** An agent as far as the routes that are followed go. */
type FakeAgent = {
  url: string;
  values: Values;
  hasWatch: boolean;
  status: number;
  asked: string[];
  tell(event?: string): void;
  cutStreams(): void;
};

let server: Server;
let agent: FakeAgent;
let client: ClefClient<Values>;
let changes: SecretsChange<Values>[];
let errors: unknown[];
const rejections: unknown[] = [];
const noteRejection = (reason: unknown): void => void rejections.push(reason);

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    if (tries === 400) throw new Error('gave up');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function startFake(): Promise<FakeAgent> {
  const streams = new Set<ServerResponse>();
  const fake: FakeAgent = {
    url: '',
    values: { A: '1', B: '1' },
    hasWatch: true,
    status: 200,
    asked: [],
    tell: (event = 'revision') => {
      for (const stream of streams) stream.write(`event: ${event}\nid: 1\ndata: {}\n\n`);
    },
    cutStreams: () => {
      for (const stream of streams) stream.destroy();
    },
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    fake.asked.push(request.url ?? '');
    if (request.url === '/v1/watch') {
      if (!fake.hasWatch) return void response.writeHead(404).end('{}');
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 1000\n\n');
      response.on('close', () => streams.delete(response));
      return void streams.add(response);
    }
    const body = JSON.stringify(fake.values);
    const etag = `"${Buffer.from(body).toString('hex')}"`;
    if (fake.status !== 200)
      return void response.writeHead(fake.status).end('{"error":{"code":"revoked","message":"x"}}');
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
    response.writeHead(200, { etag }).end(body);
  };
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return fake;
}

function follow(pollSeconds?: number): () => void {
  return client.onChange((change) => void changes.push(change), {
    onError: (error) => void errors.push(error),
    ...(pollSeconds !== undefined && { pollSeconds }),
  });
}

const watching = (): boolean => agent.asked.includes('/v1/watch');

beforeEach(async () => {
  process.on('unhandledRejection', noteRejection);
  agent = await startFake();
  client = createClient({ url: agent.url, token, waitSeconds: 0 });
  [changes, errors] = [[], []];
});
afterEach(async () => {
  client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  process.off('unhandledRejection', noteRejection);
  expect(rejections).toEqual([]);
});

describe('onChange', () => {
  test('tells each change once with the names that are new, gone or of another value, and not the beginning', async () => {
    follow();
    await until(watching);
    agent.tell();
    agent.values = { A: '2', C: '1' };
    agent.tell();
    agent.tell();
    await until(() => changes.length > 0);
    agent.values = { A: '3', C: '1' };
    agent.tell();
    await until(() => changes.length > 1);
    expect(changes.map(({ changed }) => changed)).toEqual([['A', 'B', 'C'], ['A']]);
    expect(changes[1]?.values).toEqual({ A: '3', C: '1' });
    expect(errors).toEqual([]);
  });

  test('a change between the last answer and the subscription is told', async () => {
    await client.all();
    agent.values = { A: '2', B: '1' };
    follow();
    await until(() => changes.length === 1);
    expect(changes[0]?.changed).toEqual(['A']);
  });

  test('a new revision with the same values is no change', async () => {
    follow();
    await until(watching);
    agent.values = { B: '1', A: '1' };
    agent.tell();
    await until(() => agent.asked.filter((path) => path === '/v1/secrets').length === 2);
    agent.values = { A: '2', B: '1' };
    agent.tell();
    await until(() => changes.length > 0);
    expect(changes).toHaveLength(1);
  });

  test('a broken stream is opened again, and what changed meanwhile is told', async () => {
    follow();
    await until(watching);
    agent.values = { A: '2', B: '1' };
    agent.cutStreams();
    await until(() => changes.length === 1);
    await until(() => agent.asked.filter((path) => path === '/v1/watch').length === 2);
  });

  test('an agent without /v1/watch is asked now and then', async () => {
    agent.hasWatch = false;
    follow(1);
    await until(watching);
    agent.values = { A: '2', B: '1' };
    await until(() => changes.length === 1);
  });

  test('an outage is reported once, with its code and without a value, and heals', async () => {
    follow();
    await until(watching);
    agent.status = 503;
    agent.tell('unavailable');
    agent.tell('unavailable');
    await until(() => errors.length === 1);
    expect(errors[0]).toMatchObject({ code: 'not_ready', reason: 'revoked' });
    agent.status = 200;
    agent.values = { A: 'canary-9c', B: '1' };
    agent.tell();
    await until(() => changes.length === 1);
    expect(String(errors)).not.toContain('canary');
  });

  test('an agent that is away is come back to', async () => {
    const { port } = new URL(agent.url);
    await client.all();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    follow();
    await until(() => errors.length === 1);
    expect(errors[0]).toBeInstanceOf(ClefAgentError);
    expect(errors[0]).toMatchObject({ code: 'absent' });
    agent.values = { A: '2', B: '1' };
    server.listen(Number(port), '127.0.0.1');
    await until(() => changes.length === 1);
  });

  test.each([
    [
      'throws',
      () => {
        throw new TypeError('canary-callback');
      },
    ],
    [
      'rejects',
      async () => {
        throw new TypeError('canary-callback');
      },
    ],
  ] as const)('a callback that %s is reported and followed on', async (_, callback) => {
    let calls = 0;
    client.onChange(
      () => {
        calls++;
        return callback();
      },
      { onError: (error) => void errors.push(error) },
    );
    await until(watching);
    for (const A of ['2', '3']) {
      agent.values = { A, B: '1' };
      agent.tell();
      await until(() => errors.length === Number(A) - 1);
    }
    expect(calls).toBe(2);
  });

  test('without onError a callback’s error becomes a warning that does not quote it', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    client.onChange(() => {
      throw new TypeError('canary-callback');
    });
    await until(watching);
    agent.values = { A: '2', B: '1' };
    agent.tell();
    const warning = await warned;
    expect(warning.name).toBe('ClefAgentWarning');
    expect(warning.message).not.toContain('canary');
  });

  test.each([
    ['the returned function', (stop: () => void) => stop()],
    ['close()', () => client.close()],
  ])('%s ends the stream; nothing is told afterwards', async (_, end) => {
    const stop = follow();
    await until(watching);
    end(stop);
    await until(() => {
      agent.tell();
      return true;
    });
    const count = agent.asked.length;
    agent.values = { A: '2', B: '1' };
    agent.tell();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(agent.asked).toHaveLength(count);
    expect([changes, errors]).toEqual([[], []]);
  });
});

describe('a client', () => {
  test('names its keys as a type', async () => {
    const typed = createClient<{ A: string; B: 'one' | '1' }>({ url: agent.url, token });
    const b: 'one' | '1' = await typed.get('B');
    expect(b).toBe('1');
    // @ts-expect-error: there is no such key
    await expect(typed.get('C')).rejects.toMatchObject({ code: 'unknown_key' });
    typed.close();
  });

  test('closed by hand or by a signal, it refuses every question, also one that is waiting', async () => {
    const end = new AbortController();
    const other = createClient({ url: 'http://127.0.0.1:1', token, waitSeconds: 60, signal: end.signal });
    const waiting = other.get('A');
    end.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'closed' });
    await expect(other.all()).rejects.toMatchObject({ code: 'closed' });
    const late = createClient({ url: agent.url, token, signal: AbortSignal.abort() });
    await expect(late.all()).rejects.toMatchObject({ code: 'closed' });
    expect(agent.asked).toEqual([]);
  });

  test.each([Number.NaN, -1])('waitSeconds %d is refused', (waitSeconds) => {
    expect(() => createClient({ url: agent.url, token, waitSeconds })).toThrow(/waitSeconds/);
  });

  test('the wait for an agent that is starting ends in time', async () => {
    const patient = createClient({ url: 'http://127.0.0.1:1', token, waitSeconds: 0.5 });
    const started = performance.now();
    await expect(patient.all()).rejects.toMatchObject({ code: 'absent' });
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
