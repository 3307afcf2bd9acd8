// AWS KMS through the official SDK and its default credential chain: no credential is stored or chosen here. The region
// comes from the key's own ARN, and an answer must name that very key.
import type { KMSClient } from '@aws-sdk/client-kms';
import { type AwsAccess, guardAwsClient, readAwsAccess } from './aws-access.ts';
import { roleCredentials } from './aws-role.ts';
import { connectionCode } from './endpoint.ts';
import type { AwsKey } from './key-reference.ts';
import { type KmsCode, KmsError, type KmsVerb, serviceFailure } from './kms-error.ts';
import {
  defaultAttempts,
  defaultTimeoutSeconds,
  maxAnswerBytes,
  maxPlaintextBytes,
  maxPublicKeyBytes,
  maxSignatureBytes,
  maxWrappedBytes,
  trySeconds,
} from './limits.ts';
import type { KmsContext, KmsSettings, Provider } from './provider.ts';
import { withTimeLimit } from './tries.ts';

const signingAlgorithm = 'ECDSA_SHA_256';

const isAboutCredentials: ReadonlySet<KmsCode> = new Set<KmsCode>(['no_credentials', 'denied']);

type Sdk = typeof import('@aws-sdk/client-kms');

/** @throws {KmsError} `bad_endpoint` where an endpoint override is not allowed. */
export async function openAws(settings: KmsSettings): Promise<Provider<AwsKey>> {
  const access = readAwsAccess('KMS', settings);
  const sdk = await import('@aws-sdk/client-kms');
  const timeoutSeconds = settings.timeoutSeconds ?? defaultTimeoutSeconds;
  const clients = new Map<string, KMSClient>();
  const clientOf = ({ region }: AwsKey): KMSClient => {
    const client = clients.get(region) ?? makeClient(sdk, region, settings, access);
    clients.set(region, client);
    return client;
  };
  const ask = async <T>(key: AwsKey, verb: KmsVerb, call: Call<T>): Promise<T> => {
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
    signing: {
      sign: async (key, digest) => {
        const command = new sdk.SignCommand({
          KeyId: key.arn,
          Message: digest,
          MessageType: 'DIGEST',
          SigningAlgorithm: signingAlgorithm,
        });
        const answer = await ask(key, 'sign', (client, limit) => client.send(command, limit));
        if (answer.SigningAlgorithm !== signingAlgorithm) throw mismatch(key, 'names another algorithm');
        return checkAnswer(key, answer.KeyId, answer.Signature, maxSignatureBytes);
      },
      publicKey: async (key) => {
        const command = new sdk.GetPublicKeyCommand({ KeyId: key.arn });
        const answer = await ask(key, 'publicKey', (client, limit) => client.send(command, limit));
        const spki = checkAnswer(key, answer.KeyId, answer.PublicKey, maxPublicKeyBytes);
        if (answer.KeyUsage === 'SIGN_VERIFY' && answer.KeySpec === 'ECC_NIST_P256') return spki;
        throw new KmsError('unsupported', `${key.arn} is no key for signatures with ECDSA P-256`, {
          key: key.text,
        });
      },
    },
  };
}

function makeClient(sdk: Sdk, region: string, settings: KmsSettings, access: AwsAccess): KMSClient {
  const milliseconds = trySeconds * 1000;
  const common = {
    region,
    maxAttempts: settings.attempts ?? defaultAttempts,
    requestHandler: {
      connectionTimeout: milliseconds,
      requestTimeout: milliseconds,
      // Else it only warns.
      throwOnRequestTimeout: true,
    },
  };
  const own = new sdk.KMSClient({ ...common, ...access });
  const role = settings.aws?.role;
  const client =
    role === undefined
      ? own
      : new sdk.KMSClient({
          ...common,
          ...access,
          credentials: roleCredentials(role, {
            ...common,
            ...readAwsAccess('STS', settings),
            credentials: own.config.credentials,
            guard: (sts) => guardAwsClient(sts, () => maxAnswerBytes, guardFailure),
          }),
        });
  guardAwsClient(client, () => maxAnswerBytes, guardFailure);
  return client;
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

function guardFailure(why: 'endpoint' | 'too_large'): GuardFailure {
  if (why === 'too_large')
    return new GuardFailure('mismatch', `AWS KMS gave an answer that has more than ${maxAnswerBytes} bytes`);
  const message = 'The AWS configuration names an endpoint that is neither https nor on this machine';
  return new GuardFailure('bad_endpoint', message);
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
function asKmsError(key: AwsKey, verb: KmsVerb, error: unknown): KmsError {
  const hasNone = error instanceof CredentialsFailure;
  const found = hasNone ? error.cause : error;
  if (found instanceof GuardFailure) return new KmsError(found.code, found.message, { key: key.text });
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
