// What comes out of the encryption is judged as strictly as what is outside of it: the key that the KMS gives back, the
// age file, the header inside, the names, the values, the padding. Each row is signed by a key that the opener trusts.
import { type Kms, KmsError } from '@clef/kms';
import {
  armor,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from 'age-encryption';
import { describe, expect, it } from 'vitest';
import { type ArtifactCode, ArtifactError, artifactContext, openArtifact } from '../src/index.ts';
import { header, kmsKey, memoryKms, policyWith, seal, sha256, signed } from './workshop.ts';

const canary = 'canary-7f3a';
const good = { header, secrets: { DB_URL: canary } };

function padded(json: string | object): string {
  const text = typeof json === 'string' ? json : JSON.stringify(json);
  const length = Buffer.byteLength(text);
  return text + ' '.repeat(Math.ceil(length / 4096) * 4096 - length);
}

/** A whole artifact around any age file, wrapped and signed as it should be. */
async function artifactAround(
  kms: Kms,
  makeFile: (recipient: string) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const identity = await generateHybridIdentity();
  const ciphertext = await makeFile(await identityToRecipient(identity));
  const context = artifactContext({ ...header, digest: sha256(ciphertext) });
  const wrapped = await kms.wrap(kmsKey, Buffer.from(identity), context);
  return await signed({
    ...header,
    seal: { key: kmsKey.text, wrappedIdentity: Buffer.from(wrapped).toString('base64') },
    ciphertext: Buffer.from(ciphertext).toString('base64'),
  });
}

async function encryptedTo(
  recipients: readonly string[],
  plaintext: string | Uint8Array,
): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return await encrypter.encrypt(plaintext);
}

/** Opens it, and gives the error with the number of unwrap calls. No word of the error may hold the canary. */
async function refusal(
  artifact: Uint8Array,
  kms: Kms & { calls: number },
): Promise<{ readonly code: string; readonly calls: number }> {
  const before = kms.calls;
  try {
    await openArtifact(artifact, policyWith(), { kms });
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error;
    const words = [
      error.stack,
      JSON.stringify(error),
      String(error.cause),
      JSON.stringify(error.cause),
    ].join();
    expect(words).not.toContain(canary);
    expect(words).not.toMatch(/AGE-SECRET-KEY/i);
    return { code: error.code, calls: kms.calls - before };
  }
  return { code: 'accepted', calls: kms.calls - before };
}

async function refusalOfContent(plaintext: string | Uint8Array): Promise<string> {
  const kms = memoryKms();
  const artifact = await artifactAround(kms, (recipient) => encryptedTo([recipient], plaintext));
  return (await refusal(artifact, kms)).code;
}

function withSecrets(secrets: string): string {
  return padded(`{"header":${JSON.stringify(header)},"secrets":${secrets}}`);
}

