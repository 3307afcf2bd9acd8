// The sources in object stores, through the official SDKs, against stores on this machine.
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { gcsError } from '../../../test/fakes/cloud-storage.ts';
import { type FakeStore, fakeStore, s3Error } from '../../../test/fakes/object-stores.ts';
import { createGcsSource } from '../src/sources/gcs.ts';
import { createS3Source } from '../src/sources/s3.ts';
import { maxArtifactBytes, type Source, SourceError, type Validator } from '../src/sources/source.ts';

const now = () => Date.UTC(2026, 0, 31, 12, 0, 0);
const limits = { connectMilliseconds: 600, totalMilliseconds: 800 };
const artifact = new TextEncoder().encode('{"payloadType":"…"}');
const token = 'canary-token-of-google';

let s3: FakeStore;
let gcs: FakeStore;

beforeAll(async () => {
  [s3, gcs] = await Promise.all([fakeStore('s3'), fakeStore('gs', () => true)]);
  for (const name of Object.keys(process.env)) {
    if (/^(AWS|GOOGLE|GCE|GCLOUD|CLOUDSDK|GCP)_/.test(name)) vi.stubEnv(name, undefined);
  }
  vi.stubEnv('HOME', '/nonexistent');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED', 'true');
});
afterAll(() => void vi.unstubAllEnvs());
afterEach(() => {
  for (const store of [s3, gcs]) {
    store.object = undefined;
    store.script = undefined;
    store.asked.length = 0;
  }
});

const awsVariables = (): Record<string, string> => ({
  AWS_ENDPOINT_URL_S3: s3.url,
  AWS_ACCESS_KEY_ID: 'AKIDCANARY',
  AWS_SECRET_ACCESS_KEY: 'canary-secret',
});

function s3Source(
  changes: Record<string, string | undefined> = {},
  bounds = limits,
  region: string | undefined = 'eu-west-1',
): Source {
  const place = { bucket: 'artifacts', key: 'web/production.json', region };
  return createS3Source(place, { ...awsVariables(), ...changes }, now, bounds);
}

function gcsSource(changes: Record<string, string | undefined> = {}, bounds = limits): Source {
  const environment = { CLEF_GCS_ENDPOINT: gcs.url, GOOGLE_OAUTH_ACCESS_TOKEN: token, ...changes };
  return createGcsSource({ bucket: 'artifacts', object: 'web/production.json' }, environment, now, bounds);
}

const stores = [
  ['S3', () => s3, s3Source],
  ['Cloud Storage', () => gcs, gcsSource],
] as const;

function fetchFrom(source: Source, validator?: Validator) {
  return source.fetch(validator, new AbortController().signal);
}

async function failureOf(source: Source, validator?: Validator): Promise<SourceError> {
  const error = await fetchFrom(source, validator).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SourceError);
  const { message, cause, stack } = error as SourceError;
  expect(`${message} ${String(cause)} ${stack}`).not.toMatch(/canary|AKID/i);
  return error as SourceError;
}

