// Object stores on this machine, as far as a reader sees them: the answers of S3 and of Cloud Storage's JSON API to one
// object that a test changes, their conditional requests, and their error documents.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type FakeStore = {
  readonly url: string;
  readonly asked: { readonly path: string; readonly headers: IncomingMessage['headers'] }[];
  /** Undefined: there is no such object. */
  object: Uint8Array | undefined;
  /** Answers instead of the object. */
  script: ((response: ServerResponse, request: IncomingMessage) => void) | undefined;
  close(): Promise<void>;
};

type Answering = (response: ServerResponse, request: IncomingMessage, object: Uint8Array) => void;

async function startStore(answer: Answering, absent: (response: ServerResponse) => void): Promise<FakeStore> {
  const server = createServer((request, response) => {
    store.asked.push({ path: request.url ?? '', headers: request.headers });
    if (store.script !== undefined) store.script(response, request);
    else if (store.object === undefined) absent(response);
    else answer(response, request, store.object);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const store: FakeStore = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    object: undefined,
    script: undefined,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return store;
}

export function startS3(): Promise<FakeStore> {
  return startStore(
    (response, request, object) => {
      const etag = `"${createHash('md5').update(object).digest('hex')}"`;
      if (request.headers['if-none-match'] === etag) response.writeHead(304, { etag }).end();
      else response.writeHead(200, { etag, 'content-type': 'binary/octet-stream' }).end(object);
    },
    (response) => s3Error(404, 'NoSuchKey')(response),
  );
}

/** An error document of S3. */
export function s3Error(status: number, code: string, headers: Record<string, string> = {}) {
  return (response: ServerResponse): void => {
    const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>canary words</Message><RequestId>1</RequestId></Error>`;
    response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(body);
  };
}

export function startGcs(): Promise<FakeStore> {
  return startStore(
    (response, request, object) => {
      const generation = String(createHash('md5').update(object).digest().readUInt32BE());
      const asked = new URL(request.url ?? '', 'http://x').searchParams.get('ifGenerationNotMatch');
      const headers = { 'x-goog-generation': generation, etag: `C${generation}` };
      if (asked === generation) response.writeHead(304, headers).end();
      else response.writeHead(200, { ...headers, 'content-type': 'application/json' }).end(object);
    },
    (response) => gcsError(404, 'notFound')(response),
  );
}

/** An error of Google's JSON APIs. */
export function gcsError(status: number, reason: string, headers: Record<string, string> = {}) {
  return (response: ServerResponse): void => {
    const error = { code: status, message: 'canary words', errors: [{ reason, message: 'canary words' }] };
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify({ error }));
  };
}
