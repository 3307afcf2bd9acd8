// Azure Key Vault: a faithful fake with a real RSA key, and scripted answers.
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeAzureKeyVault } from '../../../test/fakes/azure-key-vault.ts';
import { openAzure } from '../src/azure.ts';
import { type AzureKey, type KmsCode, KmsError, openKms, parseKeyReference } from '../src/index.ts';
import type { KmsSettings } from '../src/provider.ts';
import {
  type Answer,
  hang,
  json,
  type ScriptedServer,
  served,
  startScriptedServer,
  text,
} from './scripted-server.ts';

const version = '0123456789abcdef0123456789abcdef';
const key = parseKeyReference(`azurekms://my-vault.vault.azure.net/my-key/${version}`) as AzureKey;
const kid = `https://my-vault.vault.azure.net/keys/my-key/${version}`;
const plaintext = Buffer.from('AGE-SECRET-KEY-1 of 74 characters, which is what an artifact wraps, padded.');
const context = { label: 'clef.artifact.v1', entries: [['clef:identity', 'api']] as const };
const refused = (status: number): Answer =>
  json(status, { error: { code: 'X', message: 'canary-secret-text' } });

let server: ScriptedServer;
beforeAll(async () => {
  server = await startScriptedServer();
});
afterAll(() => server.close());
beforeEach(() => server.answer(json(500, {})));

/** One key of one vault, as Azure answers. */
const vault = served(fakeAzureKeyVault({ vault: 'my-vault', name: 'my-key', version }));

const open = (settings: Partial<KmsSettings> = {}, token = 'example-token') =>
  openAzure(
    {
      environment: { CLEF_AZURE_KEY_VAULT_ENDPOINT: server.url },
      attempts: 1,
      timeoutSeconds: 5,
      ...settings,
    },
    { headers: async () => ({ authorization: `Bearer ${token}` }) },
  );

async function failure(call: Promise<unknown>): Promise<KmsError> {
  const error: unknown = await call.then(
    () => 'it succeeded',
    (cause: unknown) => cause,
  );
  if (!(error instanceof KmsError)) throw new Error(`No KmsError: ${String(error)}`, { cause: error });
  expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain('canary-secret-text');
  return error;
}

