// The server around the gate: where it listens, how long it waits, how much it takes, and how it ends.
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect, createServer, Server as NetServer, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  errorReply,
  json,
  type LoopbackCode,
  LoopbackError,
  type LoopbackOptions,
  prepareReply,
  type Reply,
  startLoopbackServer,
} from '../src/index.ts';
import { exchange, open, pause, request, serverWith, token } from './raw-client.ts';

const emulator: Partial<LoopbackOptions> = {
  methods: ['GET', 'POST', 'PUT'],
  maxBodyBytes: 1_000,
  allowQuery: true,
  publicPaths: [],
};

/** A server like the emulator's: bodies and queries are allowed. */
async function bodied(changes: Partial<LoopbackOptions> = {}) {
  return await serverWith({ ...emulator, ...changes });
}

function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'clef-loopback-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function codeOf(work: Promise<unknown>): Promise<LoopbackCode> {
  try {
    await work;
  } catch (cause) {
    if (cause instanceof LoopbackError) return cause.code;
    throw cause;
  }
  throw new Error('It started');
}

describe('listening', () => {
  it('INV-63: only on 127.0.0.1', async () => {
    const server = await serverWith();
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    const others = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter((address) => address.address !== '127.0.0.1');
    for (const { address, scopeid } of others) {
      const host = scopeid ? `${address}%${scopeid}` : address;
      const outcome = await new Promise((settle) => {
        const socket = connect(server.port, host, () => settle('connected')).on('error', () =>
          settle('refused'),
        );
        onTestFinished(() => void socket.destroy());
      });
      expect(outcome).toBe('refused');
    }
  });

  it('F-56, INV-69: a port in use is an error, and the other server is not disturbed', async () => {
    const server = await serverWith();
    expect(await codeOf(serverWith({ listen: { port: server.port } }))).toBe('port_in_use');
    expect((await exchange(server.port, request(server.port), { quietMs: 50 })).statuses).toEqual([200]);
  });

  it.each([-1, 65_536, 1.5, Number.NaN])('F-56: port %d is no port', async (port) => {
    expect(await codeOf(serverWith({ listen: { port } }))).toBe('address');
  });

  it('accepts further hosts by name with its own port, or by literal, and still no other', async () => {
    const server = await serverWith({ hosts: ['localhost', 'metadata.internal:80'] });
    const statusFor = async (host: string) =>
      (await exchange(server.port, request(server.port, { host }), { quietMs: 50 })).statuses[0];
    expect(await statusFor(`localhost:${server.port}`)).toBe(200);
    expect(await statusFor('metadata.internal:80')).toBe(200);
    expect(await statusFor('localhost')).toBe(403);
    expect(await statusFor('metadata.internal')).toBe(403);
    expect(await statusFor('evil.example')).toBe(403);
  });

  describe('on a Unix socket', () => {
    const ask = (socketPath: string, host: string) =>
      new Promise<number | undefined>((settle, fail) => {
        const headers = { Host: host, Authorization: `Bearer ${token}` };
        httpRequest({ socketPath, path: '/v1/secrets', headers, agent: false }, (response) => {
          response.resume();
          settle(response.statusCode);
        })
          .on('error', fail)
          .end();
      });

    it('makes a private directory and a private socket, answers to "localhost", and takes the socket away', async () => {
      const socketPath = join(temporaryFolder(), 'run', 'agent.sock');
      const server = await serverWith({ listen: { socketPath } });
      expect(server).toMatchObject({ port: 0, url: `unix:${socketPath}` });
      expect(statSync(socketPath).mode & 0o777).toBe(0o600);
      expect(statSync(join(socketPath, '..')).mode & 0o777).toBe(0o700);
      expect(await ask(socketPath, 'localhost')).toBe(200);
      expect(await ask(socketPath, '127.0.0.1')).toBe(403);
      expect(await ask(socketPath, 'evil.example')).toBe(403);
      await server.close(0);
      expect(existsSync(socketPath)).toBe(false);
    });

    it('INV-80: from its first moment it is a socket for nobody else', async () => {
      const socketPath = join(temporaryFolder(), 'agent.sock');
      const { listen } = NetServer.prototype;
      const modes: number[] = [];
      const listening = vi.spyOn(NetServer.prototype, 'listen').mockImplementation(function (
        this: NetServer,
        ...where: unknown[]
      ) {
        Reflect.apply(listen, this, where);
        modes.push(statSync(socketPath).mode & 0o777);
        return this;
      });
      try {
        await serverWith({ listen: { socketPath } });
      } finally {
        listening.mockRestore();
      }
      expect(modes).toEqual([0o600]);
    });

    it('INV-80: with a group, the socket is 0660 and its new directory 0750; one that is there is left alone', async () => {
      const groupId = process.getgroups?.().at(-1) ?? 0;
      const folder = temporaryFolder();
      const socketPath = join(folder, 'run', 'agent.sock');
      await serverWith({ listen: { socketPath, groupId } });
      const facts = [socketPath, join(folder, 'run')].map((path) => statSync(path));
      expect(facts.map(({ mode, gid }) => [mode & 0o777, gid])).toEqual([
        [0o660, groupId],
        [0o750, groupId],
      ]);
      chmodSync(folder, 0o755);
      await serverWith({ listen: { socketPath: join(folder, 'other.sock'), groupId } });
      expect(statSync(folder).mode & 0o777).toBe(0o755);
    });

    it('replaces the socket of a dead process, not that of a living one', async () => {
      const socketPath = join(temporaryFolder(), 'agent.sock');
      const dead = createServer();
      await new Promise<void>((settle) => dead.listen(socketPath, settle));
      expect(await codeOf(serverWith({ listen: { socketPath } }))).toBe('port_in_use');
      // Closing would remove the file; a killed process leaves it behind.
      linkSync(socketPath, `${socketPath}.kept`);
      await new Promise((settle) => dead.close(settle));
      renameSync(`${socketPath}.kept`, socketPath);
      await serverWith({ listen: { socketPath } });
      expect(await ask(socketPath, 'localhost')).toBe(200);
    });

    it.each([
      [
        'a file in its place',
        (folder: string) => writeFileSync(join(folder, 'agent.sock'), 'mine'),
        'address',
      ],
      [
        'a symbolic link in its place',
        (folder: string) => symlinkSync('/etc/passwd', join(folder, 'agent.sock')),
        'address',
      ],
      ['a directory in its place', (folder: string) => mkdirSync(join(folder, 'agent.sock')), 'address'],
      ['a directory that others may write to', (folder: string) => chmodSync(folder, 0o777), 'permission'],
    ])('refuses %s', async (_title, prepare, code) => {
      const folder = temporaryFolder();
      prepare(folder);
      expect(await codeOf(serverWith({ listen: { socketPath: join(folder, 'agent.sock') } }))).toBe(code);
    });

    it('refuses a path that the system would cut', async () => {
      expect(
        await codeOf(serverWith({ listen: { socketPath: join(temporaryFolder(), 'x'.repeat(120)) } })),
      ).toBe('address');
    });
  });
});

