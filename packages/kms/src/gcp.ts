// GCP KMS: credentials from google-auth-library's default chain, two REST calls, and CRC32C checked both ways, as Google
// asks of its clients (catalogue F-35, K03).
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import {
  crc32c,
  decodeBase64,
  decodeUtf8,
  encodeBase64,
  type JsonObject,
  parseJson,
  StrictError,
} from '@clef/strict';
import { connectionCode, readEndpoint } from './endpoint.ts';
import type { GcpKey } from './key-reference.ts';
import type { KmsContext, KmsSettings, Provider } from './kms.ts';
import { type KmsCode, KmsError, serviceFailure } from './kms-error.ts';

const publicEndpoint = new URL('https://cloudkms.googleapis.com/');
const scope = 'https://www.googleapis.com/auth/cloudkms';
const perTrySeconds = 5;
const defaultTimeoutSeconds = 15;
const maxAnswerBytes = 256 * 1024;
const jsonLimits = { maxBytes: maxAnswerBytes, maxDepth: 16 };

type Verb = 'wrap' | 'unwrap';
type Answer = { readonly status: number; readonly body: Uint8Array };

/** @throws {KmsError} `bad_endpoint` where `CLEF_GCP_KMS_ENDPOINT` is not allowed. */
export async function openGcp(settings: KmsSettings): Promise<Provider<GcpKey>> {
  const endpoint =
    readEndpoint(settings.environment, ['CLEF_GCP_KMS_ENDPOINT'], settings.notify) ?? publicEndpoint;
  const token = tokenSource(settings);
  const call = (key: GcpKey, verb: Verb, body: object): Promise<JsonObject> =>
    withRetries(settings, () => callOnce({ endpoint, key, verb, body }, token));
  return {
    wrap: async (key, plaintext, context) => {
      const aad = additionalData(context);
      const answer = await call(key, 'wrap', {
        plaintext: encodeBase64(plaintext),
        plaintextCrc32c: String(crc32c(plaintext)),
        ...aadFields(aad),
      });
      requireVerified(key, answer, 'verifiedPlaintextCrc32c');
      if (aad !== undefined) requireVerified(key, answer, 'verifiedAdditionalAuthenticatedDataCrc32c');
      const name = answer['name'];
      if (typeof name !== 'string' || !name.startsWith(`${key.resource}/cryptoKeyVersions/`))
        throw mismatch(key, 'names another key');
      return checkedBytes(key, answer, 'ciphertext', 'ciphertextCrc32c');
    },
    unwrap: async (key, wrapped, context) => {
      const answer = await call(key, 'unwrap', {
        ciphertext: encodeBase64(wrapped),
        ciphertextCrc32c: String(crc32c(wrapped)),
        ...aadFields(additionalData(context)),
      });
      return checkedBytes(key, answer, 'plaintext', 'plaintextCrc32c');
    },
  };
}

