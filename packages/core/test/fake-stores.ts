// Places that hold one object, as S3, Cloud Storage and a plain HTTPS store answer for it: with ETag or generation, and
// conditional writes. On this machine, over real HTTP.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';

export type StoreKind = 's3' | 'gs' | 'https';

export type FakeStore = {
  readonly kind: StoreKind;
  /** What a person writes after --to. */
  readonly address: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly held: () => Uint8Array | undefined;
  /** Puts something there behind everybody's back. */
  readonly put: (bytes: Uint8Array) => void;
  /** From now on every request is answered so; undefined ends it. */
  readonly answer: (status: number | undefined, headers?: Readonly<Record<string, string>>) => void;
  /** Called after a read and before its answer is sent. */
  readonly onRead: (act: () => void) => void;
  readonly requests: () => readonly string[];
};

const servers: { close(): unknown; closeAllConnections(): void }[] = [];
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

type State = {
  bytes: Uint8Array | undefined;
  generation: number;
  answer: { status: number; headers: Readonly<Record<string, string>> } | undefined;
  onRead: () => void;
  requests: string[];
  readonly isAllowed: (authorization: string | undefined) => boolean;
};

const testToken = (authorization: string | undefined): boolean => authorization === 'Bearer test-token';

/**
 * A store with nothing in it.
 * @param isAllowed - Whether whoever sends this `Authorization` may come in; S3 asks nobody.
 */
export async function fakeStore(kind: StoreKind, isAllowed = testToken): Promise<FakeStore> {
  const state: State = {
    bytes: undefined,
    generation: 0,
    answer: undefined,
    onRead: () => undefined,
    requests: [],
    isAllowed,
  };
  const server = createServer((request, response) => void respond(kind, state, request, response));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    kind,
    ...places[kind](origin),
    held: () => state.bytes,
    put: (bytes) => {
      state.bytes = bytes;
      state.generation += 1;
    },
    answer: (status, headers = {}) => {
      state.answer = status === undefined ? undefined : { status, headers };
    },
    onRead: (act) => {
      state.onRead = act;
    },
    requests: () => state.requests,
  };
}

const places: Readonly<
  Record<StoreKind, (origin: string) => { address: string; environment: Record<string, string> }>
> = {
  s3: (origin) => ({
    address: 's3://artifacts/api/development.json?region=eu-west-1',
    environment: {
      AWS_ENDPOINT_URL_S3: origin,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
  }),
  gs: (origin) => ({
    address: 'gs://artifacts/api/development.json',
    environment: { CLEF_GCS_ENDPOINT: origin, GOOGLE_OAUTH_ACCESS_TOKEN: 'test-token' },
  }),
  https: (origin) => ({
    address: `${origin}/artifacts/api.json?signature=SECRET-IN-QUERY`,
    environment: { CLEF_PUBLISH_TOKEN: 'test-token' },
  }),
};

async function respond(
  kind: StoreKind,
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  state.requests.push(`${request.method} ${request.url}`);
  if (state.answer !== undefined) {
    response.writeHead(state.answer.status, state.answer.headers);
    response.end(kind === 's3' ? s3Error(state.answer.status) : '');
  } else if (kind !== 's3' && !state.isAllowed(request.headers.authorization)) {
    response.writeHead(401).end();
  } else if (request.method === 'GET') read(kind, state, response);
  else write(kind, state, request, Buffer.concat(chunks), response);
}

function read(kind: StoreKind, state: State, response: ServerResponse): void {
  const { bytes, generation } = state;
  if (bytes === undefined) response.writeHead(404).end(kind === 's3' ? s3Error(404) : '');
  else
    response
      .writeHead(200, {
        etag: etagOf(bytes),
        ...(kind === 'gs' && { 'x-goog-generation': String(generation) }),
      })
      .end(bytes);
  state.onRead();
}

function write(
  kind: StoreKind,
  state: State,
  request: IncomingMessage,
  bytes: Uint8Array,
  response: ServerResponse,
): void {
  if (!isAsWanted(kind, state, request)) {
    response.writeHead(412).end(kind === 's3' ? s3Error(412) : '');
    return;
  }
  state.bytes = bytes;
  state.generation += 1;
  response.writeHead(200, { etag: etagOf(bytes) }).end(kind === 'gs' ? '{}' : '');
}

function isAsWanted(kind: StoreKind, state: State, { url = '', headers }: IncomingMessage): boolean {
  if (kind === 'gs') {
    const wanted = new URL(url, 'http://x').searchParams.get('ifGenerationMatch');
    return wanted === null || Number(wanted) === (state.bytes === undefined ? 0 : state.generation);
  }
  if (headers['if-none-match'] === '*') return state.bytes === undefined;
  const wanted = headers['if-match'];
  return wanted === undefined || (state.bytes !== undefined && wanted === etagOf(state.bytes));
}

function etagOf(bytes: Uint8Array): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

const s3Codes: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  403: 'AccessDenied',
  404: 'NoSuchKey',
  412: 'PreconditionFailed',
};

function s3Error(status: number): string {
  const code = s3Codes[status] ?? 'InternalError';
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>UPSTREAM-TEXT</Message></Error>`;
}