describe('bodies, where the owner allows them', () => {
  const post = (port: number, parts: Parameters<typeof request>[1]) =>
    request(port, { method: 'POST', target: '/', ...parts });

  it.each([
    ['by length', { headers: ['Content-Length: 5'], body: 'hello' }, 'hello'],
    [
      'in chunks',
      { headers: ['Transfer-Encoding: chunked'], body: '2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n' },
      'hello',
    ],
    [
      'of exactly the limit',
      { headers: ['Content-Length: 1000'], body: 'x'.repeat(1_000) },
      'x'.repeat(1_000),
    ],
    ['empty', { headers: ['Content-Length: 0'] }, ''],
    ['none at all', {}, ''],
  ])('%s', async (_title, parts, expected) => {
    const server = await bodied();
    const answer = await exchange(server.port, post(server.port, parts), { quietMs: 50 });
    expect(answer.statuses).toEqual([200]);
    expect(Buffer.from(server.calls[0]?.body ?? []).toString()).toBe(expected);
  });

  it.each([
    ['F12: a length over the limit', { headers: ['Content-Length: 1001'], body: 'x'.repeat(1_001) }, 413],
    ['F12: a huge length, refused before a byte of it', { headers: ['Content-Length: 999999999999'] }, 413],
    [
      'F12: chunks over the limit',
      { headers: ['Transfer-Encoding: chunked'], body: `3e9\r\n${'x'.repeat(1_001)}\r\n0\r\n\r\n` },
      413,
    ],
    [
      'F13: Content-Length and Transfer-Encoding',
      { headers: ['Content-Length: 5', 'Transfer-Encoding: chunked'], body: '0\r\n\r\n' },
      400,
    ],
    ['F13: gzip, chunked', { headers: ['Transfer-Encoding: gzip, chunked'], body: '0\r\n\r\n' }, 400],
    ['F13: xchunked', { headers: ['Transfer-Encoding: xchunked'], body: 'hello' }, 400],
    ['F13: a bad chunk size', { headers: ['Transfer-Encoding: chunked'], body: 'zz\r\n' }, 400],
    ['F19: Expect', { headers: ['Content-Length: 5', 'Expect: 100-continue'] }, 417],
    ['F12: GET with a body', { method: 'GET', headers: ['Content-Length: 5'], body: 'hello' }, 400],
    ['F07: Origin', { headers: ['Origin: https://evil.example'] }, 403],
    ['F10: a method that is not in the list', { method: 'DELETE' }, 405],
    ['F16: an escape in the path', { target: '/%41' }, 404],
  ])('%s is refused', async (_title, parts, status) => {
    const server = await bodied();
    const answer = await exchange(server.port, post(server.port, parts));
    expect(answer.statuses).toEqual([status]);
    expect(answer.isClosed).toBe(true);
    expect(server.calls).toEqual([]);
  });

  it('F23: a client that breaks off in the middle of its body is not answered and not counted', async () => {
    const server = await bodied();
    const socket = await open(server.port);
    socket.write(post(server.port, { headers: ['Content-Length: 100'], body: 'half' }));
    await pause(50);
    socket.destroy();
    await pause(50);
    expect(server.calls).toEqual([]);
    expect(server.faults).toEqual([]);
  });

  it('a query is handed over as it is, apart from the path', async () => {
    const server = await bodied();
    await exchange(server.port, request(server.port, { target: '/a/b?x=%2F&y' }), { quietMs: 50 });
    await exchange(server.port, request(server.port, { target: '/a?' }), { quietMs: 50 });
    expect(server.calls.map(({ path, query }) => [path, query])).toEqual([
      ['/a/b', 'x=%2F&y'],
      ['/a', ''],
    ]);
  });

  it('without a token option nobody is asked for one', async () => {
    const seen: unknown[] = [];
    const server = await startLoopbackServer({
      listen: { port: 0 },
      methods: ['GET'],
      maxBodyBytes: 0,
      publicPaths: [],
      respond: (asked) => {
        seen.push(asked.principal);
        return json(200, {});
      },
    });
    onTestFinished(() => server.close(0));
    expect(
      (await exchange(server.port, request(server.port, { authorization: null }), { quietMs: 50 })).statuses,
    ).toEqual([200]);
    expect(
      (await exchange(server.port, request(server.port, { authorization: null, host: 'evil.example' })))
        .statuses,
    ).toEqual([403]);
    expect(seen).toEqual([undefined]);
  });
});

