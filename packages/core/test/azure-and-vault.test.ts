// Keys of Azure Key Vault and of Vault's transit engine where clef.yaml takes KMS keys: cells are encrypted to them and
// artifacts sealed with them, with no age key at all. The services are fakes that encrypt for real.
import { artifactContext, openArtifact, parseArtifact, parseVerifyKey } from '@clef/artifact';
import { openKms, parseKeyReference } from '@clef/kms';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { listenerFor, type Served, type Service, serve } from '../../../test/fakes/answer-json.ts';
import { fakeAzureKeyVault, withAzureLogins } from '../../../test/fakes/azure-key-vault.ts';
import { fakeVaultTransit, vaultToken } from '../../../test/fakes/vault-transit.ts';
import { packService } from '../src/delivery/pack.ts';
import { syncMatrix } from '../src/matrix/sync.ts';
import { rotateCells } from '../src/people/rotate.ts';
import { createService } from '../src/people/services.ts';
import { openRepository } from '../src/repository.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import { listKeys } from '../src/secrets/list-keys.ts';
import { setSecret } from '../src/secrets/set-secret.ts';
import {
  quietly,
  refusal,
  refused,
  repositoryWith,
  setting,
  type TestRepository,
  withVariables,
  yes,
} from './repository-with.ts';

type Cloud = {
  readonly cellKey: string;
  readonly sealingKey: string;
  /** What a program needs to reach it. */
  readonly variables: Readonly<Record<string, string>>;
  /** What the stanza of a cell says of the key. */
  readonly stanza: RegExp;
  readonly configuration: RegExp;
};

const version = '0123456789abcdef0123456789abcdef';
const served: Served[] = [];
const clouds = new Map<string, Cloud>();
beforeAll(async () => {
  const azureKeys = ['cells', 'seals'].map((name) => fakeAzureKeyVault({ vault: 'team', name, version }));
  const azure: Service = (question) =>
    (question.path.startsWith('/keys/seals/') ? azureKeys[1] : azureKeys[0])?.(
      question,
    ) as ReturnType<Service>;
  for (const service of [withAzureLogins(azure), fakeVaultTransit(['cells', 'seals'])])
    served.push(await serve(listenerFor(service)));
  const [azureUrl = '', vaultUrl = ''] = served.map(({ url }) => url);
  clouds.set('Azure', {
    cellKey: `azurekms://team.vault.azure.net/cells/${version}`,
    sealingKey: `azurekms://team.vault.azure.net/seals/${version}`,
    variables: {
      CLEF_AZURE_KEY_VAULT_ENDPOINT: azureUrl,
      IDENTITY_ENDPOINT: `${azureUrl}/msi/token`,
      IDENTITY_HEADER: 'example-header',
    },
    stanza: /azure_kv:\n\s+- vault_url: https:\/\/team\.vault\.azure\.net\n\s+name: cells\n/,
    configuration: new RegExp(`azure_keyvault: >-\\n +https://team.vault.azure.net/keys/cells/${version}\\n`),
  });
  clouds.set('Vault', {
    cellKey: 'hashivault://team/transit/cells',
    sealingKey: 'hashivault://team/transit/seals',
    variables: { VAULT_ADDR: vaultUrl, VAULT_TOKEN: vaultToken },
    stanza:
      /hc_vault:\n\s+- vault_address: http:\/\/127\.0\.0\.1:\d+\n\s+engine_path: team\/transit\n\s+key_name: cells\n/,
    configuration: new RegExp(`hc_vault_transit_uri: >-\\n +${vaultUrl}/v1/team/transit/keys/cells\\n`),
  });
});
afterAll(() => Promise.all(served.map(({ stop }) => stop())));
// The library of Azure looks for the managed identity in the process's own environment.
beforeEach(() => {
  for (const [name, value] of Object.entries(cloud('Azure').variables)) vi.stubEnv(name, value);
  return () => vi.unstubAllEnvs();
});

const names = ['Azure', 'Vault'] as const;
const cloud = (name: string): Cloud => clouds.get(name) as Cloud;
const cellPath = 'secrets/database/production.enc.yaml';

/** Production on the cloud's key and nobody's age key, with one value. */
async function onCloud(name: string): Promise<TestRepository> {
  const { cellKey, variables } = cloud(name);
  const made = await repositoryWith(
    {},
    {
      manifest: (text) =>
        text
          .replace('    protected: true', `    encrypt_to: ${cellKey}\n    protected: true`)
          .replace('environments: ["*"]', 'environments: [development, staging]'),
    },
  );
  const world = withVariables(made.world, variables);
  const repository = { ...made, world, open: () => openRepository(world, made.root) };
  await setSecret(await repository.open(), setting('database/production', 'DB_URL', 'CANARY'));
  repository.notices.length = 0;
  return repository;
}

