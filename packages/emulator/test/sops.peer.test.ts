// The real sops as a client: the Go SDKs of both clouds.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import { type Emulator, emulatorVariables } from '../src/index.ts';
import { emulator } from './emulated.ts';
import { asGoogle, runPeer, temporaryFolder } from './peers.ts';

const plaintext = 'url: postgres://localhost\nport: 5432\n';
let cloud: Emulator;
let folder: string;
beforeAll(async () => {
  cloud = await emulator();
  await cloud.createRole('service-a');
  folder = await temporaryFolder({ 'plain.yaml': plaintext });
});

async function encrypt(
  environment: Readonly<Record<string, string>>,
  ...recipient: readonly string[]
): Promise<void> {
  const made = await runPeer(folder, environment, 'sops', 'encrypt', ...recipient, 'plain.yaml');
  expect(made).toMatchObject({ exitCode: 0, stderr: '' });
  await writeFile(join(folder, 'sealed.yaml'), made.stdout);
  expect(await readFile(join(folder, 'sealed.yaml'), 'utf8')).not.toContain('postgres');
}

const decrypt = (environment: Readonly<Record<string, string>>) =>
  runPeer(folder, environment, 'sops', 'decrypt', 'sealed.yaml');

describe.runIf(hasPeer('sops'))('sops with AWS KMS', () => {
  it.each(['ec2', 'ecs'] as const)(
    'a file is opened by the role of a machine (%s), until it is revoked',
    async (kind) => {
      await encrypt(emulatorVariables(cloud), '--kms', cloud.awsKey.arn);
      const { variables } = await cloud.instance('service-a', kind);
      await cloud.allowRole({ role: 'service-a', key: cloud.awsKey.arn, may: 'decrypt' });
      expect(await decrypt(variables)).toMatchObject({ exitCode: 0, stdout: plaintext });
      await cloud.revokeRole('service-a');
      const refused = await decrypt(variables);
      expect(refused.exitCode).not.toBe(0);
      expect(refused.stderr).toContain('AccessDeniedException');
      await cloud.restoreRole('service-a');
    },
  );

  it('a file with an encryption context', async () => {
    await encrypt(emulatorVariables(cloud), '--kms', cloud.awsKey.arn, '--encryption-context', 'app:clef');
    expect(await decrypt(emulatorVariables(cloud))).toMatchObject({ exitCode: 0, stdout: plaintext });
  });
});

describe.runIf(hasPeer('sops') && hasPeer('openssl'))('sops with Google Cloud KMS', () => {
  it('a file is opened with a token that may, and with no other', async () => {
    const google = { ...(await asGoogle(cloud.url)), SOPS_GCP_KMS_CLIENT_TYPE: 'rest' };
    const admin = { ...google, GOOGLE_OAUTH_ACCESS_TOKEN: cloud.administrator.gcpToken };
    await encrypt(admin, '--gcp-kms', cloud.gcpKey.name);
    expect(await decrypt(admin)).toMatchObject({ exitCode: 0, stdout: plaintext });
    const refused = await decrypt({ ...google, GOOGLE_OAUTH_ACCESS_TOKEN: 'ya29.unknown' });
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('401');
  });
});
