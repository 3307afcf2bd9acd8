// `clef pack` over real cells, keys and files: what is in scope and nothing else, complete or absent.
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspectArtifact, openArtifact, parseVerifyKey } from '@clef/artifact';
import { parseKeyReference } from '@clef/kms';
import { describe, expect, it } from 'vitest';
import { type Packed, type PackRequest, packService } from '../src/delivery/pack.ts';
import type { ErrorCode } from '../src/errors.ts';
import { createService, type NewService, showService } from '../src/people/services.ts';
import { openRepository } from '../src/repository.ts';
import {
  git,
  quietly,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  withVariables,
} from './repository-with.ts';
import { tamperings } from './tampered-cells.ts';

const workload = strangersKey();
const cells = {
  'database/development': { DB_URL: 'CANARY url' },
  'payments/development': { API_KEY: 'CANARY key' },
  'internal/development': { ROOT: 'OUT-OF-SCOPE' },
  'database/production': { DB_URL: 'CANARY production' },
  'payments/production': { API_KEY: 'CANARY production' },
};

async function packable(
  changes: Partial<NewService> = {},
  values: Readonly<Record<string, Readonly<Record<string, string>>>> = cells,
): Promise<TestRepository> {
  const repository = await repositoryWith(values, { folder: 'top/repository' });
  await createService(await repository.open(), {
    name: 'api',
    namespaces: ['database', 'payments'],
    seal: [
      ['development', workload.recipient],
      ['production', workload.recipient],
    ],
    verify: [],
    ...changes,
  });
  return repository;
}

const pack = async (repository: TestRepository, changes: Partial<PackRequest> = {}): Promise<Packed> =>
  packService(await repository.open(), {
    service: 'api',
    environment: 'development',
    allowDirty: false,
    ...changes,
  });

/** What the workload makes of an artifact. */
async function opened(repository: TestRepository, artifact: Uint8Array): Promise<Record<string, string>> {
  const { manifest } = await repository.open();
  const service = showService(await repository.open(), { service: 'api', environment: 'development' });
  const { secrets } = await openArtifact(
    artifact,
    {
      repository: manifest.repository,
      identity: 'api',
      environment: 'development',
      sealingKey: parseKeyReference(workload.recipient),
      ageIdentity: workload.identity,
      verifyKeys: (service.environments[0]?.verify ?? []).map((key) => parseVerifyKey(key)),
      allowUnsigned: false,
      now: repository.clock.milliseconds,
    },
    {},
  );
  return Object.fromEntries(secrets);
}

describe('pack', () => {
  it('what the identity may have, and nothing else; no value outside of the ciphertext', async () => {
    const repository = await packable();
    const packed = await pack(repository, { destination: 'api.json' });
    expect(packed).toMatchObject({
      keyCount: 2,
      cells: ['database/development', 'payments/development'],
      revision: repository.clock.milliseconds,
      expiresAt: '2026-03-02T12:00:00Z',
    });
    const bytes = readFileSync(join(repository.root, 'api.json'));
    expect(await opened(repository, bytes)).toEqual({ DB_URL: 'CANARY url', API_KEY: 'CANARY key' });
    const payload = Buffer.from(JSON.parse(bytes.toString()).payload, 'base64').toString();
    expect(`${bytes.toString()}${payload}`).not.toMatch(/CANARY|DB_URL|API_KEY|OUT-OF-SCOPE/);
    expect(statSync(join(repository.root, 'api.json')).mode & 0o777).toBe(0o600);
  });

  it('E17: prefix: namespace', async () => {
    const repository = await packable({ prefix: 'namespace' });
    const { artifact } = await pack(repository);
    expect(await opened(repository, artifact)).toEqual({
      database__DB_URL: 'CANARY url',
      payments__API_KEY: 'CANARY key',
    });
  });

  it('INV-44: each revision is above the last, also where the clock stands or goes back', async () => {
    const repository = await packable();
    const revisions: number[] = [];
    for (const step of [0, 0, -60_000, 5]) {
      repository.clock.milliseconds += step;
      revisions.push((await pack(repository, { destination: 'api.json' })).revision);
    }
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    expect(new Set(revisions).size).toBe(4);
    // Not only one more: without the one before it the next must exceed it too.
    repository.clock.milliseconds += 3_600_000;
    expect((await pack(repository, { destination: 'api.json' })).revision).toBe(
      repository.clock.milliseconds,
    );
  });

  it.each([
    ['as long as was asked for', { expiresInSeconds: 7_200 }, 7_200],
    ['30 days', {}, 30 * 24 * 3_600],
  ])('an artifact is good for %s', async (_, changes, seconds) => {
    const repository = await packable();
    const { artifact, expiresAt } = await pack(repository, changes);
    expect(Date.parse(expiresAt)).toBe(
      Math.floor(repository.clock.milliseconds / 1_000) * 1_000 + seconds * 1_000,
    );
    expect(inspectArtifact(artifact).header.expiresAt).toBe(expiresAt);
  });

  it('INV-106: what was read and checked is what is packed, whatever comes into its place meanwhile', async () => {
    const repository = await packable();
    const file = 'secrets/database/development.enc.yaml';
    const checked = repository.read(file);
    await repository.set('database/development', 'DB_URL', 'CANARY later');
    const later = repository.read(file);
    repository.write(file, checked);
    const replacing = await repository.open({
      progress: ({ what, done, total }) => {
        if (what === 'Reading cells' && done === 2 && total === 2) repository.write(file, later);
      },
    });
    const request = { service: 'api', environment: 'development', allowDirty: false };
    const { artifact } = await packService(replacing, request);
    expect(repository.read(file)).toBe(later);
    expect(await opened(repository, artifact)).toMatchObject({ DB_URL: 'CANARY url' });
  });

  it('INV-35: the one-time key differs with each pack', async () => {
    const repository = await packable();
    const [first, second] = [await pack(repository), await pack(repository)];
    expect(Buffer.from(first.artifact).equals(Buffer.from(second.artifact))).toBe(false);
    expect(inspectArtifact(first.artifact).header.identity).toBe('api');
  });
});

