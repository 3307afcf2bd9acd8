// One HTTP request that is answered with JSON: no redirects, no proxies, and a limit on what comes back.
import { type IncomingMessage, type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestEncrypted } from 'node:https';
import { decodeUtf8, type JsonObject, parseJson, readLimited, StrictError } from '@clef/strict';
import { maxAnswerBytes } from './limits.ts';

/** `value` is absent where the answer is too long or no JSON object. */
export type JsonReply = {
  readonly status: number;
  readonly value?: JsonObject;
  readonly retryAfterSeconds?: number;
};

/** Asks without a body. Throws as {@link postJson} does. */
export async function getJson(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<JsonReply> {
  return readReply(await send(url, { method: 'GET', headers: { ...headers }, signal }));
}

/** Throws what Node throws when the connection fails or `signal` ends it. */
export async function postJson(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: object,
  signal: AbortSignal,
): Promise<JsonReply> {
  const text = JSON.stringify(body);
  const response = await send(
    url,
    {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      },
      signal,
    },
    text,
  );
  return readReply(response);
}

async function readReply(response: IncomingMessage): Promise<JsonReply> {
  const value = readObject(await readLimited(response, maxAnswerBytes));
  const wait = response.headers['retry-after'];
  return {
    status: response.statusCode ?? 0,
    ...(value === undefined ? {} : { value }),
    // The other form is a date, and means the same to nobody whose clock is wrong.
    ...(wait !== undefined && /^[0-9]{1,5}$/.test(wait) ? { retryAfterSeconds: Number(wait) } : {}),
  };
}

function send(url: URL, options: RequestOptions, text = ''): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? requestEncrypted : requestPlain;
  return new Promise((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end(text);
  });
}

function readObject(bytes: Uint8Array | undefined): JsonObject | undefined {
  if (bytes === undefined) return undefined;
  try {
    const value = parseJson(decodeUtf8(bytes), { maxBytes: maxAnswerBytes, maxDepth: 16 });
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined;
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}
