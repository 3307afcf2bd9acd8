// A client that sends exactly the bytes it is given, and servers for the tests to aim it at.
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import {
  type LoopbackOptions,
  type LoopbackRequest,
  type LoopbackServer,
  type Reply,
  startLoopbackServer,
} from '../src/index.ts';

export const token = 'T0ken-'.padEnd(43, 'x');

export type TestServer = LoopbackServer & {
  readonly calls: LoopbackRequest[];
  readonly refusals: string[];
  readonly faults: unknown[];
};

/** A server like the agent's: GET and HEAD, no bodies, a token, two public paths. It answers 200 with its path. */
export async function serverWith(changes: Partial<LoopbackOptions> = {}): Promise<TestServer> {
  const calls: LoopbackRequest[] = [];
  const refusals: string[] = [];
  const faults: unknown[] = [];
  const { respond = echoPath, ...rest } = changes;
  const server = await startLoopbackServer({
    listen: { port: 0 },
    methods: ['GET', 'HEAD'],
    maxBodyBytes: 0,
    publicPaths: ['/v1/health', '/v1/ready'],
    token: () => [Buffer.from(token)],
    onRefusal: (code) => refusals.push(code),
    onFault: (cause) => faults.push(cause),
    respond: (request) => {
      calls.push(request);
      return respond(request);
    },
    ...rest,
  });
  onTestFinished(() => server.close(0));
  return { ...server, calls, refusals, faults };
}

function echoPath(request: LoopbackRequest): Reply {
  return { status: 200, headers: { 'Content-Type': 'text/plain' }, body: `you asked for ${request.path}` };
}

export type Answer = {
  readonly text: string;
  readonly statuses: readonly number[];
  readonly isClosed: boolean;
};

/** Sends `bytes` and returns everything that came back until the other side closed, or until `quietMs` of silence. */
export function exchange(
  port: number,
  bytes: string | Uint8Array,
  options: { quietMs?: number } = {},
): Promise<Answer> {
  return new Promise((settle) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    const finish = (isClosed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      settle({
        text,
        statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1])),
        isClosed,
      });
    };
    let timer = setTimeout(() => finish(false), 5_000);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      clearTimeout(timer);
      timer = setTimeout(() => finish(false), options.quietMs ?? 150);
    });
    socket.on('close', () => finish(true));
    socket.on('error', () => finish(true));
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  });
}

export function open(port: number): Promise<Socket> {
  return new Promise((settle, fail) => {
    const socket = connect(port, '127.0.0.1', () => settle(socket));
    socket.on('error', fail);
  });
}

export type RequestParts = {
  method?: string;
  target?: string;
  version?: string;
  headers?: readonly string[];
  body?: string;
  host?: string | null;
  authorization?: string | null;
};

/** The lines of a request that is in order, except for the parts given. `null` leaves a header out. */
export function request(port: number, parts: RequestParts = {}): string {
  const { method = 'GET', target = '/v1/secrets', version = 'HTTP/1.1', headers = [], body = '' } = parts;
  const { host = `127.0.0.1:${port}`, authorization = `Bearer ${token}` } = parts;
  const lines = [`${method} ${target} ${version}`];
  if (host !== null) lines.push(`Host: ${host}`);
  if (authorization !== null) lines.push(`Authorization: ${authorization}`);
  return `${[...lines, ...headers.map((line) => line.replaceAll('PORT', String(port)))].join('\r\n')}\r\n\r\n${body}`;
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((settle) => setTimeout(settle, milliseconds));