type Row = {
  readonly title: string;
  readonly change: (repository: TestRepository) => unknown;
  readonly code: ErrorCode;
  readonly request: Partial<PackRequest>;
};

const row = (title: string, change: Row['change'], code: ErrorCode, request: Row['request'] = {}): Row => ({
  title,
  change,
  code,
  request,
});

const rows: readonly Row[] = [
  row('an unknown service', () => undefined, 'unknown_service', { service: 'apj' }),
  row('an environment that the service has not', () => undefined, 'unknown_service', {
    environment: 'staging',
  }),
  row('an unknown environment', () => undefined, 'unknown_environment', { environment: 'nope' }),
  row(
    'a missing cell',
    ({ root }) => rmSync(join(root, 'secrets/payments/development.enc.yaml')),
    'missing_cell',
  ),
  row(
    'a pending key',
    (repository) => {
      const path = 'secrets/payments/development.meta.yaml';
      repository.write(path, `${repository.read(path)}pending: [LATER]\n`);
    },
    'pending_key',
  ),
  row(
    '1.3 #15, INV-07: a stranger among the recipients',
    (repository) => {
      const path = 'secrets/payments/development.enc.yaml';
      const stanza = `        - recipient: ${strangersKey().recipient}\n          enc: x\n`;
      repository.write(path, repository.read(path).replace(/^( {4}age:\n)/m, `$1${stanza}`));
    },
    'recipients_differ',
  ),
  row(
    'INV-39: a name twice',
    (repository) => repository.set('payments/development', 'DB_URL', 'x'),
    'key_conflict',
  ),
  row(
    'INV-43: a destination that is no artifact',
    (repository) => repository.write('out', 'precious'),
    'already_exists',
    { destination: 'out' },
  ),
  row('INV-43: the manifest as destination', () => undefined, 'already_exists', { destination: 'clef.yaml' }),
  row('INV-43: a folder', () => undefined, 'bad_path', { destination: 'secrets' }),
  row('INV-43: a link', (repository) => symlinkSync('clef.yaml', join(repository.root, 'link')), 'bad_path', {
    destination: 'link',
  }),
  row('INV-43: a folder that is not there', () => undefined, 'io', { destination: 'nowhere/api.json' }),
  row('a protected environment outside git', () => undefined, 'git', { environment: 'production' }),
];

