// Keys as people hand them over: an age key file, a verifying key, a private key in PEM. What is no key, or the wrong one,
// is named by its kind and never quoted.
import { generateKeyPairSync } from 'node:crypto';
import { generateX25519Identity } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import {
  ArtifactError,
  createEd25519Signer,
  generateEd25519KeyPair,
  parseAgeIdentity,
  parseVerifyKey,
} from '../src/index.ts';
import { kmsKey } from './workshop.ts';

describe('the age private key of a machine', () => {
  const canary = 'AGE-SECRET-KEY-1';
  const identity = generateX25519Identity();
  it.each([
    ['D01: an empty file', () => ''],
    ['D05: comments only', () => '# created: today\n\n'],
    ['D01: two keys', (key: string) => `${key}\n${key}`],
    ['D01: a quoted key', (key: string) => `"${key}"`],
    ['D02: a public key', () => 'age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg'],
    ['D03: a character flipped', (key: string) => key.replace(/.$/, (last) => (last === 'Q' ? 'P' : 'Q'))],
    ['D03: lower case', (key: string) => key.toLowerCase()],
    ['D03: truncated', (key: string) => key.slice(0, -5)],
    ['D06: an SSH key', () => '-----BEGIN OPENSSH PRIVATE KEY-----'],
    ['D07: a plugin', () => 'AGE-PLUGIN-YUBIKEY-1QQQQ'],
  ])('%s', async (_, make) => {
    const key = await identity;
    const error: unknown = await parseAgeIdentity(make(key)).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'bad_identity' });
    expect(String(error).toUpperCase()).not.toContain(key.slice(canary.length, canary.length + 12));
  });

  it('D01: blanks and CRLF around a key are trimmed', async () => {
    const key = await identity;
    expect((await parseAgeIdentity(`# x\r\n ${key} \r\n`)).identity).toBe(key);
  });
});

describe('verifying keys', () => {
  it.each([
    ['an age key', 'age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg', 'bad_signing_key'],
    ['a KMS key', kmsKey.text, 'bad_signing_key'],
    ['a private key', '-----BEGIN PRIVATE KEY-----', 'private_key'],
    ['garbage', 'ed25519:AAAA', 'bad_reference'],
  ])('D12: %s', (_, value, code) => {
    expect(() => parseVerifyKey(value)).toThrow(expect.objectContaining({ code }));
  });
});

describe('the private key of a signer', () => {
  const pkcs8 = { format: 'pem', type: 'pkcs8' } as const;
  const ed25519 = generateKeyPairSync('ed25519');
  const good = ed25519.privateKey.export(pkcs8).toString();
  const locked = ed25519.privateKey.export({ ...pkcs8, cipher: 'aes-256-cbc', passphrase: 'x' }).toString();
  const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
  const rows: readonly (readonly [title: string, pem: string, message: RegExp])[] = [
    [
      'D13: the public key',
      ed25519.publicKey.export({ format: 'pem', type: 'spki' }).toString(),
      /public key/i,
    ],
    ['D13: a key locked with a passphrase', locked, /passphrase/],
    ['D13: a P-256 key', p256.export(pkcs8).toString(), /not an Ed25519 key/],
    [
      'D13: a P-256 key in SEC 1',
      p256.export({ format: 'pem', type: 'sec1' }).toString(),
      /not an Ed25519 key/,
    ],
    [
      'D13: an X25519 key',
      generateKeyPairSync('x25519').privateKey.export(pkcs8).toString(),
      /not an Ed25519/,
    ],
    ['D13: a key cut short', good.slice(0, 60), /no private key in PEM/],
    ['D13: the bare base64', good.split('\n')[1] ?? '', /no private key in PEM/],
    ['D13: an age key', 'AGE-SECRET-KEY-1QQQQ', /no private key in PEM/],
    ['D13: nothing', '', /no private key in PEM/],
  ];

  it.each(rows)('%s is refused by its kind', (_, pem, message) => {
    const makeSigner = (): unknown => createEd25519Signer(Buffer.from(pem));
    expect(makeSigner).toThrow(ArtifactError);
    expect(makeSigner).toThrow(expect.objectContaining({ code: 'bad_signing_key' }));
    expect(makeSigner).toThrow(message);
  });

  it('signs as the pair says, also after the bytes of the PEM were wiped', async () => {
    const { privateKeyPem, verifyKey } = generateEd25519KeyPair();
    const signer = createEd25519Signer(privateKeyPem);
    privateKeyPem.fill(0);
    expect(signer.verifyKey.text).toBe(verifyKey);
    expect(parseVerifyKey(verifyKey).keyId).toBe(signer.verifyKey.keyId);
    expect(await signer.sign(Buffer.from('x'))).toHaveLength(64);
  });

  it('is new every time', () => {
    const pairs = Array.from({ length: 5 }, () => generateEd25519KeyPair().verifyKey);
    expect(new Set(pairs).size).toBe(5);
  });
});
