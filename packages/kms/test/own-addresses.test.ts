// Where each cloud is asked when no variable says otherwise: at its own address, which only the pinned key decides.
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openAzure } from '../src/azure.ts';
import { openKms, parseKeyReference } from '../src/index.ts';

const asked: string[] = [];
beforeEach(() => {
  asked.length = 0;
  for (const name of Object.keys(process.env))
    if (/^(AWS|AZURE|CLEF|GOOGLE|GCE|GCLOUD|CLOUDSDK|GCP)_/.test(name)) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED', 'true');
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
  vi.spyOn(dns, 'lookup').mockImplementation(((
    host: string,
    _options: unknown,
    reply: (error: Error) => void,
  ) => {
    asked.push(host);
    reply(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }));
  }) as never);
  syncBuiltinESMExports();
});
afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  vi.unstubAllEnvs();
});

const settings = {
  attempts: 1,
  environment: {
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
    GOOGLE_OAUTH_ACCESS_TOKEN: 'example-token',
  },
};
const azure = { headers: async () => ({ authorization: 'Bearer example' }) };
const kms = openKms(settings);

it.each([
  [
    'awskms:///arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-4cde-8f01-23456789abcd',
    'kms.eu-west-1.amazonaws.com',
  ],
  ['gcpkms://projects/p-of-ours/locations/global/keyRings/ring/cryptoKeys/key', 'cloudkms.googleapis.com'],
  [`azurekms://my-vault.vault.azure.net/my-key/${'0'.repeat(32)}`, 'my-vault.vault.azure.net'],
])('INV-55: %s is asked for at %s', async (text, host) => {
  const key = parseKeyReference(text);
  const wrapped = Buffer.from('wrapped');
  const unwrapping =
    key.kind === 'azurekms'
      ? (await openAzure(settings, azure)).unwrap(key, wrapped, undefined)
      : kms.unwrap(key, wrapped);
  await expect(unwrapping).rejects.toMatchObject({ name: 'KmsError', code: 'unavailable' });
  expect(asked).toEqual([host]);
});
