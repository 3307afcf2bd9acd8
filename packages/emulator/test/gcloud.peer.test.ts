// gcloud as a client: it checks the CRC32C of every field in both directions.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import { type Emulator, emulatorVariables } from '../src/index.ts';
import { emulator } from './emulated.ts';
import { type Ran, runPeer, temporaryFolder } from './peers.ts';

let cloud: Emulator;
let folder: string;
beforeAll(async () => {
  cloud = await emulator();
  const token = cloud.administrator.gcpToken;
  folder = await temporaryFolder({ token, plaintext: 'hello', context: 'aad', other: 'AAD' });
});

async function gcloud(...args: readonly string[]): Promise<Ran> {
  const environment = {
    CLOUDSDK_CONFIG: join(folder, 'configuration'),
    CLOUDSDK_CORE_PROJECT: cloud.project,
    CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(folder, 'token'),
    CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS:
      emulatorVariables(cloud)['CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS'] ?? '',
  };
  return await runPeer(folder, environment, 'gcloud', 'kms', ...args, '--location=global');
}

const key = ['--keyring=clef', '--key=clef'];
const decrypt = (context: string) =>
  gcloud(
    'decrypt',
    ...key,
    '--ciphertext-file=sealed',
    '--plaintext-file=opened',
    `--additional-authenticated-data-file=${context}`,
  );

describe.runIf(hasPeer('gcloud'))('gcloud kms', () => {
  it('encrypts, and decrypts with the same additional data only', async () => {
    const sealed = await gcloud(
      'encrypt',
      ...key,
      '--plaintext-file=plaintext',
      '--ciphertext-file=sealed',
      '--additional-authenticated-data-file=context',
    );
    expect(sealed).toMatchObject({ exitCode: 0 });
    expect(await decrypt('context')).toMatchObject({ exitCode: 0 });
    expect(await readFile(join(folder, 'opened'), 'utf8')).toBe('hello');
    const refused = await decrypt('other');
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('INVALID_ARGUMENT');
  });

  it('signs, and openssl verifies with the public half that it shows', async () => {
    const made = ['--purpose=asymmetric-signing', '--default-algorithm=ec-sign-p256-sha256'];
    expect(await gcloud('keys', 'create', 'signs', '--keyring=clef', ...made)).toMatchObject({ exitCode: 0 });
    const version = ['--keyring=clef', '--key=signs'];
    const signed = await gcloud(
      'asymmetric-sign',
      ...version,
      '--version=1',
      '--digest-algorithm=sha256',
      '--input-file=plaintext',
      '--signature-file=signature',
    );
    expect(signed).toMatchObject({ exitCode: 0 });
    const shown = await gcloud('keys', 'versions', 'get-public-key', '1', ...version, '--output-file=pem');
    expect(shown).toMatchObject({ exitCode: 0 });
    const checked = ['-verify', 'pem', '-signature', 'signature', 'plaintext'];
    expect(await runPeer(folder, {}, 'openssl', 'dgst', '-sha256', ...checked)).toMatchObject({
      exitCode: 0,
    });
  });

  it('makes rings and keys and grants roles on them', async () => {
    expect(await gcloud('keyrings', 'create', 'ring')).toMatchObject({ exitCode: 0 });
    expect(await gcloud('keys', 'create', 'k', '--keyring=ring', '--purpose=encryption')).toMatchObject({
      exitCode: 0,
    });
    expect((await gcloud('keys', 'list', '--keyring=ring')).stdout).toContain('keyRings/ring/cryptoKeys/k');
    const { serviceAccount } = await cloud.createRole('service-a');
    const role = 'roles/cloudkms.cryptoKeyDecrypter';
    const member = `serviceAccount:${serviceAccount}`;
    const granted = await gcloud(
      'keys',
      'add-iam-policy-binding',
      'k',
      '--keyring=ring',
      `--member=${member}`,
      `--role=${role}`,
    );
    expect(granted.stdout).toContain(member);
  });
});
