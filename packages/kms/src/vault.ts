// The transit engine of HashiCorp Vault and OpenBao. Its address and token are the user's own, never a repository's.
import { join } from 'node:path';
import { HostError, readRegularFile } from '@clef/host';
import { decodeBase64, encodeBase64, type JsonObject, type JsonValue, StrictError } from '@clef/strict';
import { additionalData } from './additional-data.ts';
import { askJson, failureOf, type JsonQuestion } from './ask-json.ts';
import { readEndpoint } from './endpoint.ts';
import type { VaultKey } from './key-reference.ts';
import { type KmsCode, KmsError } from './kms-error.ts';
import type { JsonReply } from './post-json.ts';
import type { KmsContext, KmsSettings, Provider } from './provider.ts';

const maxTokenBytes = 16 * 1024;
const ciphertext = /^vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/]+={0,2}$/;

/**
 * Calls go to `VAULT_ADDR`, with the token of `VAULT_TOKEN` or of `~/.vault-token`, read at each call since a login may
 * renew it, in the namespace of `VAULT_NAMESPACE`. Wrapped bytes are Vault's own text, `vault:v1:…`.
 * @throws {KmsError} `bad_endpoint` where `VAULT_ADDR` is missing or not allowed.
 */
export async function openVault(settings: KmsSettings): Promise<Provider<VaultKey>> {
  const origin = readAddress(settings);
  const ask = <T>(
    key: VaultKey,
    verb: 'wrap' | 'unwrap',
    body: object,
    read: (data: JsonObject) => T | undefined,
  ): Promise<T> => {
    const path = `/v1/${key.mount}/${verb === 'wrap' ? 'encrypt' : 'decrypt'}/${key.name}`;
    const headers = () => readHeaders(settings.environment);
    const about = { service: 'Vault', verb, key } as const;
    const question: JsonQuestion = { ...about, url: new URL(path, origin), headers, body, refusalCode };
    return askJson(settings, question, (answer) => {
      const found = isObject(answer['data']) ? read(answer['data']) : undefined;
      if (found === undefined) throw failureOf(about, 'mismatch');
      return found;
    });
  };
  return {
    wrap: (key, plaintext, context) =>
      ask(key, 'wrap', { plaintext: encodeBase64(plaintext), ...boundTo(context) }, readWrapped),
    unwrap: (key, wrapped, context) => {
      const text = Buffer.from(wrapped).toString('latin1');
      if (!ciphertext.test(text)) throw failureOf({ service: 'Vault', verb: 'unwrap', key }, 'denied');
      return ask(key, 'unwrap', { ciphertext: text, ...boundTo(context) }, readPlaintext);
    },
  };
}

function readAddress({ environment }: KmsSettings): URL {
  const url = readEndpoint(environment, ['VAULT_ADDR'], undefined);
  if (url === undefined)
    throw new KmsError('bad_endpoint', 'VAULT_ADDR is not set, so there is no Vault to ask');
  if (url.pathname !== '/')
    throw new KmsError('bad_endpoint', 'VAULT_ADDR has a path where only a host belongs');
  return url;
}

async function readHeaders(
  environment: KmsSettings['environment'],
): Promise<Readonly<Record<string, string>>> {
  const given = environment['VAULT_TOKEN'] ?? '';
  const token = given === '' ? await readTokenFile(environment) : given;
  const namespace = environment['VAULT_NAMESPACE'] ?? '';
  for (const text of [token, namespace])
    if (!/^[\x21-\x7e]*$/.test(text)) throw new Error('This is no token');
  return {
    'x-vault-token': token,
    // Vault's own proxies refuse what comes without it: a browser cannot send it across sites.
    'x-vault-request': 'true',
    ...(namespace === '' ? {} : { 'x-vault-namespace': namespace }),
  };
}

async function readTokenFile(environment: KmsSettings['environment']): Promise<string> {
  const home = environment['HOME'] ?? environment['USERPROFILE'] ?? '';
  const noToken = 'Vault cannot be asked: neither VAULT_TOKEN nor ~/.vault-token has a token';
  if (home === '') throw new KmsError('no_credentials', noToken);
  try {
    const bytes = await readRegularFile(join(home, '.vault-token'), { maxBytes: maxTokenBytes });
    const token = Buffer.from(bytes).toString('utf8').trim();
    if (token !== '') return token;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
  throw new KmsError('no_credentials', noToken);
}

function boundTo(context: KmsContext | undefined): object {
  const data = additionalData(context);
  return data === undefined ? {} : { associated_data: encodeBase64(data) };
}

// 400 is whatever is wrong with the question: a changed blob, other data, a key that does not decrypt.
const codes: ReadonlyMap<number, KmsCode> = new Map<number, KmsCode>([
  [400, 'denied'],
  [401, 'no_credentials'],
  [403, 'denied'],
  [404, 'not_found'],
  [429, 'throttled'],
]);

function refusalCode({ status, value }: JsonReply): KmsCode {
  // Anything else was not said by Vault and may heal, as a sealed Vault (503) may.
  if (!Array.isArray(value?.['errors'])) return status === 429 ? 'throttled' : 'unavailable';
  return codes.get(status) ?? 'unavailable';
}

function readWrapped(data: JsonObject): Uint8Array | undefined {
  const text = data['ciphertext'];
  return typeof text === 'string' && ciphertext.test(text) ? new TextEncoder().encode(text) : undefined;
}

function readPlaintext(data: JsonObject): Uint8Array | undefined {
  const text = data['plaintext'];
  if (typeof text !== 'string' || text === '') return undefined;
  try {
    return decodeBase64(text);
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
