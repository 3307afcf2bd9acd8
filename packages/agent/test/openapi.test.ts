// docs/openapi.yaml against an agent that runs: every status that it promises for every route is got from it, and its body
// and headers are as the document says.
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { routeTable } from '../src/route-table.ts';
import { type Stage, setStage } from './stage.ts';

type Schema = Record<string, unknown>;
type Response = {
  readonly $ref?: string;
  readonly headers?: Record<string, { readonly $ref: string }>;
  readonly content?: Record<string, { readonly schema?: Schema }>;
};
type Document = {
  readonly paths: Record<
    string,
    { readonly get: { readonly security?: unknown[]; readonly responses: Record<string, Response> } }
  >;
  readonly components: {
    readonly responses: Record<string, Response>;
    readonly headers: Record<string, { readonly schema: Schema }>;
  };
};

const document = parse(
  await readFile(fileURLToPath(new URL('../../../docs/openapi.yaml', import.meta.url)), 'utf8'),
) as Document;
const ajv = new Ajv({ strict: true, allErrors: true });

let stage: Stage;
let port: number;
let token: string;
const sockets: Socket[] = [];

type Reply = { readonly status: number; readonly headers: Map<string, string>; readonly body: string };

/** Sends exactly these bytes and reads until the connection ends or is silent. */
function exchange(bytes: string, quietMilliseconds: number): Promise<Reply> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    let raw = '';
    const finish = (): void => {
      clearTimeout(timer);
      resolve(readReply(raw));
    };
    let timer = setTimeout(finish, quietMilliseconds);
    socket.on('data', (chunk) => {
      raw += chunk.toString('latin1');
      clearTimeout(timer);
      timer = setTimeout(finish, 100);
    });
    socket.on('error', () => undefined);
    socket.on('close', finish);
    socket.write(bytes);
  });
}

function readReply(raw: string): Reply {
  const [head = '', ...rest] = raw.split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const headers = lines.map(
    (line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)] as const,
  );
  return { status: Number(first.split(' ')[1]), headers: new Map(headers), body: rest.join('\r\n\r\n') };
}

type Parts = {
  readonly method?: string;
  readonly target?: string;
  readonly authorization?: string | null;
  readonly headers?: string;
};

function request(path: string, parts: Parts = {}): string {
  const { method = 'GET', target = path, authorization = `Bearer ${token}`, headers = '' } = parts;
  const proof = authorization === null ? '' : `Authorization: ${authorization}\r\n`;
  return `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${proof}${headers}\r\n`;
}

/** How each status is brought about, for a path that names a real key. */
const triggers: Record<string, (path: string) => string | Promise<string>> = {
  200: (path) => request(path),
  304: (path) => request(path, { headers: 'If-None-Match: *\r\n' }),
  400: (path) => request(path, { target: `${path}?x=1` }),
  401: (path) => request(path, { authorization: null }),
  403: (path) => request(path, { headers: 'Origin: https://evil.example\r\n' }),
  404: (path) => request(path.replace(/[^/]+$/, 'NO_SUCH_KEY')),
  405: (path) => request(path, { method: 'POST' }),
  408: (path) => `GET ${path} HTTP/1.1\r\nHost: `,
  414: (path) => request(path, { target: `${path}/${'x'.repeat(5_000)}` }),
  417: (path) => request(path, { headers: 'Expect: 100-continue\r\n' }),
  429: async (path) => {
    await Promise.all(
      Array.from({ length: 1_024 }, async () => {
        const socket = connect(port, '127.0.0.1');
        sockets.push(socket);
        socket.on('error', () => undefined);
        const began = new Promise((resolve) => socket.once('data', resolve));
        socket.write(request(path));
        await began;
      }),
    );
    return request(path);
  },
  431: (path) => request(path, { headers: `X-A: ${'x'.repeat(20_000)}\r\n` }),
  503: (path) => request(path),
};

const promised = Object.entries(document.paths).flatMap(([path, { get }]) =>
  Object.entries(get.responses).map(([status, response]) => [path, status, resolve(response)] as const),
);
const unavailable = promised.filter(([, status]) => status === '503');
const loaded = promised.filter(([, status]) => status !== '503' && status !== '429');
const last = promised.filter(([, status]) => status === '429');

function resolve(response: Response): Response {
  if (response.$ref === undefined) return response;
  const named = document.components.responses[response.$ref.split('/').at(-1) as string];
  if (named === undefined) throw new Error(`${response.$ref} leads nowhere`);
  return named;
}

async function check(path: string, status: string, response: Response): Promise<void> {
  const trigger = triggers[status];
  if (trigger === undefined) throw new Error(`Nobody knows how to bring about ${status}`);
  const real = path.replace('{key}', 'DB_URL');
  const reply = await exchange(await trigger(real), status === '408' ? 6_000 : 1_000);
  expect(`${path} ${reply.status}`).toBe(`${path} ${status}`);
  expect(reply.headers.get('cache-control')).toBe('no-store');
  expect(reply.headers.get('x-content-type-options')).toBe('nosniff');
  for (const [name, { $ref }] of Object.entries(response.headers ?? {})) {
    const { schema } = document.components.headers[$ref.split('/').at(-1) as string] as { schema: Schema };
    expect(ajv.validate(schema, reply.headers.get(name.toLowerCase())), `${path} ${status} ${name}`).toBe(
      true,
    );
  }
  checkBody(`${path} ${status}`, response, reply);
}

function checkBody(what: string, { content }: Response, reply: Reply): void {
  if (content === undefined) return void expect(reply.body, what).toBe('');
  const [type = '', { schema } = {}] = Object.entries(content)[0] ?? [];
  expect(reply.headers.get('content-type'), what).toBe(type);
  if (schema === undefined) return;
  const isAsPromised = ajv.validate(schema, JSON.parse(reply.body));
  expect(isAsPromised, `${what}: ${reply.body} ${ajv.errorsText()}`).toBe(true);
}

beforeAll(async () => {
  stage = await setStage();
  port = stage.port;
  stage.run();
  await stage.until('/v1/health', ({ status }) => status === 200);
  token = await stage.token();
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await stage.close();
});

test('it has exactly the routes of the table, and asks for a token where they do', () => {
  const routes = Object.entries(document.paths).map(([path, { get }]) => [path, get.security?.length === 0]);
  expect(routes).toEqual(routeTable.map(({ path, isPublic }) => [path, isPublic]));
});

test('every status that it promises for every route is given, with that body and those headers', async () => {
  expect(promised.length).toBeGreaterThan(60);
  for (const [path, status, response] of unavailable) await check(path, status, response);
  await stage.publish({ secrets: { DB_URL: 'postgres://canary' } });
  await stage.until('/v1/ready', ({ status }) => status === 200);
  await Promise.all(loaded.map(([path, status, response]) => check(path, status, response)));
  for (const [path, status, response] of last) await check(path, status, response);
});