describe.each(stores)('%s', (_, storeOf, open) => {
  test('F63: the object comes, and the next request is conditional', async () => {
    const store = storeOf();
    store.object = artifact;
    const source = open();
    const first = await fetchFrom(source);
    expect(first).toMatchObject({ kind: 'artifact', bytes: artifact });
    const { validator } = first as { validator: Validator };
    expect(await fetchFrom(source, validator)).toEqual({ kind: 'unchanged' });
    store.object = new TextEncoder().encode('{"other":1}');
    expect(await fetchFrom(source, validator)).toMatchObject({ kind: 'artifact', bytes: store.object });
  });

  test('F44: what is not there is not found', async () => {
    expect((await failureOf(open())).code).toBe('not_found');
  });

  test('K06: 304 for a request without a condition is no answer', async () => {
    storeOf().script = (response) => response.writeHead(304).end();
    expect((await failureOf(open())).code).toMatch(/^(bad_response|redirect)$/);
  });

  test.each([301, 302, 307, 308])('K07: a redirect (%i) is not followed', async (status) => {
    const store = storeOf();
    store.script = (response) => response.writeHead(status, { location: `${gcs.url}/elsewhere` }).end();
    expect((await failureOf(open())).code).toBe('redirect');
    expect(store.asked).toHaveLength(1);
    expect(store.asked[0]?.path).not.toContain('elsewhere');
  });

  test('INV-57: an endless object is cut at 1 MiB; exactly 1 MiB passes, and a byte more does not', async () => {
    const store = storeOf();
    store.object = new Uint8Array(maxArtifactBytes).fill(0x20);
    expect((await fetchFrom(open())).kind).toBe('artifact');
    store.object = new Uint8Array(maxArtifactBytes + 1).fill(0x20);
    expect((await failureOf(open())).code).toBe('too_large');
    store.script = (response) => pourEndlessly(response);
    expect((await failureOf(open())).code).toBe('too_large');
  });

  test('F31: an answer that never ends, or never begins, is given up', async () => {
    const store = storeOf();
    store.script = () => undefined;
    expect((await failureOf(open())).code).toBe('timeout');
    store.script = (response) => {
      response.writeHead(200, { etag: '"x"', 'x-goog-generation': '1' });
      response.write('{');
    };
    expect((await failureOf(open())).code).toBe('timeout');
  });

  test('a source that is told to stop stops', async () => {
    storeOf().script = () => undefined;
    const stop = new AbortController();
    const started = performance.now();
    const fetching = open({}, { ...limits, totalMilliseconds: 25_000 }).fetch(undefined, stop.signal);
    setTimeout(() => stop.abort(), 50);
    await expect(fetching).rejects.toMatchObject({ code: 'timeout' });
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test('one request for each poll: the schedule is what tries again', async () => {
    const store = storeOf();
    store.script = (response) => response.writeHead(500).end();
    expect((await failureOf(open())).code).toBe('unavailable');
    expect(store.asked).toHaveLength(1);
  });

  test('F45, E22: a body that is compressed is refused', async () => {
    storeOf().script = (response) =>
      response
        .writeHead(200, { etag: '"x"', 'x-goog-generation': '1', 'content-encoding': 'gzip' })
        .end(artifact);
    expect((await failureOf(open())).code).toBe('bad_response');
  });
});

function pourEndlessly(response: ServerResponse): void {
  response.on('error', () => undefined);
  response.writeHead(200, { etag: '"x"', 'x-goog-generation': '1' });
  const chunk = Buffer.alloc(65_536, 0x20);
  const pour = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', pour);
  pour();
}

describe('S3', () => {
  test.each([
    ['F44', 403, 'AccessDenied', 'refused'],
    ['F44', 404, 'NoSuchBucket', 'not_found'],
    ['K06: a delete marker', 404, 'NoSuchKey', 'not_found'],
    ['F32', 503, 'SlowDown', 'throttled'],
    ['F32', 429, 'TooManyRequests', 'throttled'],
    ['F32', 503, 'ServiceUnavailable', 'unavailable'],
    ['F44', 500, 'InternalError', 'unavailable'],
    ['K07: another region', 301, 'PermanentRedirect', 'redirect'],
    ['K07: another region', 400, 'AuthorizationHeaderMalformed', 'redirect'],
    ['F36', 400, 'ExpiredToken', 'no_credentials'],
    ['F36', 403, 'InvalidAccessKeyId', 'no_credentials'],
    ['F37', 403, 'RequestTimeTooSkewed', 'no_credentials'],
    ['K02', 418, 'Unheard', 'bad_response'],
    ['K06: an error under 200', 200, 'InternalError', 'bad_response'],
  ] as const)('%s: %i %s is %s', async (_, status, code, expected) => {
    s3.script = s3Error(status, code, code === 'NoSuchKey' ? { 'x-amz-delete-marker': 'true' } : {});
    expect((await failureOf(s3Source())).code).toBe(expected);
  });

  test('F32: SlowDown with Retry-After says how long', async () => {
    s3.script = s3Error(503, 'SlowDown', { 'retry-after': '17' });
    expect(await failureOf(s3Source())).toMatchObject({ code: 'throttled', retryAfterSeconds: 17 });
  });

  test('the request is signed for the region, in path style at an endpoint of one’s own', async () => {
    s3.object = artifact;
    await fetchFrom(s3Source({}, limits, 'ap-south-1'));
    const [{ path, headers } = { path: '', headers: {} }] = s3.asked;
    expect(path).toMatch(/^\/artifacts\/web\/production\.json(\?x-id=GetObject)?$/);
    expect(headers['authorization']).toMatch(/AKIDCANARY\/[0-9]{8}\/ap-south-1\/s3\//);
  });

  test('F36: credentials that came back are used without a restart', async () => {
    const environment: Record<string, string> = { ...awsVariables() };
    const source = createS3Source(
      { bucket: 'artifacts', key: 'web/production.json', region: 'eu-west-1' },
      environment,
      now,
      limits,
    );
    s3.script = s3Error(403, 'InvalidAccessKeyId');
    expect((await failureOf(source)).code).toBe('no_credentials');
    environment['AWS_ACCESS_KEY_ID'] = 'AKIDNEW';
    s3.script = undefined;
    s3.object = artifact;
    await fetchFrom(source);
    expect(s3.asked.at(-1)?.headers['authorization']).toContain('AKIDNEW');
  });

  test.each([
    ['http://10.0.0.1', 'settings'],
    ['http://example.com', 'settings'],
    ['ftp://127.0.0.1', 'settings'],
  ])('INV-111, H15: the endpoint %s is not used', async (endpoint, code) => {
    expect((await failureOf(s3Source({ AWS_ENDPOINT_URL_S3: endpoint }))).code).toBe(code);
    expect(
      (await failureOf(s3Source({ AWS_ENDPOINT_URL_S3: undefined, AWS_ENDPOINT_URL: endpoint }))).code,
    ).toBe(code);
    expect(s3.asked).toHaveLength(0);
  });

  test('without credentials, and without a region', async () => {
    const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    expect((await failureOf(s3Source(none))).code).toBe('no_credentials');
    const nowhere = { bucket: 'artifacts', key: 'a', region: undefined };
    expect((await failureOf(createS3Source(nowhere, awsVariables(), now, limits))).code).toBe('settings');
  });

  test('F30: a port where nobody listens is an outage', async () => {
    expect((await failureOf(s3Source({ AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' }))).code).toBe(
      'unavailable',
    );
  });

  test('F38: a server that does not speak TLS is not spoken to', async () => {
    const plain = createServer((socket) =>
      socket.on('error', () => undefined).end('HTTP/1.1 200 OK\r\n\r\n'),
    );
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as { port: number };
    const { code } = await failureOf(s3Source({ AWS_ENDPOINT_URL_S3: `https://127.0.0.1:${port}` }));
    expect(code).toMatch(/^(tls|unavailable)$/);
    plain.close();
  });

  test('an error document without end is not read', async () => {
    s3.script = (response) => {
      response.on('error', () => undefined);
      response.writeHead(500, { 'content-type': 'application/xml' });
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
      };
      response.on('drain', pour);
      pour();
    };
    // To read on would end as a timeout.
    expect((await failureOf(s3Source())).code).toBe('bad_response');
  });
});

describe('Cloud Storage', () => {
  test.each([
    ['F44', 401, 'authError', 'refused'],
    ['F44', 403, 'forbidden', 'refused'],
    ['F44', 404, 'notFound', 'not_found'],
    ['F32', 429, 'rateLimitExceeded', 'throttled'],
    ['F44', 503, 'backendError', 'unavailable'],
    ['K02', 418, 'unheard', 'bad_response'],
  ] as const)('%s: %i %s is %s', async (_, status, reason, expected) => {
    gcs.script = gcsError(status, reason);
    expect((await failureOf(gcsSource())).code).toBe(expected);
  });

  test('F32: Retry-After says how long', async () => {
    gcs.script = gcsError(429, 'rateLimitExceeded', { 'retry-after': '23' });
    expect(await failureOf(gcsSource())).toMatchObject({ code: 'throttled', retryAfterSeconds: 23 });
  });

  test('one media download, with the token in its header only', async () => {
    gcs.object = artifact;
    await fetchFrom(gcsSource());
    expect(gcs.asked[0]?.path).toBe('/storage/v1/b/artifacts/o/web%2Fproduction.json?alt=media');
    expect(gcs.asked[0]?.headers['authorization']).toBe(`Bearer ${token}`);
  });

  test('an answer without a generation is not of Cloud Storage', async () => {
    gcs.script = (response) => response.writeHead(200).end(artifact);
    expect((await failureOf(gcsSource())).code).toBe('bad_response');
  });

  test.each(['http://10.0.0.1', 'http://example.com/', 'ftp://127.0.0.1', 'https://u:p@example.com'])(
    'INV-111: the endpoint %s is not used',
    async (endpoint) => {
      expect((await failureOf(gcsSource({ CLEF_GCS_ENDPOINT: endpoint }))).code).toBe('settings');
    },
  );

  test('a token that is none', async () => {
    expect((await failureOf(gcsSource({ GOOGLE_OAUTH_ACCESS_TOKEN: 'a b' }))).code).toBe('no_credentials');
  });
});
