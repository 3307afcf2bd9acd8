// The https source against real servers on this machine.

import dns, { type LookupAddress } from 'node:dns';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createPlainServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer, type Server } from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from '@clef/host';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createHttpsSource } from '../src/sources/https.ts';
import { isMetadataAddress } from '../src/sources/metadata-addresses.ts';
import { maxArtifactBytes, SourceError, type Validator } from '../src/sources/source.ts';
import { certificate } from './certificate.ts';

type LookupReply = (error: null, addresses: readonly LookupAddress[]) => void;

const now = () => Date.UTC(2026, 0, 31, 12, 0, 0);
const limits = { connectMilliseconds: 500, totalMilliseconds: 1_000 };
const closers: (() => void)[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clef-https-'));
  await writeFile(join(folder, 'cert.pem'), certificate.cert);
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(listener: RequestListener, isTls = false): Promise<URL> {
  const server = isTls ? createTlsServer(certificate, listener) : createPlainServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    (server as Server).closeAllConnections();
    server.close();
  });
  return new URL(
    `http${isTls ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}/artifact?part=1`,
  );
}

async function serveBytes(write: (socket: Socket) => void): Promise<URL> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    write(socket);
    closers.push(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

function fetchFrom(url: URL, validator?: Validator) {
  return createHttpsSource(url, now, limits).fetch(validator, new AbortController().signal);
}

async function failureOf(url: URL, validator?: Validator): Promise<SourceError> {
  const error = await fetchFrom(url, validator).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SourceError);
  return error as SourceError;
}

describe('a good answer', () => {
  test('bytes and validators come back; the request asks for identity encoding and carries no credential', async () => {
    let seen: Record<string, unknown> = {};
    const url = await serve((request, response) => {
      seen = { ...request.headers, url: request.url, method: request.method };
      response
        .writeHead(200, { etag: '"a"', 'last-modified': 'Sat, 31 Jan 2026 11:00:00 GMT' })
        .end('{"a":1}');
    });
    const fetched = await fetchFrom(url);
    expect(fetched).toEqual({
      kind: 'artifact',
      bytes: new TextEncoder().encode('{"a":1}'),
      validator: { etag: '"a"', lastModified: 'Sat, 31 Jan 2026 11:00:00 GMT' },
    });
    expect(seen).toMatchObject({ 'accept-encoding': 'identity', method: 'GET', url: '/artifact?part=1' });
    expect(seen).not.toHaveProperty('authorization');
    expect(seen).not.toHaveProperty('cookie');
  });

  test('F63: the validators go out again, and 304 means unchanged', async () => {
    const validator = { etag: '"a"', lastModified: 'Sat, 31 Jan 2026 11:00:00 GMT' };
    const url = await serve((request, response) => {
      const isSame =
        request.headers['if-none-match'] === validator.etag &&
        request.headers['if-modified-since'] === validator.lastModified;
      response.writeHead(isSame ? 304 : 500).end();
    });
    expect(await fetchFrom(url, validator)).toEqual({ kind: 'unchanged' });
  });

  test('INV-57: exactly 1 MiB passes', async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(maxArtifactBytes, 0x20)));
    const fetched = await fetchFrom(url);
    expect(fetched.kind === 'artifact' && fetched.bytes.length).toBe(maxArtifactBytes);
  });
});

describe('F44, K05: statuses', () => {
  test.each([
    [401, 'refused'],
    [403, 'refused'],
    [404, 'not_found'],
    [410, 'not_found'],
    [429, 'throttled'],
    [500, 'unavailable'],
    [503, 'unavailable'],
    [304, 'redirect'],
    [202, 'bad_response'],
    [203, 'bad_response'],
    [204, 'bad_response'],
    [206, 'bad_response'],
    [400, 'bad_response'],
  ])('%i is %s', async (status, code) => {
    const url = await serve((_, response) => response.writeHead(status).end());
    expect((await failureOf(url)).code).toBe(code);
  });

  test.each([
    ['3600', 3_600],
    ['Sat, 31 Jan 2026 12:10:00 GMT', 600],
    ['Sat, 31 Jan 2026 11:00:00 GMT', 0],
    ['999999999', 86_400],
    ['soon', undefined],
    ['-5', undefined],
  ])('Retry-After %j is %s seconds', async (text, seconds) => {
    const url = await serve((_, response) => response.writeHead(503, { 'retry-after': text }).end());
    expect((await failureOf(url)).retryAfterSeconds).toBe(seconds);
  });
});

describe('INV-58, K07: redirects are not followed', () => {
  test.each([301, 302, 303, 307, 308])('%i', async (status) => {
    let requests = 0;
    const url = await serve((_, response) => {
      requests++;
      response.writeHead(status, { location: '/other' }).end();
    });
    expect((await failureOf(url)).code).toBe('redirect');
    expect(requests).toBe(1);
  });
});

