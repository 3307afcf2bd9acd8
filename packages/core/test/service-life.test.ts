// A service identity after it was made: scope, keys, rotation, end; and the policies it needs, proven on the emulated cloud.
import { randomBytes } from 'node:crypto';
import { generateEd25519KeyPair, openArtifact, parseVerifyKey, parseVerifyKeys } from '@clef/artifact';
import { type Emulator, startEmulator } from '@clef/emulator';
import { openKms, parseKeyReference } from '@clef/kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packService } from '../src/delivery/pack.ts';
import type { ErrorCode } from '../src/errors.ts';
import {
  deleteService,
  type KeyRotation,
  rotateService,
  updateService,
} from '../src/people/service-changes.ts';
import { type IamNeeds, serviceIam } from '../src/people/service-iam.ts';
import { agentSettings, createService, showService } from '../src/people/services.ts';
import {
  no,
  quietly,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  withVariables,
  yes,
} from './repository-with.ts';

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator({ now: Date.now, randomBytes });
});
afterAll(() => emulator.stop());

const workload = strangersKey();
const first = generateEd25519KeyPair().verifyKey;
const second = generateEd25519KeyPair().verifyKey;

async function withService(): Promise<TestRepository> {
  const repository = await repositoryWith({
    'database/development': { DB_URL: 'CANARY' },
    'payments/development': { API_KEY: 'CANARY' },
  });
  await createService(await repository.open(), {
    name: 'api',
    namespaces: ['database'],
    seal: [
      ['development', workload.recipient],
      ['production', workload.recipient],
    ],
    verify: [
      ['development', first],
      ['production', first],
    ],
  });
  const text = repository.read('clef.yaml').replace('  - name: api', '  # the public API\n  - name: api');
  repository.write('clef.yaml', text);
  return repository;
}

const nothing = { service: 'api', seal: [], sign: [], verify: [], confirm: yes } as const;
const view = async (repository: TestRepository, environment = 'development') =>
  showService(await repository.open(), { service: 'api', environment });

describe('service update', () => {
  it('scope, description and prefix change; comments and the rest stay', async () => {
    const repository = await withService();
    await updateService(await repository.open(), {
      ...nothing,
      namespaces: ['payments', 'database'],
      description: 'Public API',
      prefix: 'namespace',
    });
    // What was there keeps its place.
    expect(await view(repository)).toMatchObject({
      namespaces: ['database', 'payments'],
      description: 'Public API',
      prefix: 'namespace',
    });
    expect(repository.read('clef.yaml')).toContain('  # the public API\n  - name: api');
    await updateService(await repository.open(), { ...nothing, prefix: 'none', namespaces: ['database'] });
    expect((await view(repository)).prefix).toBeUndefined();
    expect((await view(repository)).namespaces).toEqual(['database']);
  });

  it('another sealing key, a key more to trust, and an environment more', async () => {
    const repository = await withService();
    const other = strangersKey().recipient;
    const changed = await updateService(await repository.open(), {
      ...nothing,
      seal: [
        ['development', other],
        ['staging', other],
      ],
      verify: [
        ['development', second],
        ['staging', second],
      ],
    });
    expect(changed).toEqual({ service: 'api', changed: true, environments: ['development', 'staging'] });
    expect((await view(repository)).environments[0]).toEqual({
      name: 'development',
      seal: other,
      verify: [first, second],
    });
    expect((await view(repository, 'staging')).environments[0]).toEqual({
      name: 'staging',
      seal: other,
      verify: [second],
    });
  });

  it('what is so already writes nothing', async () => {
    const repository = await withService();
    const before = repository.snapshot();
    const same = {
      ...nothing,
      seal: [['development', workload.recipient]],
      verify: [['development', first]],
    } as const;
    expect(await updateService(await repository.open(), same)).toMatchObject({ changed: false });
    expect(repository.snapshot()).toEqual(before);
  });

  const refusals: readonly (readonly [string, object, ErrorCode])[] = [
    ['an unknown service', { service: 'nobody' }, 'unknown_service'],
    ['an unknown namespace', { namespaces: ['nowhere'] }, 'unknown_namespace'],
    ['an unknown environment', { seal: [['nowhere', workload.recipient]] }, 'unknown_environment'],
    ['a new environment without a sealing key', { verify: [['staging', second]] }, 'usage'],
    ['a key that is none', { seal: [['development', 'nonsense']] }, 'bad_key_reference'],
    ['D12: a private key', { seal: [['development', workload.identity]] }, 'private_key_given'],
    [
      'a verify key that cannot verify',
      { verify: [['development', strangersKey().recipient]] },
      'manifest_invalid',
    ],
    [
      'a protected environment, not confirmed',
      { seal: [['production', strangersKey().recipient]], confirm: no },
      'protected',
    ],
    [
      'scope that reaches a protected environment, not confirmed',
      { namespaces: ['payments'], confirm: no },
      'protected',
    ],
  ];
  it.each(refusals)('%s', async (_, change, code) => {
    const repository = await withService();
    const work = async () => updateService(await repository.open(), { ...nothing, ...change });
    expect(await refused(repository, work, workload.identity.slice(20, 50))).toEqual(quietly(code));
  });
});

