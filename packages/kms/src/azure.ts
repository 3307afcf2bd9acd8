// Azure Key Vault: RSA keys, RSA-OAEP with SHA-256, over two REST calls. It takes no additional data, so what is wrapped is
// the hash of the context followed by the secret, and the hash is compared after unwrapping (formats.md, "Wrapping").
import { createHash, timingSafeEqual } from 'node:crypto';
import { decodeBase64, type JsonObject, type JsonValue, StrictError } from '@clef/strict';
import { additionalData } from './additional-data.ts';
import { askJson, failureOf, type JsonQuestion } from './ask-json.ts';
import { type AzureAuthorization, openAzureAuthorization } from './azure-authorization.ts';
import { readEndpoint } from './endpoint.ts';
import type { AzureKey } from './key-reference.ts';
import type { KmsCode } from './kms-error.ts';
import type { JsonReply } from './post-json.ts';
import type { KmsContext, KmsSettings, Provider } from './provider.ts';

const apiVersion = '7.4';
const algorithm = 'RSA-OAEP-256';
const digestBytes = 32;

type Verb = 'wrap' | 'unwrap';

/**
 * A key of 2,048 bits wraps up to 190 bytes, of which a context takes 32.
 * @throws {KmsError} `bad_endpoint` where `CLEF_AZURE_KEY_VAULT_ENDPOINT` is not allowed.
 */
export async function openAzure(
  settings: KmsSettings,
  authorization: AzureAuthorization = openAzureAuthorization(settings),
): Promise<Provider<AzureKey>> {
  const endpoint = readEndpoint(settings.environment, ['CLEF_AZURE_KEY_VAULT_ENDPOINT'], settings.notify);
  const ask = (key: AzureKey, verb: Verb, bytes: Uint8Array): Promise<Uint8Array> => {
    const question: JsonQuestion = {
      service: 'Azure Key Vault',
      verb,
      key,
      url: urlOf(key, verb, endpoint),
      headers: () => authorization.headers(),
      body: { alg: algorithm, value: Buffer.from(bytes).toString('base64url') },
      refusalCode,
    };
    return askJson(settings, question, (answer) => {
      const value = isOfKey(key, answer['kid']) ? decodeUrlSafe(answer['value']) : undefined;
      if (value === undefined) throw failureOf(question, 'mismatch');
      return value;
    });
  };
  return {
    wrap: (key, plaintext, context) => ask(key, 'wrap', Buffer.concat([digestOf(context), plaintext])),
    async unwrap(key, wrapped, context) {
      const plaintext = await ask(key, 'unwrap', wrapped);
      const digest = digestOf(context);
      const isBound =
        plaintext.length > digest.length && timingSafeEqual(plaintext.subarray(0, digest.length), digest);
      // As if the service had compared it: another context is refused for good.
      if (!isBound) throw failureOf({ service: 'Azure Key Vault', verb: 'unwrap', key }, 'denied');
      return plaintext.slice(digest.length);
    },
  };
}

function urlOf({ vault, name, version }: AzureKey, verb: Verb, endpoint: URL | undefined): URL {
  const operation = verb === 'wrap' ? 'encrypt' : 'decrypt';
  const path = `/keys/${name}/${version}/${operation}?api-version=${apiVersion}`;
  return new URL(path, endpoint ?? `https://${vault}.vault.azure.net`);
}

/** Nothing for no context, else 32 bytes. */
function digestOf(context: KmsContext | undefined): Uint8Array {
  const data = additionalData(context);
  return data === undefined
    ? new Uint8Array()
    : createHash('sha256').update(data).digest().subarray(0, digestBytes);
}

const codes: ReadonlyMap<number, KmsCode> = new Map<number, KmsCode>([
  // A changed blob, a key that is disabled or may not do this.
  [400, 'denied'],
  [401, 'no_credentials'],
  [403, 'denied'],
  [404, 'not_found'],
  [409, 'denied'],
  [429, 'throttled'],
]);

function refusalCode({ status, value }: JsonReply): KmsCode {
  if (status === 429) return 'throttled';
  // Anything else was not said by Azure and may heal.
  return isObject(value?.['error']) ? (codes.get(status) ?? 'unavailable') : 'unavailable';
}

function isOfKey({ vault, name, version }: AzureKey, kid: JsonValue | undefined): boolean {
  return kid === `https://${vault}.vault.azure.net/keys/${name}/${version}`;
}

function decodeUrlSafe(text: JsonValue | undefined): Uint8Array | undefined {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  const standard = text.replaceAll('-', '+').replaceAll('_', '/');
  try {
    return decodeBase64(standard + '='.repeat((4 - (standard.length % 4)) % 4));
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
