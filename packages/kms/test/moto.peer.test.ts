// AWS KMS as moto implements it: an independent server. It must be installed: pip install 'moto[server]'.
import { randomBytes } from 'node:crypto';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Moto, startMoto } from '../../../test/moto.ts';
import { hasPeer } from '../../../test/peers.ts';
import { type Kms, openKms, parseKeyReference, type SigningKms } from '../src/index.ts';

const region = 'eu-central-1';
const context = {
  label: 'clef.artifact.v1',
  entries: [
    ['clef:identity', 'api-gateway'],
    ['clef:environment', 'production'],
  ],
} as const;

let moto: Moto | undefined;
let admin: KMSClient;
let kms: Kms & SigningKms;

beforeAll(async () => {
  moto = await startMoto();
  const environment = moto.variables('KMS');
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  admin = new KMSClient({ region, endpoint: moto.url });
  kms = openKms({ environment });
}, 60_000);

afterAll(async () => {
  vi.unstubAllEnvs();
  admin.destroy();
  await moto?.close();
});

async function createKey(): Promise<string> {
  const { KeyMetadata } = await admin.send(new CreateKeyCommand({}));
  return KeyMetadata?.Arn ?? '';
}

describe.runIf(hasPeer('moto_server'))('moto', () => {
  it('gives back what was wrapped under a context, and refuses another', async () => {
    const key = parseKeyReference(`awskms:///${await createKey()}`);
    const secret = randomBytes(77);
    const wrapped = await kms.wrap(key, secret, context);
    expect(await kms.unwrap(key, wrapped, context)).toEqual(new Uint8Array(secret));
    const other = { ...context, entries: [['clef:identity', 'billing']] } as const;
    await expect(kms.unwrap(key, wrapped, other)).rejects.toMatchObject({ code: 'denied' });
    await expect(kms.unwrap(key, wrapped)).rejects.toMatchObject({ code: 'denied' });
  });

  it('a blob of one key does not open under another', async () => {
    const [one, two] = [await createKey(), await createKey()].map((arn) =>
      parseKeyReference(`awskms:///${arn}`),
    );
    if (one === undefined || two === undefined) throw new Error('No keys');
    const wrapped = await kms.wrap(one, randomBytes(32));
    await expect(kms.unwrap(two, wrapped)).rejects.toMatchObject({
      code: expect.stringMatching(/^(denied|mismatch)$/),
    });
  });

  it('the ARN of an alias is refused before anything is asked', async () => {
    const arn = await createKey();
    await admin.send(new CreateAliasCommand({ AliasName: 'alias/clef', TargetKeyId: arn }));
    const alias = `awskms:///${arn.replace(/key\/.*/, 'alias/clef')}`;
    expect(() => parseKeyReference(alias)).toThrow(expect.objectContaining({ code: 'bad_reference' }));
  });

  // It hashes the digest once more, and calls the key by its bare ID where AWS gives the ARN.
  it('signs digests wrongly, and none of it is given out', async () => {
    const made = await admin.send(
      new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
    );
    const key = parseKeyReference(`awskms:///${made.KeyMetadata?.Arn}`);
    await expect(kms.sign(key, randomBytes(32))).rejects.toMatchObject({ code: 'mismatch' });
  });

  it('an unknown key is not found', async () => {
    const arn = await createKey();
    const unknown = parseKeyReference(`awskms:///${arn.replace(/[0-9a-f]{12}$/, '0'.repeat(12))}`);
    await expect(kms.wrap(unknown, randomBytes(32))).rejects.toMatchObject({ code: 'not_found' });
  });
});
