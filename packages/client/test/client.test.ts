import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClefAgentError, get, secrets } from '../src/index.ts';

const token = 'T'.repeat(43);
let folder: string;
let server: Server | undefined;
let seen: { authorization: string | undefined; etag: string | undefined; host: string | undefined }[] = [];

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

function json(response: ServerResponse, status: number, body: unknown, etag?: string): void {
  response.writeHead(status, { 'content-type': 'application/json', ...(etag ? { etag } : {}) });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

async function agentThat(answer: Answer, listen: number | string = 0): Promise<string> {
  server = createServer((request, response) => {
    const { authorization, host, 'if-none-match': etag } = request.headers;
    seen.push({ authorization, etag, host });
    answer(request, response);
  });
  await new Promise<void>((resolve) =>
    server?.listen(typeof listen === 'string' ? listen : { port: listen, host: '127.0.0.1' }, resolve),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function errorOf(promise: Promise<unknown>): Promise<ClefAgentError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ClefAgentError);
  return error as ClefAgentError;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clef-client-'));
  seen = [];
});
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server?.listening ? server.close(resolve) : resolve(undefined)));
  await rm(folder, { recursive: true });
});

describe('values', () => {
  test('all values come as a frozen object without a prototype, odd names included', async () => {
    const url = await agentThat((_, response) =>
      json(response, 200, '{"__proto__":"p","constructor":"c","DB_URL":"postgres://x"}'),
    );
    const values = await secrets({ url, token });
    expect(Object.getPrototypeOf(values)).toBeNull();
    expect(Object.isFrozen(values)).toBe(true);
    expect(Object.entries(values)).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
      ['DB_URL', 'postgres://x'],
    ]);
  });

  test('one value is asked for with the token in the Authorization header only and a literal Host', async () => {
    const url = await agentThat((_, response) => json(response, 200, { DB_URL: 'v' }));
    expect(await get('DB_URL', { url, token })).toBe('v');
    expect(seen).toEqual([
      { authorization: `Bearer ${token}`, etag: undefined, host: url.slice('http://'.length) },
    ]);
  });

  test('an unchanged revision costs a 304 and gives the very same object; a new one a new object', async () => {
    let revision = 1;
    const url = await agentThat((request, response) => {
      const etag = `"r${revision}"`;
      if (request.headers['if-none-match'] === etag) response.writeHead(304, { etag }).end();
      else json(response, 200, { A: String(revision) }, etag);
    });
    const first = await secrets({ url, token });
    expect(await secrets({ url, token })).toBe(first);
    revision = 2;
    expect(await get('A', { url, token })).toBe('2');
    expect(seen.map(({ etag }) => etag)).toEqual([undefined, '"r1"', '"r1"']);
  });

  test('a Unix socket works as an option and as a unix: address', async () => {
    const socketPath = join(folder, 's');
    await agentThat((_, response) => json(response, 200, { A: 'a' }), socketPath);
    expect(await get('A', { socketPath, token })).toBe('a');
    expect(await get('A', { url: `unix:${socketPath}`, token })).toBe('a');
  });

  test('the first line of the token file is the token; a refused token is read again once', async () => {
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, `${'o'.repeat(43)}\n`);
    const url = await agentThat((request, response) => {
      if (request.headers.authorization === `Bearer ${token}`) return json(response, 200, { A: 'a' });
      void writeFile(tokenFile, `${token}\n${'o'.repeat(43)}\n`).then(() =>
        json(response, 401, { error: { code: 'unauthorized' } }),
      );
    });
    expect(await get('A', { url, tokenFile })).toBe('a');
    expect(seen.length).toBe(2);
  });
});