describe('the content', () => {
  it('opens where nothing is wrong with it, so that each row below fails by its one fault', async () => {
    expect(await refusalOfContent(padded(good))).toBe('accepted');
  });

  it('may fill a step of 4,096 bytes to the last', async () => {
    const bare = JSON.stringify({ header, secrets: { A: '' } }).length;
    const exact = JSON.stringify({ header, secrets: { A: 'x'.repeat(4096 - bare) } });
    expect(exact).toHaveLength(4096);
    expect(await refusalOfContent(exact)).toBe('accepted');
  });

  const names: readonly (readonly [string, string, 'accepted' | ArtifactCode])[] = [
    ['a name of 193 characters, the longest that a prefix gives', `{"${'N'.repeat(193)}":"x"}`, 'accepted'],
    ['__proto__, a name like any other', '{"__proto__":"x"}', 'accepted'],
    ['E15: a name of 194 characters', `{"${'N'.repeat(194)}":"x"}`, 'bad_content'],
    ['E15: the name A=B', '{"A=B":"x"}', 'bad_content'],
    ['E15: a name that ends in a blank', '{"A ":"x"}', 'bad_content'],
    ['E15: the name a:b', '{"a:b":"x"}', 'bad_content'],
    ['E15: a name with a digit first', '{"1A":"x"}', 'bad_content'],
    ['E15: a name that ends in a line break', '{"A\\n":"x"}', 'bad_content'],
    ['E15: an empty name', '{"":"x"}', 'bad_content'],
    ['E15: a name beyond ASCII', '{"\u00c4":"x"}', 'bad_content'],
    ['E15, E17: a name twice', `{"A":"${canary}","A":"y"}`, 'bad_content'],
    ['E15, E17: a name twice, once escaped', `{"A":"${canary}","\\u0041":"y"}`, 'bad_content'],
    ['E15: no secret at all', '{}', 'bad_content'],
    ['E15: a list', `["${canary}"]`, 'bad_content'],
    ['E15: null', 'null', 'bad_content'],
    ['E15: a string', `"${canary}"`, 'bad_content'],
  ];

  it.each(names)('%s', async (_, secrets, code) => {
    expect(await refusalOfContent(withSecrets(secrets))).toBe(code);
  });

  const values = [
    '5',
    'true',
    'null',
    '[]',
    '{}',
    `{"A":"${canary}"}`,
    `["${canary}"]`,
    '""',
    '"a\\u0000b"',
    '"\\ud800"',
  ];

  it.each(values)('E15: the value %s is refused', async (value) => {
    expect(await refusalOfContent(withSecrets(`{"A":"${canary}","B":${value}}`))).toBe('bad_content');
  });

  it('E15: a value larger than 256 KiB is refused, one of 256 KiB is not', async () => {
    expect(await refusalOfContent(withSecrets(`{"A":"${'x'.repeat(256 * 1024 + 1)}"}`))).toBe('bad_content');
    expect(await refusalOfContent(withSecrets(`{"A":"${'x'.repeat(256 * 1024)}"}`))).toBe('accepted');
  });

  it('opens in no time where a value is 256 KiB of blanks', async () => {
    const started = performance.now();
    expect(await refusalOfContent(withSecrets(`{"A":"${' '.repeat(256 * 1024)}"}`))).toBe('accepted');
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  const shapes: readonly (readonly [string, string | Uint8Array])[] = [
    ['E15: not JSON', padded(`{${canary}`)],
    ['E15: a list', padded([good])],
    ['E15: empty', ''],
    ['E15: blanks only', ' '.repeat(4096)],
    ['E15: not UTF-8', Buffer.from(padded(JSON.stringify(good).replace(canary, '\xff\xfe')), 'latin1')],
    ['E15: a byte order mark', padded(`\ufeff${JSON.stringify(good)}`)],
    ['E15: two objects', padded(`${JSON.stringify(good)}${JSON.stringify(good)}`)],
    ['E15: deeper than any content', padded(`{"secrets":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`)],
    ['E05: a field beside header and secrets', padded({ ...good, note: canary })],
    ['E05: no secrets', padded({ header })],
    ['E05: no header', padded({ secrets: good.secrets })],
    ['E21: no padding', JSON.stringify(good)],
    ['E21: a blank too few', padded(good).slice(0, -1)],
    ['E21: a blank too many', `${padded(good)} `],
    ['E21: a step too many', padded(good) + ' '.repeat(4096)],
    ['E21: line breaks for padding', padded(good).replace(/ +$/, (blanks) => '\n'.repeat(blanks.length))],
    ['E21: NUL for padding', padded(good).replace(/ +$/, (blanks) => '\0'.repeat(blanks.length))],
    ['E21: padding in front', ` ${padded(good).slice(0, -1)}`],
  ];

  it.each(shapes)('%s is refused', async (_, plaintext) => {
    expect(await refusalOfContent(plaintext)).toBe('bad_content');
  });
});

describe('E16, INV-37: the header inside', () => {
  const { commit: _, ...withoutCommit } = header;
  const headers: readonly (readonly [string, object])[] = [
    ['another version', { ...header, version: 2 }],
    ['another repository', { ...header, repository: 'other' }],
    ['another identity', { ...header, identity: 'billing' }],
    ['another environment', { ...header, environment: 'staging' }],
    ['another revision', { ...header, revision: header.revision + 1 }],
    ['the revision as a string', { ...header, revision: String(header.revision) }],
    ['another commit', { ...header, commit: 'f'.repeat(40) }],
    ['no commit', withoutCommit],
    ['null for a commit', { ...header, commit: null }],
    ['another packing date', { ...header, packedAt: '2026-11-24T11:59:59Z' }],
    ['another expiry', { ...header, expiresAt: '2027-11-24T12:00:00Z' }],
    ['the same expiry, written otherwise', { ...header, expiresAt: header.expiresAt.replace('Z', '.0Z') }],
    ['a field more', { ...header, note: 'x' }],
    ['none of its fields', {}],
  ];

  it.each(headers)('%s is refused', async (_, inner) => {
    expect(await refusalOfContent(padded({ header: inner, secrets: good.secrets }))).toBe('header_mismatch');
  });

  it('may have its fields in another order', async () => {
    const inner = Object.fromEntries(Object.entries(header).reverse());
    expect(await refusalOfContent(padded({ header: inner, secrets: good.secrets }))).toBe('accepted');
  });
});

describe('E14: the age file', () => {
  const before: readonly (readonly [string, (recipient: string) => Promise<Uint8Array>])[] = [
    [
      'for a second recipient too',
      async (one) => encryptedTo([one, await recipientOfAnother()], padded(good)),
    ],
    ['for a passphrase', () => encryptedWithPassphrase(padded(good))],
    ['for an X25519 key', async () => encryptedTo([await x25519Recipient()], padded(good))],
    ['in armor', async (one) => Buffer.from(armor.encode(await encryptedTo([one], padded(good))))],
    ['of another version', async (one) => replaced(await encryptedTo([one], padded(good)), '/v1\n', '/v2\n')],
    [
      'with CRLF in its header',
      async (one) => replaced(await encryptedTo([one], padded(good)), '/v1\n', '/v1\r\n'),
    ],
    ['cut in its header', async (one) => (await encryptedTo([one], padded(good))).subarray(0, 1_000)],
    ['that is empty', async () => new Uint8Array(0)],
  ];

  it.each(before)('%s is refused before the KMS is asked', async (_, makeFile) => {
    const kms = memoryKms();
    expect(await refusal(await artifactAround(kms, makeFile), kms)).toEqual({ code: 'format', calls: 0 });
  });

  const after: readonly (readonly [string, (file: Uint8Array) => Uint8Array])[] = [
    ['cut by a byte', (file) => file.subarray(0, -1)],
    ['cut by 1,000 bytes', (file) => file.subarray(0, -1_000)],
    ['cut after its header', (file) => file.subarray(0, Buffer.from(file).indexOf('\n--- ') + 48)],
    ['with a byte after its end', (file) => Buffer.concat([file, Buffer.from('\n')])],
    ['with a bit of its last byte flipped', (file) => flipped(file, file.length - 1)],
    ['with a bit of its MAC flipped', (file) => flipped(file, Buffer.from(file).indexOf('\n--- ') + 6)],
  ];

  it.each(after)('%s does not open', async (_, damage) => {
    const kms = memoryKms();
    const artifact = await artifactAround(kms, async (one) => damage(await encryptedTo([one], padded(good))));
    expect(await refusal(artifact, kms)).toEqual({ code: 'decrypt', calls: 1 });
  });
});

describe('E13: what the KMS gives back', () => {
  const answers: readonly (readonly [string, (key: string) => string | Promise<string>])[] = [
    ['nothing', () => ''],
    ['the key in lower case', (key) => key.toLowerCase()],
    ['the key and a line break', (key) => `${key}\n`],
    ['the key cut', (key) => key.slice(0, -1)],
    ['the key with a typing error', (key) => `${key.slice(0, -1)}${key.endsWith('Q') ? 'P' : 'Q'}`],
    ['the public key', async (key) => identityToRecipient(key)],
    ['an X25519 key', () => generateX25519Identity()],
    ['the key of another artifact', () => generateHybridIdentity()],
    ['a data key', () => '0123456789abcdef0123456789abcdef'],
  ];

  it.each(answers)('%s is a mismatch', async (_, answer) => {
    const kms = memoryKms();
    const artifact = await seal(kms);
    const lying = {
      ...kms,
      calls: 0,
      unwrap: async (...args: Parameters<Kms['unwrap']>) =>
        Buffer.from(await answer(Buffer.from(await kms.unwrap(...args)).toString())),
    };
    expect((await refusal(artifact, lying)).code).toBe('kms_mismatch');
  });

  const failures = [
    ['denied', 'kms_denied'],
    ['not_found', 'kms_denied'],
    ['no_credentials', 'kms_no_credentials'],
    ['throttled', 'kms_unavailable'],
    ['unavailable', 'kms_unavailable'],
    ['mismatch', 'kms_mismatch'],
    ['bad_endpoint', 'kms_settings'],
    ['unsupported', 'kms_settings'],
  ] as const;

  it.each(failures)('its failure "%s" is %s', async (kmsCode, code) => {
    const kms = memoryKms();
    const failing = {
      ...kms,
      unwrap: () => Promise.reject(new KmsError(kmsCode, 'AWS KMS did not unwrap')),
    };
    expect((await refusal(await seal(kms), failing)).code).toBe(code);
  });

  it('a bug in it is no verdict on the artifact', async () => {
    const kms = memoryKms();
    const broken = { ...kms, unwrap: () => Promise.reject(new RangeError('bug')) };
    await expect(openArtifact(await seal(kms), policyWith(), { kms: broken })).rejects.toThrow(RangeError);
  });
});

async function recipientOfAnother(): Promise<string> {
  return await identityToRecipient(await generateHybridIdentity());
}

async function x25519Recipient(): Promise<string> {
  return await identityToRecipient(await generateX25519Identity());
}

async function encryptedWithPassphrase(plaintext: string): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase('correct horse');
  encrypter.setScryptWorkFactor(2);
  return await encrypter.encrypt(plaintext);
}

function replaced(file: Uint8Array, from: string, to: string): Uint8Array {
  const at = Buffer.from(file).indexOf(from);
  return Buffer.concat([file.subarray(0, at), Buffer.from(to), file.subarray(at + from.length)]);
}

function flipped(file: Uint8Array, index: number): Uint8Array {
  const changed = Uint8Array.from(file);
  changed[index] = (changed[index] ?? 0) ^ 1;
  return changed;
}
