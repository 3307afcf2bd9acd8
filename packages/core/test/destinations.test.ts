// Where artifacts are published: each kind keeps order between packs that race, and says in our words what went wrong.
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspectArtifact, openArtifact, parseVerifyKey } from '@clef/artifact';
import { parseKeyReference } from '@clef/kms';
import { describe, expect, it } from 'vitest';
import { fakeStore, refusal as refusalOf, type StoreKind } from '../../../test/fakes/object-stores.ts';
import { findPackTargets, packService, packServices } from '../src/delivery/pack.ts';
import { revokeService } from '../src/delivery/revoke.ts';
import type { ErrorCode } from '../src/errors.ts';
import { createService } from '../src/people/services.ts';
import type { Repository } from '../src/repository.ts';
import type { World } from '../src/world.ts';
import {
  no,
  quietly,
  refusal,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  yes,
} from './repository-with.ts';

const kinds: readonly StoreKind[] = ['s3', 'gs', 'https'];
const workload = strangersKey();
const target = { service: 'api', environment: 'development' };

const packable = (async () => {
  const repository = await repositoryWith({
    'database/development': { DB_URL: 'CANARY' },
    'database/production': { DB_URL: 'CANARY' },
    'payments/development': { API_KEY: 'CANARY' },
  });
  for (const [name, namespaces] of [
    ['api', ['database', 'payments']],
    ['worker', ['database']],
  ] as const)
    await createService(await repository.open(), {
      name,
      namespaces,
      seal: [
        ['development', workload.recipient],
        ...(name === 'worker' ? ([['production', strangersKey().recipient]] as const) : []),
      ],
      verify: [],
    });
  return repository;
})();

async function opened(environment: Readonly<Record<string, string>> = {}): Promise<Repository> {
  const repository = await packable;
  return repository.open({ environment: { ...repository.world.environment, ...environment } });
}

const revisionOf = (bytes: Uint8Array | undefined): number =>
  inspectArtifact(bytes ?? new Uint8Array()).header.revision;

