// An artifact in S3 through the official SDK and its credential chain. The SDK is asked once for each poll: when to try
// again is the schedule's to say, so that two kinds of patience do not add up.
import { connectionCode, KmsError, openS3, type S3 } from '@clef/kms';
import { readLimited } from '@clef/strict';
import { defaultHttpsLimits, type HttpsLimits, parseRetryAfter } from './http-exchange.ts';
import {
  type Fetched,
  maxArtifactBytes,
  type Source,
  type SourceCode,
  SourceError,
  type Validator,
} from './source.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type S3Object = {
  readonly bucket: string;
  readonly key: string;
  /** Undefined leaves it to the SDK, which looks into the profile. */
  readonly region: string | undefined;
};

/** The object, read with the default credentials of the SDK. `now` reads the clock, for `Retry-After` dates. */
export function createS3Source(
  place: S3Object,
  environment: Environment,
  now: () => number,
  limits: HttpsLimits = defaultHttpsLimits,
): Source {
  let opened: S3 | undefined;
  return {
    kind: 's3',
    fetch: async (validator, outer) => {
      const { signal, stop } = limitTime(limits.totalMilliseconds, outer);
      try {
        opened ??= await openS3({
          environment,
          region: place.region,
          tries: 1,
          connectMilliseconds: limits.connectMilliseconds,
          requestMilliseconds: limits.totalMilliseconds,
          refuse: refusedByGuard,
        });
        return await orAborted(ask(opened, place, validator, signal), signal);
      } catch (error) {
        const failure = explain(error, signal, now);
        if (failure === 'unchanged' && validator?.etag !== undefined) return { kind: 'unchanged' };
        // The SDK keeps credentials with the client: the next fetch looks whether there are others now.
        if (failure === 'unchanged' || failure.code === 'no_credentials' || failure.code === 'refused')
          opened = undefined;
        throw failure === 'unchanged' ? notAnArtifact() : failure;
      } finally {
        stop();
      }
    },
  };
}

/** Our own refusal from within the SDK, which hangs things of its own on what passes through it. */
class GuardFailure extends Error {
  readonly source: SourceError;

  constructor(source: SourceError) {
    super(source.message);
    this.source = source;
  }
}

function refusedByGuard(why: 'endpoint' | 'too_large'): Error {
  if (why === 'too_large') return new GuardFailure(notAnArtifact());
  const message = 'The AWS configuration names an endpoint that is neither https nor on this machine';
  return new GuardFailure(new SourceError('settings', message));
}

/** Thrown when no credentials came, to tell that apart from what S3 says. */
class CredentialsFailure extends Error {}

async function ask(
  { sdk, client }: S3,
  { bucket: Bucket, key: Key }: S3Object,
  validator: Validator | undefined,
  abortSignal: AbortSignal,
): Promise<Fetched> {
  try {
    await client.config.credentials();
  } catch (cause) {
    throw new CredentialsFailure('no credentials', { cause });
  }
  const command = new sdk.GetObjectCommand({
    Bucket,
    Key,
    ...(validator?.etag === undefined ? {} : { IfNoneMatch: validator.etag }),
  });
  const { Body: body, ETag: etag, ContentEncoding: encoding } = await client.send(command, { abortSignal });
  if (body === undefined) throw notAnArtifact();
  const bytes = await readLimited(body as AsyncIterable<Uint8Array>, maxArtifactBytes);
  if (bytes === undefined) throw new SourceError('too_large', 'The object is larger than an artifact can be');
  if ((encoding ?? 'identity').toLowerCase() !== 'identity' || isMarkup(bytes)) throw notAnArtifact();
  return { kind: 'artifact', bytes, ...(etag === undefined ? {} : { validator: { etag } }) };
}

/** An error document under status 200 (catalogue K06): no artifact begins so. */
function isMarkup(bytes: Uint8Array): boolean {
  return bytes.find((byte) => byte > 0x20) === 0x3c;
}

function notAnArtifact(): SourceError {
  return new SourceError('bad_response', 'The source gives an answer that is not an artifact');
}

function limitTime(milliseconds: number, outer: AbortSignal): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  const timer = setTimeout(end, milliseconds);
  outer.addEventListener('abort', end);
  if (outer.aborted) end();
  return {
    signal: controller.signal,
    stop: () => {
      clearTimeout(timer);
      outer.removeEventListener('abort', end);
    },
  };
}

