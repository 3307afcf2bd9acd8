// GCP KMS: credentials from google-auth-library's default chain, four REST calls, and CRC32C checked both ways, as Google
// asks of its clients (catalogue F-35, K03).
import {
  crc32c,
  decodeBase64,
  encodeBase64,
  type JsonObject,
  type JsonValue,
  StrictError,
} from '@clef/strict';
import { additionalData } from './additional-data.ts';
import { connectionCode, readEndpoint } from './endpoint.ts';
import { type GcpAuthorization, openGcpAuthorization } from './gcp-authorization.ts';
import type { GcpKey } from './key-reference.ts';
import { type KmsCode, KmsError, type KmsVerb, serviceFailure } from './kms-error.ts';
import { defaultTimeoutSeconds, trySeconds } from './limits.ts';
import { getJson, type JsonReply, postJson } from './post-json.ts';
import type { KmsSettings, Provider } from './provider.ts';
import { withRetries, withTimeLimit } from './tries.ts';

const publicEndpoint = new URL('https://cloudkms.googleapis.com/');

type Question = { readonly key: GcpKey; readonly verb: KmsVerb; readonly body?: object };

/** What each question adds to the name of its key. */
const paths = {
  wrap: ':encrypt',
  unwrap: ':decrypt',
  sign: ':asymmetricSign',
  publicKey: '/publicKey',
} as const satisfies Record<KmsVerb, string>;

/** @throws {KmsError} `bad_endpoint` where `CLEF_GCP_KMS_ENDPOINT` is not allowed. */
export async function openGcp(settings: KmsSettings): Promise<Provider<GcpKey>> {
  const endpoint =
    readEndpoint(settings.environment, ['CLEF_GCP_KMS_ENDPOINT'], settings.notify) ?? publicEndpoint;
  const authorization = openGcpAuthorization(settings);
  /** `read` is part of the try: an answer that was garbled on its way is asked for again. */
  const ask = async <T>(question: Question, read: (answer: JsonObject) => T): Promise<T> => {
    try {
      return await withTimeLimit(settings.timeoutSeconds ?? defaultTimeoutSeconds, (signal) =>
        withRetries(settings, async () => read(await askOnce(question, endpoint, authorization, signal))),
      );
    } catch (error) {
      if (error instanceof KmsError || connectionCode(error) === undefined) throw error;
      throw failure(question, 'unavailable');
    }
  };
  return {
    wrap: (key, plaintext, context) => {
      const aad = additionalData(context);
      const body = { ...checked('plaintext', plaintext), ...aadFields(aad) };
      return ask({ key, verb: 'wrap', body }, (answer) => readWrapped(key, answer, aad !== undefined));
    },
    unwrap: (key, wrapped, context) => {
      const body = { ...checked('ciphertext', wrapped), ...aadFields(additionalData(context)) };
      return ask({ key, verb: 'unwrap', body }, (answer) => checkedBytes(key, answer, 'plaintext'));
    },
    signing: {
      sign: (key, digest) => {
        const body = { digest: { sha256: encodeBase64(digest) }, digestCrc32c: String(crc32c(digest)) };
        return ask({ key, verb: 'sign', body }, (answer) => readSignature(key, answer));
      },
      publicKey: (key) => ask({ key, verb: 'publicKey' }, (answer) => readPublicKey(key, answer)),
    },
  };
}

/** A field and its checksum. Google's JSON has 64-bit numbers as text. */
function checked(field: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  return { [field]: encodeBase64(bytes), [`${field}Crc32c`]: String(crc32c(bytes)) };
}

function aadFields(aad: Uint8Array | undefined): object {
  return aad === undefined ? {} : checked('additionalAuthenticatedData', aad);
}

async function askOnce(
  question: Question,
  endpoint: URL,
  authorization: GcpAuthorization,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { key, verb, body } = question;
  const url = new URL(`v1/${nameOf(key)}${paths[verb]}`, endpoint);
  const headers = await authorization.headers(url).catch((error: unknown) => {
    throw failure(question, credentialsCode(error));
  });
  const send = (limit: AbortSignal): Promise<JsonReply> =>
    body === undefined ? getJson(url, headers, limit) : postJson(url, headers, body, limit);
  const reply = await withTimeLimit(trySeconds, send, signal).catch((error: unknown) => {
    throw failure(question, connectionCode(error) ?? 'unavailable');
  });
  if (reply.status === 200) {
    if (reply.value !== undefined) return reply.value;
    throw mismatch(key, 'is not a JSON object');
  }
  const code = refusalCode(reply);
  // Another token may do: the next call looks for one.
  if (code === 'no_credentials') authorization.forget();
  throw failure(question, code, reply.retryAfterSeconds);
}