describe.each(kinds)('publishing to %s', (kind) => {
  it('the first, and the next with a higher revision (INV-44)', async () => {
    const store = await fakeStore(kind);
    const pack = async () =>
      packService(await opened(store.environment), {
        ...target,
        destination: store.address,
        allowDirty: false,
      });
    const first = await pack();
    expect(store.object).toEqual(Buffer.from(first.artifact));
    const second = await pack();
    expect(second.revision).toBe(first.revision + 1);
    expect(revisionOf(store.object)).toBe(second.revision);
  });

  it.each(['nothing', 'an artifact'])(
    'another pack meanwhile, where there was %s: conflict, and theirs stays',
    async (before) => {
      const store = await fakeStore(kind);
      const pack = async (options = {}) =>
        packService(await opened(store.environment), {
          ...target,
          destination: store.address,
          allowDirty: false,
          ...options,
        });
      if (before === 'an artifact') await pack();
      const theirs = Buffer.from('theirs');
      store.onRead = () => {
        store.object = theirs;
      };
      expect((await refusal(pack())).code).toBe('changed_meanwhile');
      expect(store.object).toBe(theirs);
    },
  );

  it('of twenty packs at once each that says so has been published, in one order (INV-44)', async () => {
    const store = await fakeStore(kind);
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, async () =>
        packService(await opened(store.environment), {
          ...target,
          destination: store.address,
          allowDirty: false,
        }),
      ),
    );
    const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.revision] : []));
    expect(done.length).toBeGreaterThan(0);
    expect(new Set(done).size).toBe(done.length);
    expect(Math.max(...done)).toBe(revisionOf(store.object));
  });

  const refusals: readonly (readonly [string, number, ErrorCode])[] = [
    ['refuses', 403, 'destination'],
    ['has a fault', 500, 'destination'],
    ['redirects (K07)', 301, 'destination'],
  ];
  it.each(refusals)('a place that %s', async (_, status, code) => {
    const store = await fakeStore(kind);
    store.script = refusalOf(kind, status, { location: `${store.url}/elsewhere` });
    const repository = await packable;
    const work = async () =>
      packService(await opened(store.environment), {
        ...target,
        destination: store.address,
        allowDirty: false,
      });
    // Neither a value, nor what the place says, nor what its address may hold as a credential.
    expect(await refused(repository, work, /CANARY|UPSTREAM-TEXT|SECRET-IN-QUERY|test-token/)).toEqual(
      quietly(code),
    );
    expect(store.asked.filter(({ path }) => path.includes('elsewhere'))).toEqual([]);
  });

  it('something else in its place is not replaced (INV-43)', async () => {
    const store = await fakeStore(kind);
    store.object = Buffer.from('{"somebody": "else"}');
    const error = await refusal(
      packService(await opened(store.environment), {
        ...target,
        destination: store.address,
        allowDirty: false,
      }),
    );
    expect(error.code).toBe('already_exists');
    expect(store.asked.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it('an answer that is larger than any artifact is not read to its end (INV-57)', async () => {
    const store = await fakeStore(kind);
    store.object = new Uint8Array(2 * 1024 * 1024);
    const error = await refusal(
      packService(await opened(store.environment), {
        ...target,
        destination: store.address,
        allowDirty: false,
      }),
    );
    expect(error.code).toBe('destination');
  });
});

describe('an address that cannot be a destination', () => {
  it.each([
    ['another scheme', 'ftp://host/x', 'usage'],
    ['no key', 's3://bucket', 'usage'],
    ['two questions', 's3://bucket/key?region=a&b=c', 'usage'],
    ['a user name', 'https://user:CANARY@host/x', 'usage'],
    ['a fragment', 'https://host/x#y', 'usage'],
    ['http to another machine', 'http://192.0.2.1/x', 'usage'],
    ['an endpoint override that is not this machine (H15)', 's3://bucket/key', 'destination'],
    ["git's own folder (INV-43)", '.git/hooks/post-commit', 'bad_path'],
    ["git's own folder as some disks take it too (INV-43)", '.Git/hooks/post-commit', 'bad_path'],
    ["git's own folder behind a link that the repository brings (INV-43)", 'dist/post-commit', 'bad_path'],
    ['a folder', 'secrets', 'bad_path'],
    ['a cell', 'secrets/database/development.enc.yaml', 'already_exists'],
  ] as const)('%s', async (_, destination, code) => {
    const repository = await packable;
    mkdirSync(join(repository.root, '.git/hooks'), { recursive: true });
    rmSync(join(repository.root, 'dist'), { force: true });
    symlinkSync('.git/hooks', join(repository.root, 'dist'));
    const work = async () =>
      packService(await opened({ AWS_ENDPOINT_URL_S3: 'http://192.0.2.1', AWS_REGION: 'eu-west-1' }), {
        ...target,
        destination,
        allowDirty: false,
      });
    expect(await refused(repository, work)).toEqual(quietly(code));
  });
});

describe('several at once', () => {
  it('every cell is opened once, and each artifact has what its service may have', async () => {
    const repository = await packable;
    const targets = findPackTargets(await opened(), { environments: ['development'] });
    expect(targets).toEqual([target, { service: 'worker', environment: 'development' }]);
    const steps: string[] = [];
    const progressing = await repository.open({
      progress: ({ what, done, total }) => steps.push(`${what} ${done}/${total}`),
    });
    const packs = await packServices(progressing, {
      targets,
      destinationOf: () => undefined,
      allowDirty: false,
    });
    expect(packs.map(({ service, keyCount }) => [service, keyCount])).toEqual([
      ['api', 2],
      ['worker', 1],
    ]);
    expect(steps).toContain('Sealing artifacts 2/2');
  });

  it('a dry run says the same and writes, seals and signs nothing', async () => {
    const repository = await packable;
    const store = await fakeStore('https');
    const before = repository.snapshot();
    const packs = await packServices(await opened(store.environment), {
      targets: [target],
      destinationOf: () => store.address,
      allowDirty: false,
      isDryRun: true,
    });
    expect(packs[0]).toMatchObject({ keyCount: 2, artifact: undefined });
    expect(store.object).toBeUndefined();
    expect(repository.snapshot()).toEqual(before);
  });

  it('where one fails before it is sealed, none is published', async () => {
    const repository = await packable;
    const before = repository.snapshot();
    const targets = [target, { service: 'worker', environment: 'staging' }];
    const work = async () =>
      packServices(await opened(), {
        targets,
        destinationOf: ({ service }) => `${service}.json`,
        allowDirty: false,
      });
    expect((await refusal(work())).code).toBe('unknown_service');
    expect(repository.snapshot()).toEqual(before);
  });

  it('where publishing one fails, the error names those that were published', async () => {
    const store = await fakeStore('https');
    store.onRead = () => {
      store.object = Buffer.from('theirs');
    };
    const targets = [{ service: 'worker', environment: 'development' }, target];
    const destinationOf = ({ service }: { service: string }) =>
      service === 'worker' ? 'worker.json' : store.address;
    const error = await refusal(
      packServices(await opened(store.environment), { targets, destinationOf, allowDirty: false }),
    );
    expect(error.code).toBe('changed_meanwhile');
    expect(error.message).toContain('published before that: worker/development');
  });

  it.each([
    ['an unknown service', { services: ['nobody'] }, 'unknown_service'],
    [
      'an environment that a named service does not have',
      { services: ['api'], environments: ['production'] },
      'unknown_service',
    ],
    ['an environment that none has', { environments: ['staging'] }, 'usage'],
  ] as const)('%s', async (_, named, code) => {
    const repository = await opened();
    expect((await refusal((async () => findPackTargets(repository, named))())).code).toBe(code);
  });
});

describe('revoke', () => {
  const revoke = async (repository: Repository, changes: object = {}) =>
    revokeService(repository, { ...target, reason: 'a drill', confirm: no, ...changes });

  it('replaces the artifact by a signed revocation with a higher revision, and the next pack by an artifact again', async () => {
    const store = await fakeStore('s3');
    const repository = await opened(store.environment);
    const destination = store.address;
    const packed = await packService(repository, { ...target, destination, allowDirty: false });
    const revoked = await revoke(repository, { destination });
    expect(revoked.revision).toBe(packed.revision + 1);
    const trust = await trustOf(await packable);
    expect(await verdictOf(store.object, trust)).toBe('revoked');
    expect(inspectArtifact(store.object ?? new Uint8Array())).toMatchObject({ revoked: 'a drill' });
    const next = await packService(repository, { ...target, destination, allowDirty: false });
    expect(next.revision).toBe(revoked.revision + 1);
    expect(await verdictOf(store.object, trust)).toBe('good');
  });

  it('of a protected environment asks, and a no changes nothing', async () => {
    const store = await fakeStore('https');
    const work = async () =>
      revoke(await opened(store.environment), {
        service: 'worker',
        environment: 'production',
        destination: store.address,
      });
    expect((await refusal(work())).code).toBe('protected');
    expect(store.asked.map(({ method }) => method)).toEqual(['GET']);
  });

  it.each([
    ['no reason', { reason: '' }, 'usage'],
    ['a reason of 501 characters', { reason: 'x'.repeat(501) }, 'usage'],
    ['a reason with a line break', { reason: 'a\nb' }, 'usage'],
    ['an unknown service', { service: 'nobody' }, 'unknown_service'],
  ] as const)('%s', async (_, changes, code) => {
    expect((await refusal(revoke(await opened(), { confirm: yes, ...changes }))).code).toBe(code);
  });

  async function trustOf(repository: TestRepository): Promise<Parameters<typeof openArtifact>[1]> {
    const { manifest } = await repository.open();
    const verify = manifest.serviceIdentities[0]?.environments.get('development')?.verify ?? [];
    return {
      repository: manifest.repository,
      identity: 'api',
      environment: 'development',
      sealingKey: parseKeyReference(workload.recipient),
      ageIdentity: workload.identity,
      verifyKeys: verify.map(({ text }) => parseVerifyKey(text)),
      allowUnsigned: false,
      now: repository.clock.milliseconds,
    };
  }

  async function verdictOf(
    bytes: Uint8Array | undefined,
    trust: Parameters<typeof openArtifact>[1],
  ): Promise<string> {
    try {
      await openArtifact(bytes ?? new Uint8Array(), trust, {});
      return 'good';
    } catch (error) {
      return (error as { code: string }).code;
    }
  }
});

describe('publishing to a file', () => {
  const pack = async (destination: string, changes: Partial<World> = {}) => {
    const { open, world } = await packable;
    return packService(await open({ environment: world.environment, ...changes }), {
      ...target,
      destination,
      allowDirty: false,
    });
  };

  it('another pack meanwhile: conflict, and theirs stays', async () => {
    const path = join((await packable).root, 'raced.json');
    const progress: World['progress'] = ({ what }) => {
      if (what === 'Sealing artifacts') writeFileSync(path, 'theirs');
    };
    expect((await refusal(pack('raced.json', { progress }))).code).toBe('changed_meanwhile');
    expect(readFileSync(path, 'utf8')).toBe('theirs');
  });

  it('of twenty packs at once each that says so has been published, in one order (INV-44)', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => pack('at-once.json')));
    const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.revision] : []));
    expect(done.length).toBeGreaterThan(0);
    expect(new Set(done).size).toBe(done.length);
    expect(Math.max(...done)).toBe(revisionOf(readFileSync(join((await packable).root, 'at-once.json'))));
  });

  it('the artifact of another service identity in its place is not replaced', async () => {
    await pack('of-api.json');
    const other = { ...target, service: 'worker', destination: 'of-api.json', allowDirty: false };
    expect((await refusal(packService(await opened(), other))).code).toBe('already_exists');
  });
});