describe('INV-57: endless, compressed, cut and slow answers', () => {
  test.each(['gzip', 'br', 'deflate', 'identity, gzip', 'x'])(
    'content-encoding %s is refused',
    async (encoding) => {
      const url = await serve((_, response) =>
        response.writeHead(200, { 'content-encoding': encoding }).end('{}'),
      );
      expect((await failureOf(url)).code).toBe('bad_response');
    },
  );

  test('an announced length over the limit is not read', async () => {
    const url = await serve((_, response) =>
      response.writeHead(200, { 'content-length': maxArtifactBytes + 1 }).write('{'),
    );
    expect((await failureOf(url)).code).toBe('too_large');
  });

  test('an unannounced one of one byte more is too large', async () => {
    const url = await serve((_, response) => {
      response.write(' ');
      response.end(Buffer.alloc(maxArtifactBytes, 0x20));
    });
    expect((await failureOf(url)).code).toBe('too_large');
  });

  test('an unannounced one is cut at the limit', async () => {
    const url = await serve((_, response) => {
      const chunk = Buffer.alloc(65_536, 0x20);
      const pour = (): void => {
        if (!response.destroyed) response.write(chunk, () => setImmediate(pour));
      };
      pour();
    });
    expect((await failureOf(url)).code).toBe('too_large');
  });

  test('a body shorter than announced is no artifact', async () => {
    const url = await serveBytes((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"a"'));
    expect((await failureOf(url)).code).toBe('unavailable');
  });

  test('a trickle ends at the total limit', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(drip));
    });
    const before = performance.now();
    expect((await failureOf(url)).code).toBe('timeout');
    expect(performance.now() - before).toBeLessThan(20_000);
  });

  test('silence after connecting ends at the total limit', async () => {
    const url = await serveBytes(() => undefined);
    expect((await failureOf(url)).code).toBe('timeout');
  });

  test('a TLS handshake that never ends stops at the connect limit', async () => {
    const plain = await serveBytes(() => undefined);
    const url = new URL(`https://127.0.0.1:${plain.port}/`);
    const patient = createHttpsSource(url, now, { ...limits, totalMilliseconds: 25_000 });
    const before = performance.now();
    const fetching = patient.fetch(undefined, new AbortController().signal);
    await expect(fetching).rejects.toMatchObject({ code: 'timeout' });
    expect(performance.now() - before).toBeLessThan(20_000);
  });

  test.each(['garbage\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: \0\r\n\r\n'])('%j is not HTTP', async (bytes) => {
    const url = await serveBytes((socket) => socket.end(bytes));
    expect((await failureOf(url)).code).toBe('bad_response');
  });
});

describe('F38: TLS', () => {
  test('a certificate of an unknown authority is refused', async () => {
    const url = await serve((_, response) => response.end('{}'), true);
    expect((await failureOf(url)).code).toBe('tls');
  });

  test('plain text on a TLS port is refused', async () => {
    const plain = await serve((_, response) => response.end('{}'));
    expect((await failureOf(new URL(`https://127.0.0.1:${plain.port}/`))).code).toBe('tls');
  });

  test('NODE_EXTRA_CA_CERTS adds an authority, for the names in its certificates only', async () => {
    const url = await serve((_, response) => response.end('{"a":1}'), true);
    const script = `
      import { createHttpsSource } from ${JSON.stringify(new URL('../src/sources/https.ts', import.meta.url).href)};
      for (const url of process.argv.slice(-2)) {
        const result = await createHttpsSource(new URL(url), () => 0).fetch(undefined, new AbortController().signal)
          .then(({ kind }) => kind, ({ code }) => code);
        console.log(result);
      }`;
    const result = await runChild({
      command: process.execPath,
      args: [
        '--import',
        'tsx',
        '--conditions=clef-source',
        '--input-type=module',
        '-e',
        script,
        '--',
        url.href,
        `https://localhost:${url.port}/`,
      ],
      environment: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') },
      stdio: 'capture',
    });
    expect(new TextDecoder().decode(result.stdout).trim().split('\n')).toEqual(['artifact', 'tls']);
  });
});

describe('INV-58: metadata addresses', () => {
  test.each([
    ['169.254.169.254', true],
    ['169.254.170.2', true],
    ['fe80::1', true],
    ['fd00:ec2::254', true],
    ['::ffff:169.254.169.254', true],
    ['100.100.100.200', true],
    ['127.0.0.1', false],
    ['::1', false],
    ['10.0.0.1', false],
    ['example.com', false],
  ])('%s: %s', (address, isRefused) => {
    expect(isMetadataAddress(address)).toBe(isRefused);
  });

  test('a name that leads to one is not followed there; beside another address, that one is taken', async () => {
    let asked = 0;
    const url = await serve((_, response) => response.end(String(++asked)));
    url.hostname = 'artifacts.example';
    const leadTo = (...addresses: string[]) =>
      vi.spyOn(dns, 'lookup').mockImplementation(((_name: string, _options: unknown, reply: LookupReply) =>
        reply(
          null,
          addresses.map((address) => ({ address, family: 4 })),
        )) as never);
    try {
      leadTo('169.254.169.254');
      syncBuiltinESMExports();
      expect((await failureOf(url)).code).toBe('refused');
      leadTo('169.254.169.254', '127.0.0.1');
      syncBuiltinESMExports();
      expect((await fetchFrom(url)).kind).toBe('artifact');
    } finally {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    }
    expect(asked).toBe(1);
  });
});

test('a refused connection is an outage, and says nothing of the address', async () => {
  const url = await serve(() => undefined);
  for (const close of closers.splice(0)) close();
  const error = await failureOf(url);
  expect(error.code).toBe('unavailable');
  expect(error.message).not.toContain('127.0.0.1');
  expect(error.cause).toBeUndefined();
});

test('giving up ends the request', async () => {
  const url = await serve(() => undefined);
  const controller = new AbortController();
  const fetching = createHttpsSource(url, now, limits).fetch(undefined, controller.signal);
  controller.abort();
  await expect(fetching).rejects.toBeInstanceOf(SourceError);
});
