// `clef pack` where KMS keys seal and sign: the packer has no key of its own.
import { randomBytes } from 'node:crypto';
import { inspectArtifact, openArtifact, parseVerifyKey } from '@clef/artifact';
import { type Emulator, startEmulator } from '@clef/emulator';
import { openKms, parseKeyReference } from '@clef/kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packService } from '../src/delivery/pack.ts';
import { createService } from '../src/people/services.ts';
import { openRepository } from '../src/repository.ts';
import { quietly, refused, repositoryWith, type TestRepository, withVariables } from './repository-with.ts';

let emulator: Emulator;
const references: Record<string, string> = {};
beforeAll(async () => {
  emulator = await startEmulator({ now: Date.now, randomBytes });
  references['AWS'] = (await emulator.createKey({ use: 'sign' })).reference;
  references['Google Cloud'] = (
    await emulator.createGcpKey(`${emulator.gcpKey.name}-sign`, 'sign')
  ).reference;
  await emulator.createRole('ci-job');
  for (const name of Object.values(references))
    await emulator.allowRole({
      role: 'ci-job',
      key: name.replace(/^[a-z]+:\/\/\/?|\/cryptoKeyVersions.*/g, ''),
      may: 'sign',
    });
  await emulator.allowRole({ role: 'ci-job', key: emulator.awsKey.arn, may: 'encrypt' });
});
afterAll(() => emulator.stop());

/** A repository whose service is signed by this key; the agent trusts `verify`. */
async function signedBy(reference: string, verify: readonly string[]): Promise<TestRepository> {
  const repository = await repositoryWith({ 'database/development': { DB_URL: 'CANARY' } });
  await createService(await repository.open(), {
    name: 'api',
    namespaces: ['database'],
    seal: [['development', emulator.awsKey.reference]],
    verify: verify.map((key) => ['development', key] as const),
  });
  repository.write(
    'clef.yaml',
    repository.read('clef.yaml').replace(/^( +)(seal: .*)$/m, `$1$2\n$1sign: ${reference}`),
  );
  return repository;
}

const environmentOf = (): Readonly<Record<string, string>> => emulator.session('ci-job');
const pack = async ({ world, root }: TestRepository): Promise<Uint8Array> => {
  const asJob = withVariables(world, environmentOf());
  const packed = await packService(await openRepository(asJob, root), {
    service: 'api',
    environment: 'development',
    allowDirty: false,
  });
  return packed.artifact;
};

describe('pack with a KMS key for signing', () => {
  it.each(['AWS', 'Google Cloud'])('%s: the agent opens what the job signed', async (cloud) => {
    const reference = references[cloud] ?? '';
    const publicKey = await openKms({ environment: environmentOf() }).publicKey(parseKeyReference(reference));
    const repository = await signedBy(reference, [publicKey.text]);
    const artifact = await pack(repository);
    const { manifest } = await repository.open();
    const verifyKey = parseVerifyKey(publicKey.text);
    expect(inspectArtifact(artifact).keyIds).toEqual([verifyKey.keyId]);
    await emulator.createRole(`agent-${cloud.toLowerCase().replace(' ', '-')}`).catch(() => undefined);
    const role = `agent-${cloud.toLowerCase().replace(' ', '-')}`;
    await emulator.allowRole({ role, key: emulator.awsKey.arn, may: 'decrypt' });
    const { secrets } = await openArtifact(
      artifact,
      {
        repository: manifest.repository,
        identity: 'api',
        environment: 'development',
        sealingKey: parseKeyReference(emulator.awsKey.reference),
        verifyKeys: [verifyKey],
        allowUnsigned: false,
        now: repository.clock.milliseconds,
      },
      { kms: openKms({ environment: emulator.session(role) }) },
    );
    expect(Object.fromEntries(secrets)).toEqual({ DB_URL: 'CANARY' });
  });

  it('a key whose public half the agent does not trust signs nothing', async () => {
    const other = await openKms({ environment: environmentOf() }).publicKey(
      parseKeyReference(references['Google Cloud'] ?? ''),
    );
    const repository = await signedBy(references['AWS'] ?? '', [other.text]);
    const before = emulator.calls()['aws.Sign'] ?? 0;
    expect(await refused(repository, () => pack(repository))).toEqual(quietly('signing_key'));
    expect(emulator.calls()['aws.Sign'] ?? 0).toBe(before);
  });

  it('a job that may not sign makes no artifact', async () => {
    const { reference } = await emulator.createKey({ use: 'sign' });
    const repository = await signedBy(reference, []);
    expect(await refused(repository, () => pack(repository))).toEqual(quietly('kms_denied'));
  });
});
