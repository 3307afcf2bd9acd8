// Places that hold one object, as S3, Cloud Storage and a plain HTTPS store answer for it: with ETag or generation, and
// with conditional reads and writes. On this machine, over real HTTP, until the file's last test.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';
import { answerCloudStorage, gcsError } from './cloud-storage.ts';
import { type Call, type Held, storedIn } from './held-object.ts';

export type StoreKind = 's3' | 'gs' | 'https';

/** Answers instead of the store. */
export type Script = (response: ServerResponse, request: IncomingMessage) => void;

export type FakeStore = {
  readonly kind: StoreKind;
  readonly url: string;
  /** What a person writes after --to, and an operator as source. */
  readonly address: string;
  /** Where it is, and credentials that it takes. */
  readonly environment: Readonly<Record<string, string>>;
  readonly asked: {
    readonly method: string;
    readonly path: string;
    readonly headers: IncomingMessage['headers'];
  }[];
  /** Undefined: there is no such object. Setting it is a write behind everybody's back. */
  object: Uint8Array | undefined;
  script: Script | undefined;
  /** Called after a read and before its answer is sent. */
  onRead: () => void;
};

const servers: { close(): unknown; closeAllConnections(): void }[] = [];
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const testToken = (authorization: string | undefined): boolean => authorization === 'Bearer test-token';

/**
 * A store with nothing in it.
 * @param isAllowed - Whether whoever sends this `Authorization` may come in; S3 asks nobody.
 */
export async function fakeStore(kind: StoreKind, isAllowed = testToken): Promise<FakeStore> {
  const server = createServer((request, response) => {
    // Whoever breaks off gets no answer.
    respond(request, response).catch(() => response.destroy());
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const held: Held = {
    bytes: undefined,
    generation: 1_700_000_000_000_000,
    onRead: () => store.onRead(),
    write: (bytes) => {
      held.bytes = bytes;
      held.generation += 1;
    },
  };
  const store: FakeStore = {
    kind,
    url,
    ...places[kind](url),
    asked: [],
    get object() {
      return held.bytes;
    },
    set object(bytes) {
      held.write(bytes);
    },
    script: undefined,
    onRead: () => undefined,
  };
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    store.asked.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers });
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    if (store.script !== undefined) store.script(response, request);
    else if (kind !== 's3' && !isAllowed(request.headers.authorization))
      refusal(kind, 401)(response, request);
    else answering[kind]({ request, body: Buffer.concat(chunks), response, held });
  };
  return store;
}

const path = `${storedIn.bucket}/${storedIn.name}`;
const places: Readonly<Record<StoreKind, (url: string) => Pick<FakeStore, 'address' | 'environment'>>> = {
  s3: (url) => ({
    address: `s3://${path}?region=eu-west-1`,
    environment: { AWS_ENDPOINT_URL_S3: url, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
  }),
  gs: (url) => ({
    address: `gs://${path}`,
    environment: { CLEF_GCS_ENDPOINT: url, GOOGLE_OAUTH_ACCESS_TOKEN: 'test-token' },
  }),
  https: (url) => ({
    address: `${url}/${path}?signature=SECRET-IN-QUERY`,
    environment: { CLEF_PUBLISH_TOKEN: 'test-token' },
  }),
};

const answering: Readonly<Record<StoreKind, (call: Call) => void>> = {
  s3: (call) => answerByETag(call, 's3'),
  gs: answerCloudStorage,
  https: (call) => answerByETag(call, 'https'),
};

function answerByETag({ request, body, response, held }: Call, kind: StoreKind): void {
  const { headers } = request;
  if (request.method !== 'GET') {
    if (!mayWrite(headers, held)) return void refusal(kind, 412)(response, request);
    held.write(body);
    return void response.writeHead(200, { etag: etagOf(body) }).end();
  }
  const { bytes } = held;
  if (bytes === undefined) refusal(kind, 404)(response, request);
  else if (headers['if-none-match'] === etagOf(bytes)) response.writeHead(304, { etag: etagOf(bytes) }).end();
  else response.writeHead(200, { etag: etagOf(bytes), 'content-type': 'binary/octet-stream' }).end(bytes);
  held.onRead();
}

function mayWrite(headers: IncomingMessage['headers'], { bytes }: Held): boolean {
  if (headers['if-none-match'] === '*') return bytes === undefined;
  const wanted = headers['if-match'];
  return wanted === undefined || (bytes !== undefined && wanted === etagOf(bytes));
}

function etagOf(bytes: Uint8Array): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

/** How a store of this kind says no. */
export function refusal(
  kind: StoreKind,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Script {
  if (kind === 's3') return s3Error(status, s3Codes[status] ?? 'InternalError', headers);
  if (kind === 'gs') return gcsError(status, 'notFound', headers);
  return (response) => void response.writeHead(status, headers).end('UPSTREAM-TEXT of canary words');
}

const s3Codes: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  403: 'AccessDenied',
  404: 'NoSuchKey',
  412: 'PreconditionFailed',
};

/** An error document of S3. */
export function s3Error(
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): Script {
  const message = 'UPSTREAM-TEXT of canary words';
  const document = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>1</RequestId></Error>`;
  return (response) =>
    void response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(document);
}