/** The label, a NUL, then each value after its length as four bytes, big-endian (formats.md, "Wrapping"). */
export function additionalData(context: KmsContext | undefined): Uint8Array | undefined {
  if (context === undefined) return undefined;
  const parts = context.entries.map(([, value]) => {
    const bytes = Buffer.from(value, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  });
  return new Uint8Array(Buffer.concat([Buffer.from(`${context.label}\0`, 'utf8'), ...parts]));
}

function aadFields(aad: Uint8Array | undefined): object {
  if (aad === undefined) return {};
  return {
    additionalAuthenticatedData: encodeBase64(aad),
    additionalAuthenticatedDataCrc32c: String(crc32c(aad)),
  };
}

/** An access token from `GOOGLE_OAUTH_ACCESS_TOKEN`, as sops takes it, else from the machine's or the person's own login. */
function tokenSource({ environment }: KmsSettings): () => Promise<string> {
  const given = environment['GOOGLE_OAUTH_ACCESS_TOKEN'];
  if (given !== undefined && given !== '') return async () => given;
  let auth: Promise<{ getAccessToken(): Promise<string | null | undefined> }> | undefined;
  return async () => {
    auth ??= import('google-auth-library').then(({ GoogleAuth }) => new GoogleAuth({ scopes: [scope] }));
    const token = await (await auth).getAccessToken();
    if (typeof token !== 'string' || token === '') throw new Error('no token');
    return token;
  };
}

type Call = { readonly endpoint: URL; readonly key: GcpKey; readonly verb: Verb; readonly body: object };

async function callOnce(
  { endpoint, key, verb, body }: Call,
  token: () => Promise<string>,
): Promise<JsonObject> {
  const bearer = await token().catch((cause: unknown) => {
    const code = connectionCode(cause) ?? 'no_credentials';
    throw failure(key, verb, code);
  });
  const path = `v1/${key.resource}:${verb === 'wrap' ? 'encrypt' : 'decrypt'}`;
  const answer = await post(new URL(path, endpoint), bearer, JSON.stringify(body)).catch((cause: unknown) => {
    if (cause instanceof KmsError) throw cause;
    throw failure(key, verb, connectionCode(cause) ?? 'unavailable');
  });
  if (answer.status !== 200) throw failure(key, verb, codeOfStatus(answer.status));
  return readAnswer(key, answer.body);
}

function codeOfStatus(status: number): KmsCode {
  if (status === 429) return 'throttled';
  if (status === 404) return 'not_found';
  // 400: the additional data does not fit, the blob was changed, or the key is disabled. None of it heals by waiting.
  return status >= 400 && status < 500 ? 'denied' : 'unavailable';
}

function failure(key: GcpKey, verb: Verb, code: KmsCode): KmsError {
  return new KmsError(code, serviceFailure('GCP KMS', code, verb, key.resource), { key: key.text });
}

function post(url: URL, bearer: string, body: string): Promise<Answer> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: 'POST',
        headers: {
          authorization: `Bearer ${bearer}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
        signal: AbortSignal.timeout(perTrySeconds * 1000),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > maxAnswerBytes) response.destroy(new Error('too large'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function readAnswer(key: GcpKey, body: Uint8Array): JsonObject {
  try {
    const value = parseJson(decodeUtf8(body), jsonLimits);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
  }
  throw mismatch(key, 'is not a JSON object');
}

/** The bytes of a field, if they arrived as they were sent. */
function checkedBytes(key: GcpKey, answer: JsonObject, field: string, checksumField: string): Uint8Array {
  const text = answer[field];
  const bytes = typeof text === 'string' && text !== '' ? decodeOrUndefined(text) : undefined;
  if (bytes === undefined) throw mismatch(key, 'has no usable bytes');
  // Google's JSON has 64-bit numbers as text.
  if (String(answer[checksumField]) !== String(crc32c(bytes))) throw mismatch(key, 'was changed on its way');
  return bytes;
}

function decodeOrUndefined(text: string): Uint8Array | undefined {
  try {
    return decodeBase64(text);
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

function requireVerified(key: GcpKey, answer: JsonObject, field: string): void {
  if (answer[field] !== true) throw mismatch(key, 'does not say that the question arrived unchanged');
}

function mismatch(key: GcpKey, what: string): KmsError {
  return new KmsError('mismatch', `GCP KMS gave an answer that ${what}`, { key: key.text });
}

const retried: ReadonlySet<KmsCode> = new Set<KmsCode>(['throttled', 'unavailable', 'mismatch']);

/** Tries again what may heal, after a pause with full jitter, within the time of one call. */
async function withRetries<T>(
  { attempts = 3, timeoutSeconds = defaultTimeoutSeconds }: KmsSettings,
  call: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      const mayHeal = error instanceof KmsError && retried.has(error.code) && attempt < attempts;
      const pauseMilliseconds = jitter() * 200 * 2 ** attempt;
      if (!mayHeal || performance.now() + pauseMilliseconds > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds));
    }
  }
}

/** Between 0 and 1. Spreads callers out; nothing depends on it being unpredictable. */
function jitter(): number {
  return (performance.now() * 1000) % 1;
}