it('a store whose ETag is weak is asked for no condition that it could not keep, and that is said', async () => {
  const store = await fakeStore('https');
  const { artifact } = await packService(await opened(), { ...target, allowDirty: false });
  const notes: string[] = [];
  store.script = (response, { method }) => {
    if (method === 'GET') response.writeHead(200, { etag: 'W/"x"' }).end(artifact);
    else response.writeHead(204).end();
  };
  const { open, world } = await packable;
  const environment = { ...world.environment, ...store.environment };
  const notify: World['notify'] = ({ message }) => void notes.push(message);
  const repository = await open({ environment, notify });
  await packService(repository, { ...target, destination: store.address, allowDirty: false });
  expect(store.asked.at(-1)).toMatchObject({
    method: 'PUT',
    headers: expect.not.objectContaining({ 'if-match': expect.anything() }),
  });
  expect(notes).toEqual([expect.stringContaining('no strong ETag')]);
});

it('a file is written 0600 and named relative to where the person stands', async () => {
  const repository = await packable;
  const packed = await packService(await opened(), {
    ...target,
    destination: 'here.json',
    allowDirty: false,
  });
  const path = join(repository.root, 'here.json');
  expect(readFileSync(path)).toEqual(Buffer.from(packed.artifact));
  expect(statSync(path).mode & 0o777).toBe(0o600);
});