describe('service rotate', () => {
  const rotate = async (repository: TestRepository, rotation: Partial<KeyRotation>) =>
    rotateService(await repository.open(), {
      service: 'api',
      environment: 'development',
      confirm: yes,
      ...rotation,
    });

  it('INV-49: the next key opens an epoch, and the old one keeps its place when it is retired', async () => {
    const repository = await withService();
    await rotate(repository, { next: { verify: second } });
    expect((await view(repository)).environments[0]?.verify).toEqual([first, second]);
    const { keyId } = parseVerifyKey(first);
    await rotate(repository, { retire: first });
    expect((await view(repository)).environments[0]?.verify).toEqual([`retired:${keyId}`, second]);
    const settings = agentSettings(await repository.open(), { service: 'api', environment: 'development' });
    expect(parseVerifyKeys((settings['CLEF_AGENT_VERIFY_KEYS'] ?? '').split(','))[1]).toMatchObject({
      text: second,
    });
  });

  it('a KMS key: its public half is asked for and trusted', async () => {
    const repository = await withService();
    const { reference } = await emulator.createKey({ use: 'sign' });
    await emulator.createRole('rotator');
    await emulator.allowRole({ role: 'rotator', key: reference.replace('awskms:///', ''), may: 'sign' });
    const world = withVariables(repository.world, emulator.session('rotator'));
    await rotateService(await repository.open({ environment: world.environment }), {
      service: 'api',
      environment: 'development',
      next: { sign: reference },
      confirm: yes,
    });
    const [environment] = (await view(repository)).environments;
    expect(environment).toMatchObject({ sign: reference, verify: [first, expect.stringMatching(/^p256:/)] });
  });

  it.each([
    ['neither a next key nor one to retire', {}, 'usage'],
    ['a key that is not trusted', { retire: second }, 'unknown_key'],
    ['E19: the last key that verifies', { retire: first }, 'manifest_invalid'],
    [
      'a protected environment, not confirmed',
      { environment: 'production', next: { verify: second }, confirm: no },
      'protected',
    ],
    [
      'an environment that it does not have',
      { environment: 'staging', next: { verify: second } },
      'unknown_service',
    ],
  ] as const)('%s', async (_, rotation, code) => {
    const repository = await withService();
    expect(await refused(repository, () => rotate(repository, rotation))).toEqual(quietly(code));
  });
});

describe('service delete', () => {
  it('one environment, then all of it', async () => {
    const repository = await withService();
    const remove = async (environment?: string) =>
      deleteService(await repository.open(), {
        service: 'api',
        confirm: yes,
        ...(environment !== undefined && { environment }),
      });
    await remove('production');
    expect(
      showService(await repository.open(), { service: 'api' }).environments.map(({ name }) => name),
    ).toEqual(['development']);
    expect(await refused(repository, () => remove('development'))).toEqual(quietly('usage'));
    await remove();
    expect((await repository.open()).manifest.serviceIdentities).toEqual([]);
  });

  it('asks for a protected environment', async () => {
    const repository = await withService();
    const work = async () => deleteService(await repository.open(), { service: 'api', confirm: no });
    expect(await refused(repository, work)).toEqual(quietly('protected'));
  });
});

