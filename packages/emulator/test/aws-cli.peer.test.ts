// The aws command line (botocore) as a client: another implementation of signatures, metadata and errors.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Emulator, emulatorVariables } from '../src/index.ts';
import { emulator } from './emulated.ts';
import { runPeer, temporaryFolder } from './peers.ts';

let cloud: Emulator;
let folder: string;
beforeAll(async () => {
  cloud = await emulator();
  await cloud.createRole('service-a');
  await cloud.allowRole({
    role: 'service-a',
    key: cloud.awsKey.arn,
    may: 'decrypt',
    context: { 'clef:identity': 'a' },
  });
  folder = await temporaryFolder();
});

async function aws(environment: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const ran = await runPeer(folder, { ...environment, AWS_PAGER: '' }, 'aws', ...args, '--output', 'json');
  return {
    ...ran,
    json: () => JSON.parse(ran.stdout) as Record<string, string> & { KeyMetadata: Record<string, string> },
  };
}

async function seal(keyId: string, context: string): Promise<void> {
  const options = ['--key-id', keyId, '--plaintext', 'aGVsbG8=', '--encryption-context', context];
  const made = await aws(emulatorVariables(cloud), 'kms', 'encrypt', ...options);
  await writeFile(join(folder, 'blob'), Buffer.from(made.json()['CiphertextBlob'] ?? '', 'base64'));
}

const decrypt = (environment: Readonly<Record<string, string>>, context: string) =>
  aws(environment, 'kms', 'decrypt', '--ciphertext-blob', 'fileb://blob', '--encryption-context', context);

describe('aws kms', () => {
  it('create-key, create-alias, describe-key, list-keys', async () => {
    const admin = emulatorVariables(cloud);
    const { KeyMetadata: created } = (
      await aws(admin, 'kms', 'create-key', '--description', 'from the command line')
    ).json();
    const keyId = created['KeyId'] ?? '';
    const alias = ['--alias-name', 'alias/cli', '--target-key-id', keyId];
    expect((await aws(admin, 'kms', 'create-alias', ...alias)).exitCode).toBe(0);
    const described = (await aws(admin, 'kms', 'describe-key', '--key-id', 'alias/cli')).json().KeyMetadata;
    expect(described).toMatchObject({ KeyId: keyId, Description: 'from the command line', Enabled: true });
    expect((await aws(admin, 'kms', 'list-keys')).stdout).toContain(keyId);
  });

  it('decrypts with the context, and is refused with another', async () => {
    await seal('alias/clef', 'clef:identity=a');
    const opened = await decrypt(emulatorVariables(cloud), 'clef:identity=a');
    expect(opened.json()['KeyId']).toBe(cloud.awsKey.arn);
    const refused = await decrypt(emulatorVariables(cloud), 'clef:identity=b');
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('InvalidCiphertextException');
  });

  it.each(['ec2', 'ecs'] as const)(
    'finds the role of its machine (%s), and is held to its policy',
    async (kind) => {
      await seal('alias/clef', 'clef:identity=a');
      const { variables } = await cloud.instance('service-a', kind);
      expect((await aws(variables, 'sts', 'get-caller-identity')).json()['Arn']).toContain(
        'assumed-role/service-a/',
      );
      expect((await decrypt(variables, 'clef:identity=a')).json()['KeyId']).toBe(cloud.awsKey.arn);
      expect((await decrypt(variables, 'clef:identity=b')).stderr).toContain('AccessDeniedException');
    },
  );

  it('is told that a signature does not match', async () => {
    const variables = { ...emulatorVariables(cloud), AWS_SECRET_ACCESS_KEY: 'wrong' };
    expect((await aws(variables, 'kms', 'list-keys')).stderr).toContain('InvalidSignatureException');
    expect((await aws(variables, 'sts', 'get-caller-identity')).stderr).toContain('SignatureDoesNotMatch');
  });
});
