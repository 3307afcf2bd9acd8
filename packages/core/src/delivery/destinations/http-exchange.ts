// One request to a place that holds artifacts, over https or to this machine: no redirects, a size and a time limit.
import { type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { readLimited } from '@clef/strict';
import { maxStoredBytes, unusableDestination } from './destination.ts';

const totalMilliseconds = 30_000;

export type Exchange = {
  /** For errors. */
  readonly name: string;
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
};

export type Answer = {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: Uint8Array;
};

/**
 * Whatever the place answers, a redirect included.
 * @throws {ClefError} `destination` where there is no answer in time, or a longer one than an artifact.
 */
export async function exchange(request: Exchange): Promise<Answer> {
  try {
    const response = await send(request);
    const body = await readLimited(response, maxStoredBytes);
    if (body === undefined)
      throw unusableDestination(request.name, 'its answer is larger than an artifact', 'check the address');
    return {
      status: response.statusCode ?? 0,
      header: (name) => {
        const value = response.headers[name];
        return typeof value === 'string' ? value : undefined;
      },
      body,
    };
  } catch (cause) {
    const code = String((cause as NodeJS.ErrnoException).code ?? '');
    if (code === '' && !(cause instanceof Error && cause.name === 'TimeoutError')) throw cause;
    const isTls = /CERT|^ERR_TLS|^ERR_SSL|^EPROTO$/.test(code);
    const why = isTls
      ? 'it has no valid certificate for its name'
      : 'it cannot be reached or does not answer in time';
    throw unusableDestination(request.name, why, 'check the address and the network, and try again', cause);
  }
}

function send({ url, method, headers, body }: Exchange): Promise<IncomingMessage> {
  const start = url.protocol === 'https:' ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    const request = start(url, {
      method,
      agent: false,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'clef',
        ...(body !== undefined && { 'content-type': 'application/json', 'content-length': body.length }),
        ...headers,
      },
      rejectUnauthorized: true,
      signal: AbortSignal.timeout(totalMilliseconds),
    });
    request.on('response', resolve).on('error', reject);
    request.end(body);
  });
}
