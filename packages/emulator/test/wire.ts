// Requests as they go over the wire, so that a test can send what no SDK would: AWS requests signed by hand, Google's
// with any body.
import { createHash, createHmac } from 'node:crypto';
import type { Emulator } from '../src/index.ts';

export type WireAnswer = {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly text: string;
};

export type Signing = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly region?: string;
  readonly service?: string;
  readonly date?: Date;
  /** The date in the credential's scope, when it is to differ. */
  readonly scopeDate?: string;
  readonly unsigned?: readonly string[];
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly authorization?: (proper: string) => string | undefined;
  readonly path?: string;
  readonly method?: string;
};

/** Sends one signed request to the AWS endpoint. `body` goes out as it is when it is text. */
export async function callAws(
  emulator: Emulator,
  operation: string,
  body: object | string,
  signing: Partial<Signing> = {},
): Promise<WireAnswer> {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const { path = '/', method = 'POST' } = signing;
  const headers = signHeaders(emulator, operation, payload, { ...emulator.administrator, ...signing });
  return await send(`${emulator.url}${path}`, method, headers, method === 'GET' ? undefined : payload);
}

function signHeaders(
  emulator: Emulator,
  operation: string,
  payload: string,
  signing: Signing,
): Record<string, string> {
  const amzDate = (signing.date ?? new Date()).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const headers = withoutAbsent({
    'content-type': 'application/x-amz-json-1.1',
    host: new URL(emulator.url).host,
    'x-amz-date': amzDate,
    'x-amz-security-token': signing.sessionToken,
    'x-amz-target': `TrentService.${operation}`,
    ...signing.headers,
  });
  const names = Object.keys(headers)
    .filter((name) => signing.unsigned?.includes(name) !== true)
    .sort();
  const scope = [
    signing.scopeDate ?? amzDate.slice(0, 8),
    signing.region ?? emulator.region,
    signing.service ?? 'kms',
    'aws4_request',
  ];
  const canonical = [
    'POST',
    '/',
    '',
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    sha256(payload),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', amzDate, scope.join('/'), sha256(canonical)].join('\n');
  const key = scope.reduce<Buffer>(
    (secret, part) => hmac(secret, part),
    Buffer.from(`AWS4${signing.secretAccessKey}`),
  );
  const proper = `AWS4-HMAC-SHA256 Credential=${signing.accessKeyId}/${scope.join('/')}, SignedHeaders=${names.join(';')}, Signature=${hmac(key, toSign).toString('hex')}`;
  const authorization = signing.authorization === undefined ? proper : signing.authorization(proper);
  return withoutAbsent({ ...headers, host: undefined, authorization });
}

/** Sends one request to the Google endpoint, as the administrator unless a token is given. */
export async function callGcp(
  emulator: Emulator,
  method: string,
  path: string,
  body?: object | string,
  token: string | undefined = emulator.administrator.gcpToken,
): Promise<WireAnswer> {
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const headers = {
    'content-type': 'application/json',
    ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
  };
  return await send(`${emulator.url}/v1/${path}`, method, headers, payload);
}

export async function send(
  url: string,
  method: string,
  headers: Record<string, string>,
  payload?: string,
): Promise<WireAnswer> {
  const answer = await fetch(url, { method, headers, ...(payload === undefined ? {} : { body: payload }) });
  const text = await answer.text();
  return { status: answer.status, text, body: text.startsWith('{') ? JSON.parse(text) : {} };
}

function withoutAbsent(headers: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const present = Object.entries(headers).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(present);
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