/** The search for credentials takes no signal: it is left behind. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const end = (): void => reject(new Error('aborted'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
  work.catch(() => undefined); // it is told to nobody when the time was over before
  aborted.catch(() => undefined);
  return Promise.race([work, aborted]);
}

/** What S3, or STS on the way to credentials, calls its refusals. */
const codes: ReadonlyMap<string, SourceCode> = new Map<string, SourceCode>([
  ['NoSuchKey', 'not_found'],
  ['NoSuchBucket', 'not_found'],
  ['NotFound', 'not_found'],
  ['AccessDenied', 'refused'],
  ['AccessDeniedException', 'refused'],
  ['AllAccessDisabled', 'refused'],
  ['AccountProblem', 'refused'],
  ['InvalidObjectState', 'refused'],
  ['SlowDown', 'throttled'],
  ['RequestLimitExceeded', 'throttled'],
  ['Throttling', 'throttled'],
  ['ThrottlingException', 'throttled'],
  ['TooManyRequests', 'throttled'],
  // The bucket is in another region than we asked.
  ['PermanentRedirect', 'redirect'],
  ['TemporaryRedirect', 'redirect'],
  ['AuthorizationHeaderMalformed', 'redirect'],
  ['IllegalLocationConstraintException', 'redirect'],
  ['CredentialsProviderError', 'no_credentials'],
  ['TokenProviderError', 'no_credentials'],
  ['ExpiredToken', 'no_credentials'],
  ['ExpiredTokenException', 'no_credentials'],
  ['InvalidToken', 'no_credentials'],
  ['InvalidAccessKeyId', 'no_credentials'],
  ['SignatureDoesNotMatch', 'no_credentials'],
  ['RequestTimeTooSkewed', 'no_credentials'],
]);

const messages = {
  not_found: 'The bucket has no such object',
  refused: 'S3 refuses to give the object',
  throttled: 'S3 asks for fewer requests',
  redirect: 'The bucket is in another region: name it with ?region=',
  no_credentials: 'There are no valid credentials for S3',
  timeout: 'S3 did not answer in time',
  tls: 'S3 has no valid certificate for its name',
  unavailable: 'S3 cannot be reached or has a fault',
  settings: 'The AWS configuration cannot be used',
} as const satisfies Partial<Record<SourceCode, string>>;

/** Names the error in our own words: the service's, and the SDK's, may quote what was sent. */
function explain(error: unknown, signal: AbortSignal, now: () => number): SourceError | 'unchanged' {
  if (error instanceof SourceError) return error;
  if (error instanceof GuardFailure) return error.source;
  if (error instanceof KmsError) return new SourceError('settings', messages.settings);
  if (signal.aborted) return new SourceError('timeout', messages.timeout);
  const found = error instanceof CredentialsFailure ? error.cause : error;
  const { status, retryAfter } = replyOf(error);
  if (status === 304) return 'unchanged';
  const code = codeOf(found, error instanceof CredentialsFailure, status);
  if (code === 'bad_response') return notAnArtifact();
  return new SourceError(code, messages[code], parseRetryAfter(retryAfter, now));
}

type KnownCode = keyof typeof messages | 'bad_response';

function codeOf(found: unknown, isAboutCredentials: boolean, status: number | undefined): KnownCode {
  const name = found instanceof Error ? found.name : '';
  const known = codes.get(name) as KnownCode | undefined;
  if (known !== undefined) return known;
  if (found instanceof Error && /^(Error: )?Region is missing/.test(String(found.message))) return 'settings';
  if (/CERT|ERR_TLS|ERR_SSL|EPROTO/.test(String((found as { code?: unknown } | null)?.code ?? '')))
    return 'tls';
  if (connectionCode(found) !== undefined) return name === 'TimeoutError' ? 'timeout' : 'unavailable';
  if (isAboutCredentials) return 'no_credentials';
  return codeOfStatus(status);
}

function codeOfStatus(status: number | undefined): KnownCode {
  if (status === undefined || status >= 500) return 'unavailable';
  if (status === 429) return 'throttled';
  if (status === 401 || status === 403) return 'refused';
  if (status === 404 || status === 410) return 'not_found';
  return status >= 300 && status < 400 ? 'redirect' : 'bad_response';
}

function replyOf(error: unknown): {
  readonly status: number | undefined;
  readonly retryAfter: string | undefined;
} {
  const { $metadata, $response } = (error ?? {}) as {
    $metadata?: { httpStatusCode?: number };
    $response?: { statusCode?: number; headers?: Record<string, string> };
  };
  return {
    status: $metadata?.httpStatusCode ?? $response?.statusCode,
    retryAfter: $response?.headers?.['retry-after'],
  };
}
