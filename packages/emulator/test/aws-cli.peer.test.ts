// The aws command line (botocore) as a client: another implementation of signatures, metadata and errors.
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
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

describe.runIf(hasPeer('aws'))('aws kms', () => {
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

  it('signs and verifies digests, shows the public half, moves a blob to another key', async () => {
    const admin = emulatorVariables(cloud);
    const usage = ['--key-spec', 'ECC_NIST_P256', '--key-usage', 'SIGN_VERIFY'];
    const made = (await aws(admin, 'kms', 'create-key', ...usage)).json().KeyMetadata;
    const key = ['--key-id', made['Arn'] ?? ''];
    await writeFile(join(folder, 'message'), 'what is signed');
    await writeFile(join(folder, 'digest'), createHash('sha256').update('what is signed').digest());
    const digest = ['--message', 'fileb://digest', '--message-type', 'DIGEST'];
    const algorithm = ['--signing-algorithm', 'ECDSA_SHA_256'];
    const signature = (await aws(admin, 'kms', 'sign', ...key, ...digest, ...algorithm)).json()['Signature'];
    await writeFile(join(folder, 'signature'), Buffer.from(signature ?? '', 'base64'));
    const given = ['--signature', 'fileb://signature'];
    const verified = await aws(admin, 'kms', 'verify', ...key, ...digest, ...algorithm, ...given);
    expect(verified.json()).toMatchObject({ KeyId: made['Arn'], SignatureValid: true });
    const shown = (await aws(admin, 'kms', 'get-public-key', ...key)).json();
    await writeFile(join(folder, 'public'), Buffer.from(shown['PublicKey'] ?? '', 'base64'));
    const checked = ['-verify', 'public', '-keyform', 'DER', '-signature', 'signature', 'message'];
    expect(await runPeer(folder, {}, 'openssl', 'dgst', '-sha256', ...checked)).toMatchObject({
      exitCode: 0,
    });
    await writeFile(join(folder, 'digest'), createHash('sha256').update('another').digest());
    const refused = await aws(admin, 'kms', 'verify', ...key, ...digest, ...algorithm, ...given);
    expect(refused.stderr).toContain('KMSInvalidSignatureException');

    await seal('alias/clef', 'a=1');
    const { Plaintext } = (await decrypt(admin, 'a=1')).json();
    const target = (await cloud.createKey()).arn;
    const moved = await aws(
      admin,
      ...['kms', 're-encrypt', '--ciphertext-blob', 'fileb://blob', '--source-encryption-context', 'a=1'],
      ...['--destination-key-id', target, '--destination-encryption-context', 'a=2'],
    );
    await writeFile(join(folder, 'blob'), Buffer.from(moved.json()['CiphertextBlob'] ?? '', 'base64'));
    expect((await decrypt(admin, 'a=2')).json()).toMatchObject({ KeyId: target, Plaintext });
  });

  it.each(['ec2', 'ecs', 'eks', 'eks-pod'] as const)(
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
