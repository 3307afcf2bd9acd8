// AWS KMS through the official SDK and its default credential chain: no credential is stored or chosen here. The region
// comes from the key's own ARN, and an answer must name that very key.
import type { KMSClient } from '@aws-sdk/client-kms';
import { checkEndpoints, connectionCode, isAllowedAddress, readEndpoint } from './endpoint.ts';
import type { AwsKey } from './key-reference.ts';
import type { KmsContext, KmsSettings, Provider } from './kms.ts';
import { type KmsCode, KmsError, serviceFailure } from './kms-error.ts';
import {
  defaultAttempts,
  defaultTimeoutSeconds,
  maxAnswerBytes,
  maxPlaintextBytes,
  maxWrappedBytes,
  trySeconds,
} from './limits.ts';
import { withTimeLimit } from './tries.ts';

const endpointVariables = ['AWS_ENDPOINT_URL_KMS', 'AWS_ENDPOINT_URL'];
/** Where the credential chain sends tokens. The SDK reads these itself. */
const credentialEndpoints = [
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_STS',
  'AWS_ENDPOINT_URL_SSO',
  'AWS_ENDPOINT_URL_SSO_OIDC',
  'AWS_ENDPOINT_URL_SIGNIN',
];

const isAboutCredentials: ReadonlySet<KmsCode> = new Set<KmsCode>(['no_credentials', 'denied']);

type Verb = 'wrap' | 'unwrap';
type Sdk = typeof import('@aws-sdk/client-kms');

/** @throws {KmsError} `bad_endpoint` where an endpoint override is not allowed. */
export async function openAws(settings: KmsSettings): Promise<Provider<AwsKey>> {
  const endpoint = readAwsEndpoint(settings);
  const sdk = await import('@aws-sdk/client-kms');
  const timeoutSeconds = settings.timeoutSeconds ?? defaultTimeoutSeconds;
  const clients = new Map<string, KMSClient>();
  const clientOf = ({ region }: AwsKey): KMSClient => {
    const client = clients.get(region) ?? makeClient(sdk, region, settings, endpoint);
    clients.set(region, client);
    return client;
  };
  const ask = async <T>(key: AwsKey, verb: Verb, call: Call<T>): Promise<T> => {
    const client = clientOf(key);
    try {
      return await withTimeLimit(timeoutSeconds, (signal) => sendWithCredentials(client, signal, call));
    } catch (error) {
      const failure = asKmsError(key, verb, error);
      // The SDK keeps credentials with the client: the next call looks whether there are others now.
      if (isAboutCredentials.has(failure.code) && clients.get(key.region) === client)
        clients.delete(key.region);
      throw failure;
    }
  };
  return {
    wrap: async (key, plaintext, context) => {
      const command = new sdk.EncryptCommand({ KeyId: key.arn, Plaintext: plaintext, ...asFields(context) });
      const answer = await ask(key, 'wrap', (client, limit) => client.send(command, limit));
      return checkAnswer(key, answer.KeyId, answer.CiphertextBlob, maxWrappedBytes);
    },
    unwrap: async (key, wrapped, context) => {
      const command = new sdk.DecryptCommand({
        KeyId: key.arn,
        CiphertextBlob: wrapped,
        ...asFields(context),
      });
      const answer = await ask(key, 'unwrap', (client, limit) => client.send(command, limit));
      return checkAnswer(key, answer.KeyId, answer.Plaintext, maxPlaintextBytes);
    },
  };
}

function readAwsEndpoint({ environment, notify }: KmsSettings): URL | undefined {
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS']?.toLowerCase() === 'true') return undefined;
  checkEndpoints(environment, credentialEndpoints);
  return readEndpoint(environment, endpointVariables, notify);
}

function makeClient(sdk: Sdk, region: string, settings: KmsSettings, endpoint: URL | undefined): KMSClient {
  const milliseconds = trySeconds * 1000;
  const silent = (): void => undefined;
  const credentials = staticCredentials(settings);
  const client = new sdk.KMSClient({
    region,
    maxAttempts: settings.attempts ?? defaultAttempts,
    requestHandler: {
      connectionTimeout: milliseconds,
      requestTimeout: milliseconds,
      // Else it only warns.
      throwOnRequestTimeout: true,
    },
    // It would write to the terminal, or into the middle of an agent's log.
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
    ...(credentials === undefined ? freshFiles : { credentials }),
  });
  addGuard(client);
  return client;
}

/** For the credential chain, which else reads its files once in a process, and misses that they were renewed. */
const freshFiles = { ignoreCache: true };

type StaticCredentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string };

/** The first link of the default chain, but of the environment that was given; every other link is the SDK's. */
function staticCredentials({ environment }: KmsSettings): StaticCredentials | undefined {
  const named = (name: string): string => environment[name] ?? '';
  const accessKeyId = named('AWS_ACCESS_KEY_ID');
  const secretAccessKey = named('AWS_SECRET_ACCESS_KEY');
  const sessionToken = named('AWS_SESSION_TOKEN');
  if (named('AWS_PROFILE') !== '' || accessKeyId === '' || secretAccessKey === '') return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken === '' ? {} : { sessionToken }) };
}

/** Thrown when no credentials came, to tell that apart from what KMS says. */
class CredentialsFailure extends Error {}