describe('an agent that is still starting', () => {
  test('a refused connection is tried again until the agent listens', async () => {
    const url = await agentThat(() => undefined);
    const { port } = new URL(url);
    await new Promise((resolve) => server?.close(resolve));
    const asked = secrets({ url, token });
    await agentThat((_, response) => json(response, 200, { A: 'late' }), Number(port));
    expect(await asked).toEqual({ A: 'late' });
  });

  test('503 not_loaded is tried again; a token file that appears is read', async () => {
    let calls = 0;
    const url = await agentThat((_, response) =>
      ++calls < 3
        ? json(response, 503, { error: { code: 'not_loaded', message: 'x' } })
        : json(response, 200, { A: 'a' }),
    );
    const tokenFile = join(folder, 'token');
    const asked = get('A', { url, tokenFile });
    await writeFile(tokenFile, `${token}\n`);
    expect(await asked).toBe('a');
    expect(calls).toBe(3);
  });

  test.each(['expired', 'revoked', 'stale', 'denied'])('503 %s is final and named', async (code) => {
    const url = await agentThat((_, response) => json(response, 503, { error: { code, message: 'x' } }));
    const error = await errorOf(secrets({ url, token }));
    expect(error).toMatchObject({ code: 'not_ready', reason: code });
    expect(seen.length).toBe(1);
  });
});

describe('errors say what to do', () => {
  test('an absent agent', async () => {
    const url = await agentThat(() => undefined);
    await new Promise((resolve) => server?.close(resolve));
    const error = await errorOf(secrets({ url, token, waitSeconds: 0 }));
    expect(error.code).toBe('absent');
    expect(error.message).toBe(
      `No Clef agent answers at ${url} (ECONNREFUSED). Start one with: clef agent; or set CLEF_AGENT_URL to where it listens`,
    );
  });

  test('a token file that is not there', async () => {
    const error = await errorOf(secrets({ tokenFile: join(folder, 'none'), waitSeconds: 0 }));
    expect(error.code).toBe('token');
    expect(error.message).toContain('(ENOENT): start the agent');
  });

  test('a token that the agent refuses, given as a value, is not sent twice', async () => {
    const url = await agentThat((_, response) =>
      json(response, 401, { error: { code: 'unauthorized', message: 'x' } }),
    );
    const error = await errorOf(secrets({ url, token }));
    expect(error.code).toBe('denied');
    expect(error.message).not.toContain(token);
    expect(seen.length).toBe(1);
  });

  test('an unknown key, names of Object.prototype among them', async () => {
    const url = await agentThat((_, response) => json(response, 200, { A: 'a' }));
    for (const key of ['NOPE', '__proto__', 'constructor', 'toString']) {
      expect((await errorOf(get(key, { url, token }))).code).toBe('unknown_key');
    }
  });

  test.each([
    ['no JSON', '<html>canary-7f</html>'],
    ['an array of numbers', '[1]'],
    ['a number for a value', '{"A":1}'],
    ['nested values', '{"A":{"B":"canary-7f"}}'],
  ])('an answer that is not an agent’s (%s) is refused and not quoted', async (_, body) => {
    const url = await agentThat((__, response) => json(response, 200, body));
    const error = await errorOf(secrets({ url, token }));
    expect(error.code).toBe('protocol');
    expect(error.message).not.toContain('canary');
  });

  test('an answer without end is cut', async () => {
    const url = await agentThat((_, response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(1 << 20, 0x20);
      const pour = (): void => void (response.writable && response.write(chunk, () => setImmediate(pour)));
      pour();
    });
    expect((await errorOf(secrets({ url, token, waitSeconds: 0 }))).code).toBe('absent');
  });
});

describe('the token goes to this machine only', () => {
  test.each([
    'http://localhost:7779',
    'https://127.0.0.1:7779',
    'http://127.0.0.1.evil.example:7779',
    'http://127.0.0.1:7779@evil.example',
    'http://user@127.0.0.1:7779',
    'http://evil.example',
    'http://0.0.0.0:7779',
    'http://127.1:7779',
    'http://2130706433:7779',
    'http://127.0.0.1:7779/path',
    'http://127.0.0.1:77790',
    'http://127.0.0.1',
    'unix:relative',
    ' http://127.0.0.1:7779',
    'http://127.0.0.1:7779\n',
  ])('%j is refused', async (url) => {
    expect((await errorOf(secrets({ url, token }))).code).toBe('config');
  });

  test.each(['', 'a b', 'a\r\nX: y', 'é', 'x'.repeat(513)])('a token like %j is refused', async (bad) => {
    expect((await errorOf(secrets({ token: bad, waitSeconds: 0 }))).code).toBe('token');
  });

  test('a redirect is not followed', async () => {
    const url = await agentThat((_, response) =>
      response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    );
    expect((await errorOf(secrets({ url, token }))).code).toBe('protocol');
    expect(seen.length).toBe(1);
  });
});
