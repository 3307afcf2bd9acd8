// One GET for an artifact over http(s): no redirects, no compression, no proxy, a size and a time limit, and never an
// address that belongs to the machine's own metadata service.
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { type ClientRequest, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { readLimited } from '@clef/strict';
import { isMetadataAddress } from './metadata-addresses.ts';
import { type Fetched, maxArtifactBytes, SourceError, type Validator } from './source.ts';

export type HttpsLimits = { readonly connectMilliseconds: number; readonly totalMilliseconds: number };

export const defaultHttpsLimits: HttpsLimits = { connectMilliseconds: 5_000, totalMilliseconds: 15_000 };

/** `isConditional`: the source was told what we have, so it may say that nothing changed. */
export type Attempt = {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly isConditional: boolean;
  /** Reads the clock, for `Retry-After` dates. */
  readonly now: () => number;
  readonly limits: HttpsLimits;
  readonly signal: AbortSignal;
};

/** Sends one request. Throws {@link SourceError}, whose words are our own. */
export async function fetchArtifact(attempt: Attempt): Promise<Fetched> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  const timer = setTimeout(stop, attempt.limits.totalMilliseconds);
  attempt.signal.addEventListener('abort', stop);
  try {
    return await readResponse(await exchange(attempt, controller.signal), attempt);
  } catch (cause) {
    if (cause instanceof SourceError) throw cause;
    if (controller.signal.aborted) throw new SourceError('timeout', 'The source did not answer in time');
    throw explain(cause);
  } finally {
    clearTimeout(timer);
    attempt.signal.removeEventListener('abort', stop);
  }
}

function exchange(attempt: Attempt, signal: AbortSignal): Promise<IncomingMessage> {
  const { url, limits } = attempt;
  const send = url.protocol === 'https:' ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    // An agent of its own for each request: no connection is kept, and no proxy of the environment is used.
    const request = send(url, {
      agent: false,
      headers: { ...fixedHeaders, ...attempt.headers },
      insecureHTTPParser: false,
      lookup: lookupOutsideMetadata,
      maxHeaderSize: 16_384,
      rejectUnauthorized: true,
      signal,
    });
    request.on('response', resolve).on('error', reject);
    limitConnecting(request, url.protocol === 'https:' ? 'secureConnect' : 'connect', limits);
    request.end();
  });
}

const fixedHeaders = {
  accept: 'application/json',
  'accept-encoding': 'identity',
  'user-agent': 'clef-agent',
};

function limitConnecting(
  request: ClientRequest,
  connected: 'connect' | 'secureConnect',
  limits: HttpsLimits,
): void {
  const expire = (): void =>
    void request.destroy(new SourceError('timeout', 'The source could not be reached in time'));
  const timer = setTimeout(expire, limits.connectMilliseconds);
  request.on('socket', (socket) => socket.once(connected, () => clearTimeout(timer)));
  request.on('close', () => clearTimeout(timer));
}

type LookupReply = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/** Name resolution that does not lead to a metadata service, whatever the name. */
function lookupOutsideMetadata(hostname: string, options: LookupOptions, reply: LookupReply): void {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return reply(error, []);
    const allowed = addresses.filter(({ address }) => !isMetadataAddress(address));
    const [first] = allowed;
    if (first === undefined)
      return reply(new SourceError('refused', 'The source is a link-local address'), []);
    return options.all === true ? reply(null, allowed) : reply(null, first.address, first.family);
  });
}

async function readResponse(response: IncomingMessage, attempt: Attempt): Promise<Fetched> {
  const { statusCode: status = 0, headers } = response;
  if (status === 304 && attempt.isConditional) {
    response.destroy();
    return { kind: 'unchanged' };
  }
  const refusal = refuseStatus(status, headers['retry-after'], attempt.now) ?? refuseHeaders(headers);
  if (refusal !== undefined) {
    response.destroy();
    throw refusal;
  }
  const bytes = await readLimited(response, maxArtifactBytes);
  if (bytes === undefined) throw tooLarge();
  return { kind: 'artifact', bytes, validator: validatorOf(headers) };
}

function refuseStatus(
  status: number,
  retryAfter: string | undefined,
  now: () => number,
): SourceError | undefined {
  if (status === 200) return undefined;
  const wait = parseRetryAfter(retryAfter, now);
  if (status === 429 || (status === 403 && wait !== undefined))
    return new SourceError('throttled', 'The source asks for fewer requests', wait);
  if (status === 401 || status === 403)
    return new SourceError('refused', 'The source refuses to give the artifact');
  if (status === 404 || status === 410)
    return new SourceError('not_found', 'The source has no such artifact');
  if (status >= 300 && status < 400)
    return new SourceError('redirect', 'The source redirects, which is not followed');
  if (status >= 500) return new SourceError('unavailable', 'The source has a fault', wait);
  return new SourceError('bad_response', 'The source gives an answer that is not an artifact');
}

function refuseHeaders(headers: IncomingMessage['headers']): SourceError | undefined {
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') {
    return new SourceError('bad_response', 'The source compresses its answer, which was not asked for');
  }
  if (Number(headers['content-length'] ?? 0) > maxArtifactBytes) return tooLarge();
  return undefined;
}

function tooLarge(): SourceError {
  return new SourceError('too_large', 'The answer of the source is larger than an artifact can be');
}

function validatorOf(headers: IncomingMessage['headers']): Validator {
  const { etag, 'last-modified': lastModified, 'x-goog-generation': generation } = headers;
  return {
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
    ...(typeof generation === 'string' && /^[0-9]{1,20}$/.test(generation) ? { generation } : {}),
  };
}

const httpDate = /^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/;

/** Seconds, or an HTTP date; at most a day, nothing when it is neither. */
export function parseRetryAfter(text: string | undefined, now: () => number): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(text)) return Math.min(Number(text), 86_400);
  const seconds = httpDate.test(text) ? Math.ceil((Date.parse(text) - now()) / 1_000) : Number.NaN;
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), 86_400);
}

function explain(cause: unknown): SourceError {
  const code = String((cause as NodeJS.ErrnoException).code ?? '');
  if (/CERT|^ERR_TLS|^ERR_SSL|^EPROTO$/.test(code))
    return new SourceError('tls', 'The source has no valid certificate for its name');
  if (/^HPE_|^ERR_HTTP/.test(code))
    return new SourceError('bad_response', 'The source does not speak HTTP as it should');
  if (code === 'ECONNRESET') return new SourceError('unavailable', 'The source closed the connection');
  return new SourceError('unavailable', 'The source cannot be reached');
}
