// AWS KMS through the official SDK and its default credential chain: no credential is stored or chosen here. The region
// comes from the key's own ARN, and an answer must name that very key.
import type { KMSClient } from '@aws-sdk/client-kms';
import { connectionCode, readEndpoint } from './endpoint.ts';
import type { AwsKey } from './key-reference.ts';
import type { KmsContext, KmsSettings, Provider } from './kms.ts';
import { type KmsCode, KmsError, serviceFailure } from './kms-error.ts';

const perTrySeconds = 5;
const defaultTimeoutSeconds = 15;
// AWS limits what Encrypt takes (4,096 bytes) and what Decrypt takes (6,144).
const maxPlaintextBytes = 4096;
const maxWrappedBytes = 6144;

const endpointVariables = ['AWS_ENDPOINT_URL_KMS', 'AWS_ENDPOINT_URL'];

/** @throws {KmsError} `bad_endpoint` where an endpoint override is not allowed. */
export async function openAws(settings: KmsSettings): Promise<Provider<AwsKey>> {
  const endpoint = readEndpoint(settings.environment, endpointVariables, settings.notify);
  const { DecryptCommand, EncryptCommand, KMSClient } = await import('@aws-sdk/client-kms');
  const clients = new Map<string, KMSClient>();
  const clientOf = ({ region }: AwsKey): KMSClient => {
    const client =
      clients.get(region) ??
      new KMSClient({
        region,
        maxAttempts: settings.attempts ?? 3,
        requestHandler: { connectionTimeout: perTrySeconds * 1000, requestTimeout: perTrySeconds * 1000 },
        ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
      });
    clients.set(region, client);
    return client;
  };
  const timeLimit = (): { abortSignal: AbortSignal } => ({
    abortSignal: AbortSignal.timeout((settings.timeoutSeconds ?? defaultTimeoutSeconds) * 1000),
  });
  return {
    wrap: async (key, plaintext, context) => {
      const command = new EncryptCommand({
        KeyId: key.arn,
        Plaintext: plaintext,
        ...encryptionContext(context),
      });
      const client = clientOf(key);
      const answer = await ask(key, 'wrap', () => client.send(command, timeLimit()));
      return checkAnswer(key, answer.KeyId, answer.CiphertextBlob, maxWrappedBytes);
    },
    unwrap: async (key, wrapped, context) => {
      const command = new DecryptCommand({
        KeyId: key.arn,
        CiphertextBlob: wrapped,
        ...encryptionContext(context),
      });
      const client = clientOf(key);
      const answer = await ask(key, 'unwrap', () => client.send(command, timeLimit()));
      return checkAnswer(key, answer.KeyId, answer.Plaintext, maxPlaintextBytes);
    },
  };
}

function encryptionContext(context: KmsContext | undefined): { EncryptionContext?: Record<string, string> } {
  return context === undefined ? {} : { EncryptionContext: Object.fromEntries(context.entries) };
}

function checkAnswer(
  key: AwsKey,
  keyId: string | undefined,
  bytes: Uint8Array | undefined,
  maxBytes: number,
): Uint8Array {
  if (keyId !== key.arn) throw mismatch(key, 'names another key');
  if (bytes === undefined || bytes.length === 0 || bytes.length > maxBytes)
    throw mismatch(key, 'has no usable bytes');
  return new Uint8Array(bytes);
}

function mismatch(key: AwsKey, what: string): KmsError {
  return new KmsError('mismatch', `AWS KMS gave an answer that ${what}`, { key: key.text });
}

/** Only the call itself is judged here: an error in making it is a bug and is shown as one. */
async function ask<T>(key: AwsKey, verb: 'wrap' | 'unwrap', call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asKmsError(key, verb, error);
  }
}

/** The service's own text is not passed on: it may quote what it was sent (catalogue K02). */
const codes: Readonly<Record<string, KmsCode>> = {
  AccessDeniedException: 'denied',
  DisabledException: 'denied',
  KMSInvalidStateException: 'denied',
  InvalidGrantTokenException: 'denied',
  InvalidKeyUsageException: 'denied',
  // A context that does not fit and a blob that was changed look alike, on purpose.
  InvalidCiphertextException: 'denied',
  IncorrectKeyException: 'denied',
  ExpiredTokenException: 'denied',
  ExpiredToken: 'denied',
  UnrecognizedClientException: 'denied',
  InvalidSignatureException: 'denied',
  SignatureDoesNotMatch: 'denied',
  IncompleteSignature: 'denied',
  InvalidClientTokenId: 'denied',
  NotFoundException: 'not_found',
  ThrottlingException: 'throttled',
  LimitExceededException: 'throttled',
  CredentialsProviderError: 'no_credentials',
};

function asKmsError(key: AwsKey, verb: 'wrap' | 'unwrap', error: unknown): KmsError {
  const name = error instanceof Error ? error.name : '';
  const code = codes[name] ?? connectionCode(error) ?? codeOfStatus(error);
  const cause = new Error(/^[A-Za-z]{1,64}$/.test(name) ? name : 'unknown error');
  return new KmsError(code, serviceFailure('AWS KMS', code, verb, key.arn), { key: key.text, cause });
}

function codeOfStatus(error: unknown): KmsCode {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata;
  const status = metadata?.httpStatusCode;
  if (status === 429) return 'throttled';
  if (status === 401 || status === 403) return 'denied';
  return 'unavailable';
}