describe.each(names)('%s: a cell on its key', (name) => {
  it('is written, read and given a new data key, with a stanza for that key alone', async () => {
    const repository = await onCloud(name);
    const get = async () =>
      getSecret(await repository.open(), { cell: 'database/production', key: 'DB_URL' });
    expect(await get()).toBe('CANARY');
    expect(repository.read(cellPath)).toMatch(cloud(name).stanza);
    expect(repository.read(cellPath)).not.toMatch(/age1|CANARY/);
    const before = repository.read(cellPath);
    await rotateCells(await repository.open(), { targets: ['database/production'], confirm: yes });
    expect(repository.read(cellPath)).not.toBe(before);
    expect(await get()).toBe('CANARY');
    expect(repository.notices).toEqual([]);
  });

  it('is written by "clef sync" into .sops.yaml', async () => {
    const repository = await onCloud(name);
    await syncMatrix(await repository.open(), { confirm: yes, force: false });
    expect(repository.read('.sops.yaml')).toMatch(cloud(name).configuration);
  });

  it('INV-36: seals an artifact that opens with it under its own context, and under no other', async () => {
    const repository = await onCloud(name);
    const { sealingKey, variables } = cloud(name);
    await createService(await repository.open(), {
      name: 'api',
      namespaces: ['database'],
      seal: [['production', sealingKey]],
      verify: [],
    });
    const { artifact } = await packService(await repository.open(), {
      service: 'api',
      environment: 'production',
      allowDirty: true,
    });
    expect(Buffer.from(artifact).toString()).not.toContain('CANARY');
    const { manifest } = await repository.open();
    const { verify = [] } = manifest.serviceIdentities[0]?.environments.get('production') ?? {};
    const kms = openKms({ environment: variables });
    const policy = {
      repository: manifest.repository,
      identity: 'api',
      environment: 'production',
      sealingKey: parseKeyReference(sealingKey),
      verifyKeys: verify.map((key) => parseVerifyKey(key.text)),
      allowUnsigned: false,
      now: repository.clock.milliseconds,
    };
    const { secrets } = await openArtifact(artifact, policy, { kms });
    expect(Object.fromEntries(secrets)).toEqual({ DB_URL: 'CANARY' });

    const { payload } = parseArtifact(artifact);
    if ('revoked' in payload) throw new Error('a revocation');
    const context = artifactContext({ ...payload.header, identity: 'other', digest: '0'.repeat(64) });
    const unwrapped = kms.unwrap(policy.sealingKey, payload.seal.wrappedIdentity as Uint8Array, context);
    await expect(unwrapped).rejects.toMatchObject({ code: 'denied' });
  });
});

describe('Vault’s address comes from VAULT_ADDR alone', () => {
  const without = (repository: TestRepository, address?: string) =>
    openRepository(withVariables(repository.world, { VAULT_ADDR: address }), repository.root);
  const list = async (repository: TestRepository, address?: string) =>
    listKeys(await without(repository, address), { cell: 'database/production' });

  it('without it the recipients of a file are compared all the same, and are right', async () => {
    const repository = await onCloud('Vault');
    expect((await list(repository)).map(({ name }) => name)).toEqual(['DB_URL']);
    expect(repository.notices).toEqual([]);
  });

  it('without it nothing is read or written, and no file changes', async () => {
    const repository = await onCloud('Vault');
    const open = await without(repository);
    const read = () => getSecret(open, { cell: 'database/production', key: 'DB_URL' });
    const write = () => setSecret(open, setting('mail/production', 'A', 'CANARY'));
    expect(await refused(repository, read)).toEqual(quietly('endpoint_refused'));
    expect(await refused(repository, write)).toEqual(quietly('endpoint_refused'));
    expect((await refusal(write())).hint).toMatch(/VAULT_ADDR/);
    const sync = () => syncMatrix(open, { confirm: yes, force: false });
    expect(await refused(repository, sync)).toEqual(quietly('endpoint_refused'));
  });

  it('INV-07: a file that names another is another’s: it is not asked, and nothing is written to it', async () => {
    const repository = await onCloud('Vault');
    const text = repository.read(cellPath);
    const elsewhere = 'http://127.0.0.1:9';
    repository.write(cellPath, text.replace(cloud('Vault').variables['VAULT_ADDR'] as string, elsewhere));
    const open = await repository.open();
    const read = () => getSecret(open, { cell: 'database/production', key: 'DB_URL' });
    const write = () => setSecret(open, setting('database/production', 'B', 'CANARY'));
    expect((await refused(repository, read)).code).toBe('endpoint_refused');
    expect(repository.notices.map(({ message }) => message).join()).toContain(elsewhere);
    expect(await refused(repository, write)).toEqual(quietly('recipients_differ'));
  });

  it('without it, "clef sync" keeps the address that its .sops.yaml has', async () => {
    const repository = await onCloud('Vault');
    await syncMatrix(await repository.open(), { confirm: yes, force: false });
    const before = repository.read('.sops.yaml');
    expect(await syncMatrix(await without(repository), { confirm: yes, force: false })).toMatchObject({
      sopsConfig: 'unchanged',
    });
    expect(repository.read('.sops.yaml')).toBe(before);
  });
});
