// Vault's transit engine: a faithful fake that encrypts for real, and scripted answers.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fakeVaultTransit } from '../../../test/fakes/vault-transit.ts';
import { type KmsCode, KmsError, type KmsSettings, openKms, parseKeyReference } from '../src/index.ts';
import {
  type Answer,
  endless,
  hang,
  json,
  type ScriptedServer,
  served,
  startScriptedServer,
  text,
} from './scripted-server.ts';

const key = parseKeyReference('hashivault://team/transit/clef');
const plaintext = Buffer.from('the one-time key');
const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
const context = {
  label: 'clef.artifact.v1',
  entries: [
    ['clef:version', '1'],
    ['clef:identity', 'api'],
  ] as const,
};
const refused = (status: number): Answer => json(status, { errors: ['canary-secret-text'] });

let server: ScriptedServer;
let home: string;
beforeAll(async () => {
  server = await startScriptedServer();
  home = mkdtempSync(join(tmpdir(), 'clef-vault-'));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await server.close();
});
beforeEach(() => server.answer(json(500, {})));

const open = (environment: Record<string, string> = {}, settings: Partial<KmsSettings> = {}) =>
  openKms({
    environment: { VAULT_ADDR: server.url, VAULT_TOKEN: 'example-token', ...environment },
    attempts: 1,
    timeoutSeconds: 5,
    ...settings,
  });

async function failure(call: Promise<unknown>): Promise<KmsError> {
  const error: unknown = await call.then(
    () => 'it succeeded',
    (cause: unknown) => cause,
  );
  if (!(error instanceof KmsError)) throw new Error(`No KmsError: ${String(error)}`, { cause: error });
  expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain('canary-secret-text');
  return error;
}

/** Transit with one key, as Vault answers. */
const transit = (): Answer => served(fakeVaultTransit());

describe('a Vault', () => {
  it('wraps and unwraps, bound to a context', async () => {
    server.answer(transit());
    const kms = open();
    const wrapped = await kms.wrap(key, plaintext, context);
    expect(Buffer.from(wrapped).toString()).toMatch(/^vault:v1:/);
    expect(Buffer.from(await kms.unwrap(key, wrapped, context)).equals(plaintext)).toBe(true);
    const other = {
      ...context,
      entries: [
        ['clef:version', '1'],
        ['clef:identity', 'other'],
      ] as const,
    };
    expect((await failure(kms.unwrap(key, wrapped, other))).code).toBe('denied');
    expect((await failure(kms.unwrap(key, wrapped))).code).toBe('denied');
    const bare = await kms.wrap(key, plaintext);
    expect(Buffer.from(await kms.unwrap(key, bare)).equals(plaintext)).toBe(true);
    expect((await failure(kms.unwrap(key, bare, context))).code).toBe('denied');
  });

  it('is asked as its interface says', async () => {
    server.answer(json(200, { data: { ciphertext: 'vault:v12:AAAA' } }));
    const wrapped = await open({ VAULT_NAMESPACE: 'team-a' }).wrap(key, plaintext, context);
    expect(Buffer.from(wrapped).toString()).toBe('vault:v12:AAAA');
    const [asked] = server.asked;
    expect(asked?.path).toBe('/v1/team/transit/encrypt/clef');
    expect(asked?.headers).toMatchObject({
      'x-vault-token': 'example-token',
      'x-vault-request': 'true',
      'x-vault-namespace': 'team-a',
    });
    expect(asked?.body).toEqual({
      plaintext: base64(plaintext),
      associated_data: base64('clef.artifact.v1\0\0\0\0\x011\0\0\0\x03api'),
    });
  });

  it('takes the token of ~/.vault-token, as it is at each call', async () => {
    const kms = open({ VAULT_TOKEN: '', HOME: home });
    expect((await failure(kms.wrap(key, plaintext))).code).toBe('no_credentials');
    server.answer(transit());
    writeFileSync(join(home, '.vault-token'), 'example-token\n');
    await expect(kms.wrap(key, plaintext)).resolves.toBeDefined();
    writeFileSync(join(home, '.vault-token'), 'two words');
    expect((await failure(kms.wrap(key, plaintext))).code).toBe('no_credentials');
  });

  it.each<[title: string, address: string]>([
    ['none', ''],
    ['plain HTTP elsewhere', 'http://vault.example.com:8200'],
    ['a path', 'https://vault.example.com/team'],
    ['a password', 'https://a:b@vault.example.com'],
    ['no address', 'vault.example.com:8200'],
  ])('INV-111: at a bad address is not asked: %s', async (_title, address) => {
    expect((await failure(open({ VAULT_ADDR: address }).wrap(key, plaintext))).code).toBe('bad_endpoint');
  });

  it.each<[title: string, answer: Answer, code: KmsCode]>([
    ['400', refused(400), 'denied'],
    ['401', refused(401), 'no_credentials'],
    ['403', refused(403), 'denied'],
    ['404', refused(404), 'not_found'],
    ['429', refused(429), 'throttled'],
    ['500', refused(500), 'unavailable'],
    ['503, sealed', refused(503), 'unavailable'],
    ['403 of a proxy', text(403, '<html>canary-secret-text'), 'unavailable'],
    ['a redirect', json(307, { errors: [] }, { location: 'https://elsewhere.example.com/' }), 'unavailable'],
    ['no JSON', text(200, 'canary-secret-text'), 'mismatch'],
    ['no data', json(200, {}), 'mismatch'],
    ['data that is a list', json(200, { data: [] }), 'mismatch'],
    ['no ciphertext', json(200, { data: {} }), 'mismatch'],
    ['a ciphertext that is a number', json(200, { data: { ciphertext: 5 } }), 'mismatch'],
    ['a ciphertext of no key version', json(200, { data: { ciphertext: 'AAAA' } }), 'mismatch'],
    ['an endless answer', endless, 'mismatch'],
  ])('that answers %s', async (_title, answer, code) => {
    server.answer(answer);
    const error = await failure(open().wrap(key, plaintext));
    expect([error.code, error.key]).toEqual([code, key.text]);
  });

  it.each<[title: string, value: unknown]>([
    ['nothing', undefined],
    ['an empty text', ''],
    ['a number', 5],
    ['no base64', 'a b'],
    ['base64 without padding', 'YQ'],
  ])('that unwraps to %s does not fit', async (_title, value) => {
    server.answer(json(200, { data: { plaintext: value } }));
    expect((await failure(open().unwrap(key, Buffer.from('vault:v1:AAAA')))).code).toBe('mismatch');
  });

  it.each(['', 'vault:v1:', 'vault:v0:AAAA', 'AAAA', 'vault:v1:AA AA', 'vault:v1:AAAA\n'])(
    'is not asked about "%s", which it never gave out',
    async (wrapped) => {
      expect((await failure(open().unwrap(key, Buffer.from(wrapped)))).code).toBe('denied');
      expect(server.asked).toHaveLength(0);
    },
  );

  it('that does not answer is given up, and one that is busy is asked again', async () => {
    server.answer(hang);
    expect((await failure(open({}, { timeoutSeconds: 0.3 }).wrap(key, plaintext))).code).toBe('unavailable');
    server.answer(refused(503), transit());
    const kms = open({}, { attempts: 2, random: () => 0 });
    await expect(kms.wrap(key, plaintext)).resolves.toBeDefined();
  });
});
