// Answers that go on: their own cap beside that of requests, what becomes of a client that does not read, and their end.
import { describe, expect, it } from 'vitest';
import type { LoopbackOptions, Reply, StreamSink } from '../src/index.ts';
import { exchange, open, pause, request, serverWith } from './raw-client.ts';

type Streams = { readonly sinks: Set<StreamSink>; readonly options: Partial<LoopbackOptions> };

/** `/stream` goes on, everything else is answered at once. */
function streams(limits: LoopbackOptions['limits'] = {}): Streams {
  const sinks = new Set<StreamSink>();
  const stream: Reply = {
    status: 200,
    headers: { 'Content-Type': 'text/event-stream' },
    body: (sink) => {
      sinks.add(sink);
      sink.onClose(() => sinks.delete(sink));
      sink.write(Buffer.from('first\n'));
    },
  };
  return {
    sinks,
    options: {
      respond: ({ path }) => (path === '/stream' ? stream : { status: 200, body: 'whole' }),
      limits,
    },
  };
}

const streamOf = (port: number): string => request(port, { target: '/stream' });

async function until(isDone: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !isDone(); tries += 1) await pause(20);
  expect(isDone()).toBe(true);
}

describe('a stream', () => {
  it('goes out piece by piece without a length, outlives the write timeout, and ends its connection', async () => {
    const { sinks, options } = streams({ writeTimeoutSeconds: 1 });
    const server = await serverWith(options);
    const answer = exchange(server.port, streamOf(server.port), { quietMs: 3_500 });
    await until(() => sinks.size === 1);
    await pause(2_500);
    for (const sink of sinks) sink.write(Buffer.from('second\n'));
    await pause(50);
    for (const sink of sinks) sink.end();
    const { text, isClosed } = await answer;
    expect(isClosed).toBe(true);
    expect(text).toContain('Transfer-Encoding: chunked\r\n');
    expect(text).toContain('Cache-Control: no-store\r\n');
    expect(text).not.toContain('Content-Length');
    expect(text).toMatch(/\r\n\r\n6\r\nfirst\n\r\n7\r\nsecond\n\r\n0\r\n\r\n$/);
    await until(() => sinks.size === 0);
  });

  it('HEAD has its headers and no stream', async () => {
    const { sinks, options } = streams();
    const server = await serverWith(options);
    const { text, statuses } = await exchange(
      server.port,
      request(server.port, { method: 'HEAD', target: '/stream' }),
    );
    expect(statuses).toEqual([200]);
    expect(text).toContain('text/event-stream');
    expect(text).not.toContain('first');
    expect(sinks.size).toBe(0);
  });

  it('F21: what is sent behind it on its connection is not looked at', async () => {
    const { options } = streams();
    const server = await serverWith(options);
    await exchange(server.port, streamOf(server.port) + request(server.port));
    expect(server.calls).toHaveLength(1);
  });

  it('INV-72: streams have a cap of their own, and leave the room of requests free', async () => {
    const { sinks, options } = streams({ maxStreams: 20, maxConnections: 2 });
    const server = await serverWith(options);
    const sockets = await Promise.all(Array.from({ length: 2 }, () => open(server.port)));
    for (let count = 0; count < 20; count += 1) {
      const socket = await open(server.port);
      socket.resume().write(streamOf(server.port));
      sockets.push(socket);
      await until(() => sinks.size === count + 1);
    }
    expect(server.connections()).toMatchObject({ streams: 20 });
    const refused = await exchange(server.port, streamOf(server.port));
    expect(refused.statuses).toEqual([429]);
    expect(refused.text).toContain('"code":"too_many_streams"');
    expect(refused.text).toContain('Retry-After: 10');
    expect(server.refusals).toContain('too_many_streams');
    expect((await exchange(server.port, request(server.port))).statuses).toEqual([200]);
    for (const socket of sockets) socket.destroy();
    await until(() => server.connections().streams === 0);
  });

  it('F54: a client that does not read is cut off, without memory being spent on it, and others go on', async () => {
    const { sinks, options } = streams();
    const server = await serverWith(options);
    const lazy = await open(server.port);
    lazy.pause().write(streamOf(server.port));
    await until(() => sinks.size === 1);
    const eager = exchange(server.port, streamOf(server.port), { quietMs: 1_000 });
    await until(() => sinks.size === 2);
    const piece = Buffer.alloc(16_384, 0x61);
    for (let count = 0; count < 1_000 && sinks.size === 2; count += 1) {
      for (const sink of sinks) sink.write(piece);
      await pause(1);
    }
    expect(sinks.size).toBe(1);
    for (const sink of sinks) sink.end();
    expect((await eager).text).toMatch(/0\r\n\r\n$/);
    lazy.destroy();
  });

  it('F57: closing the server ends it whole, at once', async () => {
    const { sinks, options } = streams();
    const server = await serverWith(options);
    const answer = exchange(server.port, streamOf(server.port), { quietMs: 3_000 });
    await until(() => sinks.size === 1);
    const started = performance.now();
    await server.close(25);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect((await answer).text).toMatch(/0\r\n\r\n$/);
  });

  it('all can be ended while the server goes on', async () => {
    const { sinks, options } = streams();
    const server = await serverWith(options);
    const answer = exchange(server.port, streamOf(server.port), { quietMs: 3_000 });
    await until(() => sinks.size === 1);
    server.endStreams();
    expect((await answer).isClosed).toBe(true);
    expect((await exchange(server.port, request(server.port))).statuses).toEqual([200]);
  });
});