function credentialsCode(error: unknown): KmsCode {
  const status = (error as { status?: unknown } | null)?.status;
  if (typeof status === 'number' && (status >= 500 || status === 429)) return 'unavailable';
  return connectionCode(error) ?? 'no_credentials';
}

/** What Google calls its refusals (google.rpc.Code). Anything else was not said by Google and may heal. */
const codes: ReadonlyMap<JsonValue | undefined, KmsCode> = new Map<JsonValue | undefined, KmsCode>([
  ['PERMISSION_DENIED', 'denied'],
  // Additional data that does not fit, and a blob that was changed.
  ['INVALID_ARGUMENT', 'denied'],
  // The key is disabled or destroyed, or signs only.
  ['FAILED_PRECONDITION', 'denied'],
  ['NOT_FOUND', 'not_found'],
  ['UNAUTHENTICATED', 'no_credentials'],
  ['RESOURCE_EXHAUSTED', 'throttled'],
]);

function refusalCode({ status, value }: JsonReply): KmsCode {
  if (status === 429) return 'throttled';
  const error = value?.['error'];
  if (!isObject(error)) return 'unavailable';
  const code = codes.get(error['status']) ?? 'unavailable';
  return code === 'no_credentials' && isAccountDisabled(error['details']) ? 'denied' : code;
}

/** A service account that was disabled or deleted is told so where others hear that their token is too old. */
function isAccountDisabled(details: JsonValue | undefined): boolean {
  return (
    Array.isArray(details) &&
    details.some((detail: JsonValue) => isObject(detail) && detail['reason'] === 'ACCOUNT_STATE_INVALID')
  );
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readWrapped(key: GcpKey, answer: JsonObject, hasAad: boolean): Uint8Array {
  requireVerified(key, answer, 'verifiedPlaintextCrc32c');
  if (hasAad) requireVerified(key, answer, 'verifiedAdditionalAuthenticatedDataCrc32c');
  const { name } = answer;
  const prefix = `${key.resource}/cryptoKeyVersions/`;
  if (
    typeof name !== 'string' ||
    !name.startsWith(prefix) ||
    !/^[0-9]{1,10}$/.test(name.slice(prefix.length))
  )
    throw mismatch(key, 'names another key');
  return checkedBytes(key, answer, 'ciphertext');
}

function readSignature(key: GcpKey, answer: JsonObject): Uint8Array {
  requireVerified(key, answer, 'verifiedDigestCrc32c');
  if (answer['name'] !== nameOf(key)) throw mismatch(key, 'names another key');
  return checkedBytes(key, answer, 'signature');
}

function readPublicKey(key: GcpKey, answer: JsonObject): Uint8Array {
  const { name, algorithm, pem } = answer;
  if (name !== nameOf(key)) throw mismatch(key, 'names another key');
  if (typeof pem !== 'string' || typeof algorithm !== 'string') throw mismatch(key, 'has no usable bytes');
  if (answer['pemCrc32c'] !== String(crc32c(Buffer.from(pem, 'utf8'))))
    throw mismatch(key, 'was changed on its way');
  if (algorithm !== 'EC_SIGN_P256_SHA256') {
    const message = `${nameOf(key)} is no key for signatures with ECDSA P-256`;
    throw new KmsError('unsupported', message, { key: key.text });
  }
  const [, base64] =
    /^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----\n*$/.exec(pem) ?? [];
  const spki = base64 === undefined ? undefined : decodeOrUndefined(base64.replaceAll('\n', ''));
  if (spki === undefined) throw mismatch(key, 'has no usable bytes');
  return spki;
}

/** The key, or the version of it that signs. */
function nameOf({ resource, version }: GcpKey): string {
  return version === undefined ? resource : `${resource}/cryptoKeyVersions/${version}`;
}

function requireVerified(key: GcpKey, answer: JsonObject, field: string): void {
  if (answer[field] !== true) throw mismatch(key, 'does not say that the question arrived unchanged');
}

/** The bytes of a field, if they arrived as they were sent. */
function checkedBytes(key: GcpKey, answer: JsonObject, field: string): Uint8Array {
  const text = answer[field];
  const bytes = typeof text === 'string' && text !== '' ? decodeOrUndefined(text) : undefined;
  if (bytes === undefined) throw mismatch(key, 'has no usable bytes');
  if (answer[`${field}Crc32c`] !== String(crc32c(bytes))) throw mismatch(key, 'was changed on its way');
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

function failure({ key, verb }: Question, code: KmsCode, retryAfterSeconds?: number): KmsError {
  const message = serviceFailure('GCP KMS', code, verb, nameOf(key));
  return new KmsError(code, message, { key: key.text, retryAfterSeconds });
}

function mismatch(key: GcpKey, what: string): KmsError {
  return new KmsError('mismatch', `GCP KMS gave an answer that ${what}`, { key: key.text });
}