describe('replies', () => {
  const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

  it.each([
    ['text', { status: 200, body: 'é' }, 'Content-Length: 2', '\xc3\xa9'],
    ['bytes', { status: 200, body: Uint8Array.of(0, 255) }, 'Content-Length: 2', '\x00\xff'],
    ['nothing', { status: 200 }, 'Content-Length: 0', ''],
    ['JSON', json(200, { a: 1 }, { ETag: '"x"' }), 'ETag: "x"', '{"a":1}'],
    [
      'an error',
      errorReply(503, 'not_loaded', 'Nothing is loaded yet'),
      'HTTP/1.1 503',
      '{"error":{"code":"not_loaded","message":"Nothing is loaded yet"}}',
    ],
    ['a prepared reply', prepareReply(json(200, [1])), 'Content-Length: 3', '[1]'],
  ] as ReadonlyArray<readonly [string, Reply, string, string]>)('%s', async (_title, reply, header, body) => {
    for (const respond of [() => reply, async () => reply]) {
      const server = await serverWith({ respond });
      const { text } = await exchange(server.port, request(server.port), { quietMs: 50 });
      expect(text).toContain(header);
      expect(text).toContain('Cache-Control: no-store');
      expect(bodyOf(text)).toBe(body);
    }
  });

  it('F20: 304 has neither body nor length', async () => {
    const server = await serverWith({ respond: () => ({ status: 304, headers: { ETag: '"x"' } }) });
    const { text } = await exchange(server.port, request(server.port), { quietMs: 50 });
    expect(text).toMatch(/^HTTP\/1\.1 304 /);
    expect(text).not.toMatch(/content-length|transfer-encoding/i);
    expect(bodyOf(text)).toBe('');
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('CANARY');
      },
    ],
    ['rejects', () => Promise.reject(new Error('CANARY'))],
    [
      'sets a header that would split the reply',
      () => ({ status: 200, headers: { 'X-A': 'a\r\nSet-Cookie: CANARY' } }),
    ],
    ['sets such a header late', async () => ({ status: 200, headers: { 'X-A': 'a\r\nSet-Cookie: CANARY' } })],
    ['returns nothing', () => undefined as unknown as Reply],
  ] as ReadonlyArray<readonly [string, () => Reply | Promise<Reply>]>)(
    'F-60, INV-77: an owner that %s is a 500 without a word of it, and the next request is served',
    async (_title, respond) => {
      let isFirst = true;
      const server = await serverWith({
        respond: () => {
          const wasFirst = isFirst;
          isFirst = false;
          return wasFirst ? respond() : json(200, 'fine');
        },
      });
      const answer = await exchange(server.port, request(server.port) + request(server.port), {
        quietMs: 100,
      });
      expect(answer.statuses).toEqual([500, 200]);
      expect(answer.text).not.toContain('CANARY');
      expect(server.faults).toHaveLength(1);
    },
  );
});