type Call<T> = (client: KMSClient, limit: { readonly abortSignal: AbortSignal }) => Promise<T>;

async function sendWithCredentials<T>(
  client: KMSClient,
  abortSignal: AbortSignal,
  call: Call<T>,
): Promise<T> {
  try {
    await client.config.credentials();
  } catch (cause) {
    throw new CredentialsFailure('no credentials', { cause });
  }
  return await call(client, { abortSignal });
}

/** Our own refusal from within the SDK, which hangs things of its own on what passes through it. */
class GuardFailure extends Error {
  readonly code: KmsCode;

  constructor(code: KmsCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * The last word before the wire and the first after it: the SDK takes endpoints from its own configuration files too
 * (catalogue INV-111), and reads answers of any length.
 */
function addGuard(client: KMSClient): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      if (!isAllowedAddress(args.request as URL)) {
        const message = 'The AWS configuration names an endpoint that is neither https nor on this machine';
        throw new GuardFailure('bad_endpoint', message);
      }
      const result = await next(args);
      const response = result.response as { body: AsyncIterable<Uint8Array> | Uint8Array };
      response.body = await readLimited(response.body as AsyncIterable<Uint8Array>);
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'clefGuard' },
  );
}

async function readLimited(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    // Leaving the loop destroys the stream.
    if (length > maxAnswerBytes)
      throw new GuardFailure('mismatch', `AWS KMS gave an answer that has more than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function asFields(context: KmsContext | undefined): { EncryptionContext?: Record<string, string> } {
  return context === undefined ? {} : { EncryptionContext: Object.fromEntries(context.entries) };
}

/** The SDK's types are its schema's, not what a reply really holds. */
function checkAnswer(key: AwsKey, keyId: unknown, bytes: unknown, maxBytes: number): Uint8Array {
  if (keyId !== key.arn) throw mismatch(key, 'names another key');
  if (!(bytes instanceof Uint8Array) || bytes.length === 0 || bytes.length > maxBytes)
    throw mismatch(key, 'has no usable bytes');
  return new Uint8Array(bytes);
}

function mismatch(key: AwsKey, what: string): KmsError {
  return new KmsError('mismatch', `AWS KMS gave an answer that ${what}`, { key: key.text });
}

/** What KMS, or STS on the way to credentials, calls its refusals. Any other name is not taken for one. */
const codes: ReadonlyMap<string, KmsCode> = new Map<string, KmsCode>([
  ['AccessDeniedException', 'denied'],
  ['AccessDenied', 'denied'],
  ['NotAuthorized', 'denied'],
  ['OptInRequired', 'denied'],
  ['DisabledException', 'denied'],
  ['KMSInvalidStateException', 'denied'],
  ['InvalidGrantTokenException', 'denied'],
  // A context that does not fit and a blob that was changed look alike, on purpose.
  ['InvalidCiphertextException', 'denied'],
  ['IncorrectKeyException', 'denied'],
  // The access key is not known (any more): its role or user was deleted.
  ['UnrecognizedClientException', 'denied'],
  ['InvalidClientTokenId', 'denied'],
  ['InvalidKeyUsageException', 'unsupported'],
  ['UnsupportedOperationException', 'unsupported'],
  ['NotFoundException', 'not_found'],
  ['InvalidArnException', 'not_found'],
  ['ThrottlingException', 'throttled'],
  ['Throttling', 'throttled'],
  ['LimitExceededException', 'throttled'],
  // Nothing was refused here: the next call, with fresh credentials or a right clock, may pass.
  ['CredentialsProviderError', 'no_credentials'],
  ['TokenProviderError', 'no_credentials'],
  ['ExpiredTokenException', 'no_credentials'],
  ['ExpiredToken', 'no_credentials'],
  ['RequestExpired', 'no_credentials'],
  ['InvalidIdentityToken', 'no_credentials'],
  ['InvalidSignatureException', 'no_credentials'],
  ['SignatureDoesNotMatch', 'no_credentials'],
  ['IncompleteSignature', 'no_credentials'],
  ['IncompleteSignatureException', 'no_credentials'],
  ['MissingAuthenticationToken', 'no_credentials'],
  ['MissingAuthenticationTokenException', 'no_credentials'],
]);

/** Names the error in our own words: the service's, and the SDK's, may quote what was sent (catalogue K02). */
function asKmsError(key: AwsKey, verb: Verb, error: unknown): KmsError {
  if (error instanceof GuardFailure) return new KmsError(error.code, error.message, { key: key.text });
  const hasNone = error instanceof CredentialsFailure;
  const found = hasNone ? error.cause : error;
  const name = found instanceof Error ? found.name : '';
  const code = codes.get(name) ?? connectionCode(found) ?? (hasNone ? 'no_credentials' : codeOfStatus(error));
  const cause = new Error(codes.has(name) ? name : 'an error without a known name');
  return new KmsError(code, serviceFailure('AWS KMS', code, verb, key.arn), { key: key.text, cause });
}

function codeOfStatus(error: unknown): KmsCode {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata;
  if (metadata?.httpStatusCode === 429) return 'throttled';
  // It said yes, in words that cannot be read.
  return metadata?.httpStatusCode === 200 ? 'mismatch' : 'unavailable';
}
