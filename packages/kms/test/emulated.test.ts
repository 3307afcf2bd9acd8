// Both providers against the emulator, which checks signatures, tokens, contexts and checksums as the clouds do.
import { randomBytes } from 'node:crypto';
import { type Emulator, emulatorVariables, startEmulator } from '@clef/emulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KeyReference, type Kms, type KmsContext, openKms, parseKeyReference } from '../src/index.ts';

let emulator: Emulator;
let environment: Readonly<Record<string, string>>;
let kms: Kms;
const notes: string[] = [];

beforeAll(async () => {
  emulator = await startEmulator({ now: Date.now, randomBytes });
  environment = emulatorVariables(emulator);
  kms = openKms({ environment, notify: (message) => notes.push(message) });
});
afterAll(() => emulator.stop());

const context: KmsContext = {
  label: 'clef.artifact.v1',
  entries: [
    ['clef:identity', 'api-gateway'],
    ['clef:environment', 'production'],
  ],
};
const contextWith = (identity: string): KmsContext => ({
  ...context,
  entries: [['clef:identity', identity], ...context.entries.slice(1)],
});

const clouds: readonly (readonly [string, () => KeyReference])[] = [
  ['AWS', () => parseKeyReference(emulator.awsKey.reference)],
  ['Google Cloud', () => parseKeyReference(emulator.gcpKey.reference)],
];

describe.each(clouds)('%s', (name, key) => {
  it('gives back what was wrapped under a context', async () => {
    const secret = randomBytes(77);
    const wrapped = await kms.wrap(key(), secret, context);
    expect(Buffer.from(wrapped).includes(secret)).toBe(false);
    expect(await kms.unwrap(key(), wrapped, context)).toEqual(new Uint8Array(secret));
  });

  it('gives back what was wrapped without one', async () => {
    const wrapped = await kms.wrap(key(), randomBytes(32));
    expect(await kms.unwrap(key(), wrapped)).toHaveLength(32);
    expect(await kms.unwrap(key(), wrapped, { label: '', entries: [] })).toHaveLength(32);
  });

  it('wraps 4,096 bytes', async () => {
    const secret = new Uint8Array(randomBytes(4096));
    expect(await kms.unwrap(key(), await kms.wrap(key(), secret, context), context)).toEqual(secret);
  });

  it('INV-36: refuses another context, none, or a changed blob', async () => {
    const wrapped = await kms.wrap(key(), randomBytes(32), context);
    const changed = wrapped.map((byte, index) => (index === wrapped.length - 1 ? byte ^ 1 : byte));
    const tries = [
      kms.unwrap(key(), wrapped, contextWith('billing')),
      kms.unwrap(key(), wrapped),
      kms.unwrap(key(), changed, context),
    ];
    for (const attempt of tries)
      await expect(attempt).rejects.toMatchObject({ code: 'denied', key: key().text });
  });

  it('says once that the calls go elsewhere', async () => {
    await kms.wrap(key(), randomBytes(32));
    await kms.wrap(key(), randomBytes(32));
    const variable = name === 'AWS' ? 'AWS_ENDPOINT_URL_KMS' : 'CLEF_GCP_KMS_ENDPOINT';
    expect(notes.filter((note) => note.startsWith(variable))).toHaveLength(1);
  });
});

describe('who may', () => {
  it('AWS: a key of another region is asked for in that region', async () => {
    const far = await emulator.createKey({ region: 'ap-southeast-2' });
    const wrapped = await kms.wrap(parseKeyReference(far.reference), randomBytes(32));
    await expect(kms.unwrap(parseKeyReference(emulator.awsKey.reference), wrapped)).rejects.toMatchObject({
      code: 'denied',
    });
    expect(await kms.unwrap(parseKeyReference(far.reference), wrapped)).toHaveLength(32);
  });

  it('AWS: an unknown key is not found, a disabled one is denied', async () => {
    const gone = parseKeyReference(
      emulator.awsKey.reference.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
    );
    await expect(kms.wrap(gone, randomBytes(32))).rejects.toMatchObject({ code: 'not_found' });
    const disabled = await emulator.createKey();
    await emulator.setKeyEnabled(disabled.arn, false);
    await expect(kms.wrap(parseKeyReference(disabled.reference), randomBytes(32))).rejects.toMatchObject({
      code: 'denied',
    });
  });

  it('AWS: a wrong secret key opens nothing', async () => {
    const wrong = openKms({ environment: { ...environment, AWS_SECRET_ACCESS_KEY: 'x'.repeat(40) } });
    const asked = wrong.wrap(parseKeyReference(emulator.awsKey.reference), randomBytes(32));
    await expect(asked).rejects.toMatchObject({ code: expect.stringMatching(/^(denied|no_credentials)$/) });
  });

  it('Google Cloud: an unknown key is not found, a wrong token is no credential', async () => {
    const key = parseKeyReference(emulator.gcpKey.reference);
    const gone = parseKeyReference(`${key.text}-gone`);
    await expect(kms.wrap(gone, randomBytes(32))).rejects.toMatchObject({
      code: expect.stringMatching(/^(not_found|denied)$/),
    });
    const wrong = openKms({ environment: { ...environment, GOOGLE_OAUTH_ACCESS_TOKEN: 'x' } });
    await expect(wrong.wrap(key, randomBytes(32))).rejects.toMatchObject({ code: 'no_credentials' });
  });
});