describe('pack gives no artifact for', () => {
  it.each(rows)('$title', async ({ change, code, request }) => {
    const repository = await packable();
    await change(repository);
    const work = () => pack(repository, { destination: 'api.json', ...request });
    expect(await refused(repository, work)).toEqual(quietly(code));
  });

  it.each(tamperings.filter((_, index) => index % 6 === 0))(
    'a tampered cell: $title',
    async ({ change, code }) => {
      const values = { ALPHA: 'CANARY alpha', BETA: 'CANARY beta', NUMBER: '42' };
      const repository = await packable(
        {},
        { 'database/development': values, 'payments/development': { P: 'CANARY' } },
      );
      const path = 'secrets/database/development.enc.yaml';
      repository.write(path, change(repository.read(path)));
      expect(await refused(repository, () => pack(repository, { destination: 'api.json' }))).toEqual(
        quietly(code),
      );
    },
  );

  it('a signing key that the agent does not trust, and one that is not there', async () => {
    const repository = await packable();
    const elsewhere = await packable();
    const file = join(elsewhere.world.environment['CLEF_CONFIG_DIR'] ?? '', 'signing-key.pem');
    const packWith = (signingKey: string) => async () =>
      packService(
        await openRepository(
          withVariables(repository.world, { CLEF_SIGNING_KEY_FILE: signingKey }),
          repository.root,
        ),
        {
          service: 'api',
          environment: 'development',
          allowDirty: false,
        },
      );
    expect(await refused(repository, packWith(file))).toEqual(quietly('signing_key'));
    expect(await refused(repository, packWith('/nowhere'))).toEqual(quietly('signing_key'));
    const pem = readFileSync(file, 'utf8');
    const secret = pem.split('\n')[1] ?? '';
    expect(await refused(repository, packWith(pem), secret.slice(0, 20).replaceAll('+', '.'))).toEqual(
      quietly('private_key_given'),
    );
    writeFileSync(file, pem.slice(0, 60));
    expect(await refused(repository, packWith(file), secret.slice(0, 20).replaceAll('+', '.'))).toEqual(
      quietly('signing_key'),
    );
  });

  it('the artifact of another repository or environment, or one from the future, in its place', async () => {
    const [repository, other] = [await packable(), await packable()];
    const { artifact } = await pack(other);
    repository.write('api.json', artifact);
    const again = () => pack(repository, { destination: 'api.json' });
    expect(await refused(repository, again)).toEqual(quietly('already_exists'));
    repository.write(
      'api.json',
      (await pack(repository, { environment: 'production', allowDirty: true })).artifact,
    );
    expect(await refused(repository, again)).toEqual(quietly('already_exists'));
    repository.clock.milliseconds += 2 * 24 * 3600 * 1000;
    repository.write('api.json', (await pack(repository)).artifact);
    repository.clock.milliseconds -= 2 * 24 * 3600 * 1000;
    expect(await refused(repository, again)).toEqual(quietly('already_exists'));
  });
});

describe('a protected environment equals HEAD before it is packed', () => {
  async function committed(): Promise<TestRepository> {
    const repository = await packable();
    const top = join(repository.root, '..');
    await git(top, 'init', '--quiet');
    await git(top, 'add', '--all');
    await git(top, 'commit', '--quiet', '--message', 'all');
    return repository;
  }

  it('clean, it names the commit; what is out of scope may differ', async () => {
    const repository = await committed();
    mkdirSync(join(repository.root, 'src'));
    repository.write('src/new.ts', 'x');
    await repository.set('internal/production', 'X', 'x').catch(() => undefined);
    await git(repository.root, 'checkout', '--quiet', '--', 'clef.yaml');
    const packed = await pack(repository, { environment: 'production' });
    expect(packed.commit).toBe((await git(repository.root, 'rev-parse', 'HEAD')).trim());
  });

  it.each([
    [
      'a cell in scope',
      'secrets/payments/production.enc.yaml',
      (text: string) => text.replace(/^/, '# a comment\n'),
    ],
    ['clef.yaml', 'clef.yaml', (text: string) => `${text}# a comment\n`],
  ] as const)('%s that differs is refused, and packed where a person says so', async (_, path, change) => {
    const repository = await committed();
    repository.write(path, change(repository.read(path)));
    const request = { environment: 'production', destination: 'api.json' };
    expect(await refused(repository, () => pack(repository, request))).toEqual(quietly('dirty_tree'));
    expect(await pack(repository, { ...request, allowDirty: true })).toMatchObject({ keyCount: 2 });
    expect(await pack(repository, { environment: 'development' })).toMatchObject({ keyCount: 2 });
  });
});