describe('connections', () => {
  it('F21: pipelined requests are answered in order up to the cap; then the connection ends', async () => {
    let number = 0;
    const server = await serverWith({
      respond: () => ({ status: 200, body: `#${number++};` }),
      limits: { maxPipelined: 64 },
    });
    const answer = await exchange(server.port, request(server.port).repeat(1_000));
    const numbers = [...answer.text.matchAll(/#(\d+);/g)].map((match) => Number(match[1]));
    expect(numbers).toEqual(numbers.map((_, n) => n));
    // The first few may be answered before the others are read.
    expect(numbers.length).toBeGreaterThan(64);
    expect(numbers.length).toBeLessThan(130);
    expect(answer.isClosed).toBe(true);
    expect(server.calls).toHaveLength(numbers.length);
  });

  it('F21: slow answers to pipelined requests keep their order', async () => {
    let number = 0;
    const server = await serverWith({
      respond: async () => {
        const mine = number++;
        await pause(60 - mine * 20);
        return { status: 200, body: `#${mine};` };
      },
    });
    const answer = await exchange(server.port, request(server.port).repeat(3), { quietMs: 300 });
    expect([...answer.text.matchAll(/#\d;/g)].join('')).toBe('#0;#1;#2;');
  });

  it('F12: nothing after a refused request is looked at', async () => {
    const server = await serverWith();
    const answer = await exchange(
      server.port,
      request(server.port, { headers: ['Content-Length: 5'] }) + request(server.port),
    );
    expect(answer.statuses).toEqual([400]);
    expect(server.calls).toEqual([]);
  });

  it('INV-73: one connection serves a thousand requests, the last one saying so', async () => {
    const server = await serverWith();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const ports = new Set<number | undefined>();
    let lastConnection: string | undefined;
    for (let round = 0; round < 1_001; round += 1) {
      await new Promise<void>((settle, fail) => {
        const asked = httpRequest(
          {
            agent,
            host: '127.0.0.1',
            port: server.port,
            path: '/v1/secrets',
            headers: { Authorization: `Bearer ${token}` },
          },
          (response) => {
            response.resume().on('end', settle);
            ports.add(asked.socket?.localPort);
            if (round === 999) lastConnection = response.headers.connection;
          },
        );
        asked.on('error', fail).end();
      });
    }
    expect(lastConnection).toBe('close');
    expect(ports.size).toBe(2);
  });

  // Together, because each takes four seconds.
  it('F22: 408 within 5 s for a client that says nothing, stops in the middle of its headers, or sends a byte a second', async () => {
    const server = await serverWith();
    const whole = request(server.port);
    const started = performance.now();
    const dribble = await open(server.port);
    const letters = [...whole];
    const timer = setInterval(() => dribble.write(letters.shift() ?? 'x'), 1_000);
    const answers = await Promise.all([
      endOf(await open(server.port), ''),
      endOf(await open(server.port), 'G'),
      endOf(await open(server.port), whole.slice(0, 40)),
      endOf(await open(server.port), whole.slice(0, -2)),
      endOf(dribble, letters.shift() ?? ''),
    ]);
    clearInterval(timer);
    expect(performance.now() - started).toBeLessThan(5_000);
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(server.calls).toEqual([]);
  });

  it('F22: a body that does not come gets 408', async () => {
    const server = await bodied({ limits: { headersTimeoutSeconds: 1, requestTimeoutSeconds: 1 } });
    const lines = request(server.port, { method: 'POST', headers: ['Content-Length: 10'], body: 'half' });
    expect(await endOf(await open(server.port), lines)).toMatch(/^HTTP\/1\.1 408 /);
    expect(server.calls).toEqual([]);
  });

  it('F22: the second request of a connection has no more time than the first', async () => {
    const server = await serverWith({ limits: { headersTimeoutSeconds: 1 } });
    const answer = await endOf(await open(server.port), `${request(server.port)}GET /v1/sec`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 408 /);
  });

  it('F23: a client that resets after its headers leaves nothing behind', async () => {
    let answerLate: (() => void) | undefined;
    const server = await serverWith({
      respond: () =>
        new Promise((settle) => {
          answerLate = () => settle(json(200, 'late'));
        }),
    });
    const socket = await open(server.port);
    socket.write(request(server.port));
    await pause(50);
    socket.resetAndDestroy();
    await pause(50);
    answerLate?.();
    await pause(50);
    expect(server.faults).toEqual([]);
    await server.close(5);
  });

  it('F23, F-54: a client that does not read is cut off after the write timeout, and others are served meanwhile', async () => {
    const body = new Uint8Array(8_000_000);
    const server = await serverWith({
      respond: (asked) => ({ status: 200, body: asked.path === '/large' ? body : 'small' }),
      limits: { writeTimeoutSeconds: 1 },
    });
    const stuck = await Promise.all(Array.from({ length: 20 }, () => open(server.port)));
    const closed = stuck.map((socket) => closeOf(socket.pause()));
    for (const socket of stuck) socket.write(request(server.port, { target: '/large' }));
    await pause(100);
    expect((await exchange(server.port, request(server.port), { quietMs: 50 })).text).toContain('small');
    const started = performance.now();
    await pause(2_600);
    for (const socket of stuck) socket.resume();
    await Promise.all(closed);
    expect(performance.now() - started).toBeLessThan(4_000);
    expect(stuck.every((socket) => socket.bytesRead < body.length)).toBe(true);
  });

  it('F-53, INV-72: hundreds of slow clients do not keep an honest one out', async () => {
    const server = await serverWith({ limits: { maxConnections: 100 } });
    const slow: Socket[] = [];
    onTestFinished(() => slow.forEach((socket) => void socket.destroy()));
    const times: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      const more = await Promise.all(Array.from({ length: 25 }, () => open(server.port)));
      for (const socket of more) socket.on('error', () => undefined).write('GET /v1/secrets HTTP/1.1\r\nHos');
      slow.push(...more);
      const started = performance.now();
      const lines = request(server.port, { headers: ['Connection: close'] });
      expect((await exchange(server.port, lines)).statuses).toEqual([200]);
      times.push(performance.now() - started);
    }
    expect(slow).toHaveLength(500);
    expect(times.sort((a, b) => a - b)[18]).toBeLessThan(2_000);
    await pause(50);
    expect(slow.filter((socket) => !socket.destroyed).length).toBeLessThanOrEqual(100);
  });

  it('INV-72: the connection that goes is the one that has been without a request the longest', async () => {
    const server = await serverWith({ limits: { maxConnections: 3 } });
    const [first, second, third] = await Promise.all([
      open(server.port),
      open(server.port),
      open(server.port),
    ]);
    await pause(30);
    first?.resume().write(request(server.port));
    await pause(30);
    third?.resume().write(request(server.port));
    await pause(30);
    const fourth = await open(server.port);
    await closeOf(second?.resume());
    expect([first?.destroyed, third?.destroyed, fourth.destroyed]).toEqual([false, false, false]);
    first?.destroy();
    third?.destroy();
    fourth.destroy();
  });

  it('503: when every connection has a request in progress, a newcomer is told so', async () => {
    const release: Array<() => void> = [];
    const server = await serverWith({
      respond: () => new Promise((settle) => release.push(() => settle(json(200, 'done')))),
      limits: { maxConnections: 2 },
    });
    const busy = [exchange(server.port, request(server.port)), exchange(server.port, request(server.port))];
    await pause(50);
    const answer = await exchange(server.port, request(server.port));
    expect(answer.statuses).toEqual([503]);
    expect(answer.isClosed).toBe(true);
    for (const go of release) go();
    expect((await Promise.all(busy)).map((each) => each.statuses)).toEqual([[200], [200]]);
    expect(server.calls).toHaveLength(2);
  });
});

describe('closing', () => {
  it('F-57: idle connections go at once, a request in progress is finished, then nothing listens', async () => {
    const server = await serverWith({
      respond: async () => {
        await pause(200);
        return json(200, 'done');
      },
    });
    const idle = await open(server.port);
    const idleClosed = closeOf(idle.resume());
    const running = exchange(server.port, request(server.port), { quietMs: 1_000 });
    await pause(50);
    const closing = server.close(5);
    expect(await Promise.race([idleClosed.then(() => 'idle'), running.then(() => 'running')])).toBe('idle');
    await expect(open(server.port)).rejects.toThrow(/ECONNREFUSED/);
    const answer = await running;
    expect(answer.statuses).toEqual([200]);
    expect(answer.text).toContain('Connection: close');
    await closing;
    await server.close(0);
  });

  it('F-57: a connection that was just in use is answered once more', async () => {
    const server = await serverWith({});
    const socket = await open(server.port);
    const said = endOf(socket, request(server.port));
    await new Promise((resolve) => socket.once('data', resolve));
    const closing = server.close(5);
    await pause(70);
    socket.write(request(server.port));
    expect((await said).match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    await closing;
  });

  it('F-57: what does not finish in the time of grace is cut off', async () => {
    const server = await serverWith({ respond: () => new Promise<Reply>(() => undefined) });
    const running = exchange(server.port, request(server.port));
    await pause(50);
    const started = performance.now();
    await server.close(0.3);
    expect(performance.now() - started).toBeGreaterThan(250);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(await running).toMatchObject({ text: '', isClosed: true });
  });
});

function endOf(socket: Socket, bytes: string): Promise<string> {
  return new Promise((settle) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => settle(text));
    if (bytes !== '') socket.write(bytes);
  });
}

function closeOf(socket: Socket | undefined): Promise<void> {
  return new Promise((settle) => {
    socket?.on('error', () => undefined);
    socket?.on('close', () => settle());
  });
}