describe('an Azure Key Vault', () => {
  it('wraps and unwraps, bound to a context by its hash', async () => {
    server.answer(vault);
    const azure = await open();
    const wrapped = await azure.wrap(key, plaintext, context);
    expect(Buffer.from(await azure.unwrap(key, wrapped, context)).equals(plaintext)).toBe(true);
    const other = { ...context, entries: [['clef:identity', 'other']] as const };
    expect((await failure(azure.unwrap(key, wrapped, other))).code).toBe('denied');
    const bare = await azure.wrap(key, plaintext, undefined);
    expect(Buffer.from(await azure.unwrap(key, bare, undefined)).equals(plaintext)).toBe(true);
    expect((await failure(azure.unwrap(key, bare, context))).code).toBe('denied');
    const nothing = await azure.wrap(key, Buffer.alloc(0), context);
    expect((await failure(azure.unwrap(key, nothing, context))).code).toBe('denied');
  });

  it('is asked as its interface says, in URL-safe base64 without padding', async () => {
    server.answer(json(200, { kid, value: 'AQID-w' }));
    await (await open()).wrap(key, Buffer.from([0xfb, 0xff]), undefined);
    expect(server.asked[0]?.path).toBe(`/keys/my-key/${version}/encrypt?api-version=7.4`);
    expect(server.asked[0]?.body).toEqual({ alg: 'RSA-OAEP-256', value: '-_8' });
    await failure((await open()).unwrap(key, Buffer.from([0xfb, 0xff]), context));
    expect(server.asked[1]?.path).toBe(`/keys/my-key/${version}/decrypt?api-version=7.4`);
  });

  it.each<[title: string, answer: Answer, code: KmsCode]>([
    ['400', refused(400), 'denied'],
    ['401', refused(401), 'no_credentials'],
    ['403', refused(403), 'denied'],
    ['404', refused(404), 'not_found'],
    ['429', refused(429), 'throttled'],
    ['500', refused(500), 'unavailable'],
    ['403 of a proxy', text(403, '<html>canary-secret-text'), 'unavailable'],
    ['a redirect', json(302, { error: {} }, { location: 'https://elsewhere.example.com/' }), 'unavailable'],
    ['no JSON', text(200, 'canary-secret-text'), 'mismatch'],
    ['no value', json(200, { kid }), 'mismatch'],
    ['a value that is a number', json(200, { kid, value: 5 }), 'mismatch'],
    ['a value in standard base64', json(200, { kid, value: '+/8=' }), 'mismatch'],
    [
      'another version of the key',
      json(200, { kid: kid.replace('0123', '3210'), value: 'AQID' }),
      'mismatch',
    ],
    [
      'the key of another vault',
      json(200, { kid: kid.replace('my-vault', 'other'), value: 'AQID' }),
      'mismatch',
    ],
    ['no key', json(200, { value: 'AQID' }), 'mismatch'],
  ])('that answers %s', async (_title, answer, code) => {
    server.answer(answer);
    const azure = await open();
    const error = await failure(azure.wrap(key, plaintext, undefined));
    expect([error.code, error.key]).toEqual([code, key.text]);
    expect((await failure(azure.unwrap(key, Buffer.from('x'), context))).code).toBe(code);
  });

  it('that does not answer is given up, and one that is busy is asked again', async () => {
    server.answer(hang);
    const hasty = await open({ timeoutSeconds: 0.3 });
    expect((await failure(hasty.wrap(key, plaintext, undefined))).code).toBe('unavailable');
    server.answer(refused(503), vault);
    const patient = await open({ attempts: 2, random: () => 0 });
    await expect(patient.wrap(key, plaintext, undefined)).resolves.toBeDefined();
  });

  it('is reached through openKms, at an allowed address only', async () => {
    const environment = { CLEF_AZURE_KEY_VAULT_ENDPOINT: 'http://vault.example.com' };
    expect((await failure(openKms({ environment }).wrap(key, plaintext))).code).toBe('bad_endpoint');
  });
});

describe('credentials for Azure', () => {
  it('of a managed identity come from the address that the machine names, and no program is run', async () => {
    server.answer((response, asked) => {
      if (!asked.path.startsWith('/msi')) return vault(response, asked);
      expect(asked.path).toContain('resource=https%3A%2F%2Fvault.azure.net');
      const token = {
        access_token: 'example-token',
        expires_on: '4102444800',
        resource: 'x',
        token_type: 'Bearer',
      };
      return json(200, token)(response, asked);
    });
    vi.stubEnv('IDENTITY_ENDPOINT', `${server.url}/msi/token`);
    vi.stubEnv('IDENTITY_HEADER', 'example-header');
    vi.stubEnv('PATH', '/nonexistent');
    try {
      const kms = openKms({ environment: { CLEF_AZURE_KEY_VAULT_ENDPOINT: server.url }, attempts: 1 });
      const wrapped = await kms.wrap(key, plaintext, context);
      expect(Buffer.from(await kms.unwrap(key, wrapped, context)).equals(plaintext)).toBe(true);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it.each<[title: string, environment: Record<string, string>]>([
    ['a token file that is not there', { AZURE_FEDERATED_TOKEN_FILE: '/nonexistent/token' }],
    ['a certificate that is not there', { AZURE_CLIENT_CERTIFICATE_PATH: '/nonexistent/certificate.pem' }],
  ])('that cannot be had are told apart from refusals: %s', async (_title, environment) => {
    const kms = openKms({
      environment: {
        AZURE_TENANT_ID: '00000000-1111-2222-3333-444444444444',
        AZURE_CLIENT_ID: '00000000-1111-2222-3333-555555555555',
        CLEF_AZURE_KEY_VAULT_ENDPOINT: server.url,
        ...environment,
      },
      attempts: 1,
    });
    expect((await failure(kms.wrap(key, plaintext))).code).toBe('no_credentials');
  });
});