describe('service show --iam', () => {
  /** The statements about keys, which are what the emulator judges. */
  const keyPolicy = ({ aws }: IamNeeds): object => ({
    Version: '2012-10-17',
    Statement: aws.filter(({ Action }) => Action.every((action) => action.startsWith('kms:'))),
  });

  it('INV-55: what it prints is enough for CI and workload, and a sister service cannot open with it', async () => {
    const repository = await repositoryWith({ 'database/development': { DB_URL: 'CANARY' } });
    const sign = (await emulator.createKey({ use: 'sign' })).reference;
    const seal = (await emulator.createKey()).reference;
    const verifyKey = await emulatedPublicKey(sign);
    for (const name of ['api', 'sister'])
      await createService(await repository.open(), {
        name,
        namespaces: ['database'],
        seal: [['development', seal]],
        verify: [['development', verifyKey]],
      });
    const text = repository.read('clef.yaml').replaceAll(/^( +)(seal: .*)$/gm, `$1$2\n$1sign: ${sign}`);
    repository.write('clef.yaml', text);
    for (const service of ['api', 'sister']) {
      const { ci, workload: own } = serviceIam(await repository.open(), {
        service,
        environment: 'development',
      });
      for (const [role, needs] of [
        [`ci-of-${service}`, ci],
        [`role-of-${service}`, own],
      ] as const) {
        await emulator.createRole(role);
        await emulator.putRolePolicy(role, keyPolicy(needs));
      }
    }
    const ciWorld = withVariables(repository.world, emulator.session('ci-of-api'));
    const { artifact } = await packService(await repository.open({ environment: ciWorld.environment }), {
      service: 'api',
      environment: 'development',
      allowDirty: false,
    });
    const open = async (role: string) =>
      openArtifact(
        artifact,
        {
          repository: (await repository.open()).manifest.repository,
          identity: 'api',
          environment: 'development',
          sealingKey: parseKeyReference(seal),
          verifyKeys: [parseVerifyKey(verifyKey)],
          allowUnsigned: false,
          now: repository.clock.milliseconds,
        },
        { kms: openKms({ environment: emulator.session(role) }) },
      );
    expect((await open('role-of-api')).secrets.get('DB_URL')).toBe('CANARY');
    await expect(open('role-of-sister')).rejects.toMatchObject({ code: 'kms_denied' });
    await expect(open('ci-of-api')).rejects.toMatchObject({ code: 'kms_denied' });
  });

  async function emulatedPublicKey(reference: string): Promise<string> {
    await emulator.createRole('reader').catch(() => undefined);
    await emulator.allowRole({ role: 'reader', key: reference.replace('awskms:///', ''), may: 'sign' });
    const kms = openKms({ environment: emulator.session('reader') });
    return (await kms.publicKey(parseKeyReference(reference))).text;
  }

  it('Google Cloud: one role on one key, and the object where it is published', async () => {
    const key = 'projects/p/locations/europe-west1/keyRings/r/cryptoKeys/api';
    const repository = await withService();
    await updateService(await repository.open(), { ...nothing, seal: [['development', `gcpkms://${key}`]] });
    const request = { service: 'api', environment: 'development', destination: 'gs://artifacts/api.json' };
    const { ci, workload: own } = serviceIam(await repository.open(), request);
    const bucket = '//storage.googleapis.com/projects/_/buckets/artifacts';
    expect(ci.gcp).toEqual([
      { resource: key, role: 'roles/cloudkms.cryptoKeyEncrypter' },
      { resource: bucket, role: 'roles/storage.objectUser' },
    ]);
    expect(own.gcp).toEqual([
      { resource: key, role: 'roles/cloudkms.cryptoKeyDecrypter' },
      { resource: bucket, role: 'roles/storage.objectViewer' },
    ]);
  });

  it('S3: the one object, and for CI the right to learn that it is not there', async () => {
    const repository = await withService();
    const request = {
      service: 'api',
      environment: 'development',
      destination: 's3://artifacts/api.json?region=eu-west-1',
    };
    const { ci, workload: own } = serviceIam(await repository.open(), request);
    expect(own.aws.map(({ Action, Resource }) => [Action, Resource])).toEqual([
      [['s3:GetObject'], ['arn:aws:s3:::artifacts/api.json']],
    ]);
    expect(ci.aws.map(({ Action, Resource }) => [Action, Resource])).toEqual([
      [['s3:GetObject', 's3:PutObject'], ['arn:aws:s3:::artifacts/api.json']],
      [['s3:ListBucket'], ['arn:aws:s3:::artifacts']],
    ]);
  });
});
