// `clef sops` and the real sops on files for keys in every cloud: each opens what the other wrote, and goes on opening it
// after either has changed it. AWS is our emulator and moto, Google our emulator, Azure and Vault fakes that encrypt for real.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { emulatorVariables, startEmulator } from '@clef/emulator';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { listenerFor, serve } from './fakes/answer-json.ts';
import {
  azureHosts,
  azureKid,
  azureTenant,
  fakeAzureKeyVault,
  withAzureLogins,
} from './fakes/azure-key-vault.ts';
import { behindProxy, passOn } from './fakes/behind-proxy.ts';
import { fakeVaultTransit, vaultToken } from './fakes/vault-transit.ts';
import { startMoto } from './moto.ts';
import { hasPeer, type Peer } from './peers.ts';
import { clefSops, type Ended, printedBy, realSops, type Situation } from './sops-command.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** A cloud: how sops names its key, and with which variables each program reaches it. */
type Cloud = { readonly key: readonly string[]; readonly theirs: Variables; readonly ours: Variables };

const top = mkdtempSync(join(tmpdir(), 'clef-sops-clouds-'));
const atEnd: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of atEnd.reverse()) await stop();
  rmSync(top, { recursive: true, force: true });
});
afterEach(() => vi.unstubAllEnvs());

const region = 'eu-central-1';
const inMoto = { AWS_ACCESS_KEY_ID: 'testing', AWS_SECRET_ACCESS_KEY: 'testing' };
let moto: { readonly variables: Variables; readonly arn: string };

const emulator = (async () => {
  const started = await startEmulator({ now: Date.now, randomBytes });
  atEnd.push(() => started.stop());
  return started;
})();

async function aws(): Promise<Cloud> {
  const started = await emulator;
  const variables = emulatorVariables(started);
  return { key: ['--kms', started.awsKey.arn], theirs: variables, ours: variables };
}

async function google(): Promise<Cloud> {
  const started = await emulator;
  const proxy = await behindProxy(['cloudkms.googleapis.com'], passOn(started.url));
  atEnd.push(proxy.stop);
  const token = started.administrator.gcpToken;
  return {
    key: ['--gcp-kms', started.gcpKey.name],
    theirs: { ...proxy.variables, SOPS_GCP_KMS_CLIENT_TYPE: 'rest', GOOGLE_OAUTH_ACCESS_TOKEN: token },
    ours: emulatorVariables(started),
  };
}

async function azure(): Promise<Cloud> {
  const names = { vault: 'test-vault', name: 'test-key', version: '0123456789abcdef0123456789abcdef' };
  const listener = listenerFor(withAzureLogins(fakeAzureKeyVault(names)));
  const [proxy, served] = await Promise.all([
    behindProxy(azureHosts(names.vault), listener),
    serve(listener),
  ]);
  atEnd.push(proxy.stop, served.stop);
  const client = {
    AZURE_TENANT_ID: azureTenant,
    AZURE_CLIENT_ID: azureTenant,
    AZURE_CLIENT_SECRET: 'example',
  };
  return {
    key: ['--azure-kv', azureKid(names)],
    theirs: { ...proxy.variables, ...client },
    ours: {
      CLEF_AZURE_KEY_VAULT_ENDPOINT: served.url,
      IDENTITY_ENDPOINT: `${served.url}/msi/token`,
      IDENTITY_HEADER: 'example-header',
    },
  };
}

async function vault(): Promise<Cloud> {
  const { url, stop } = await serve(listenerFor(fakeVaultTransit()));
  atEnd.push(stop);
  const variables = { VAULT_ADDR: url, VAULT_TOKEN: vaultToken };
  return {
    key: ['--hc-vault-transit', `${url}/v1/team/transit/keys/clef`],
    theirs: variables,
    ours: variables,
  };
}

async function motoCloud(...more: readonly string[]): Promise<Cloud> {
  return { key: ['--kms', moto.arn, ...more], theirs: moto.variables, ours: moto.variables };
}

let count = 0;
/** A folder with a plaintext, and both programs in it. The SDKs of Node read the process's own environment. */
function programs({ theirs, ours }: Cloud): Record<
  'clef' | 'sops',
  (...args: readonly string[]) => Promise<Ended>
> & {
  readonly cwd: string;
} {
  count += 1;
  const cwd = join(top, String(count));
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'plain.yaml'), 'A: one\n');
  for (const name of Object.keys(process.env))
    if (/^(AWS|AZURE|GOOGLE|GCE)_/.test(name)) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(ours)) vi.stubEnv(name, value);
  const common = { PATH: process.env['PATH'], HOME: cwd, CLEF_KEYCHAIN: 'off' };
  const situation = (variables: Variables): Situation => ({ cwd, environment: { ...common, ...variables } });
  return {
    cwd,
    clef: (...args) => clefSops(situation(ours), ...args),
    sops: (...args) => realSops(situation(theirs), ...args),
  };
}

async function bothWays(cloud: Cloud): Promise<string> {
  const { cwd, clef, sops } = programs(cloud);
  const read = async (run: Promise<Ended>): Promise<string> => (await printedBy(run)).toString();
  await printedBy(sops('encrypt', ...cloud.key, '--output', 'theirs.yaml', 'plain.yaml'));
  expect(await read(clef('decrypt', 'theirs.yaml'))).toBe('A: one\n');
  await printedBy(clef('rotate', '--in-place', 'theirs.yaml'));
  expect(await read(sops('decrypt', 'theirs.yaml'))).toBe('A: one\n');
  await printedBy(clef('encrypt', ...cloud.key, '--output', 'ours.yaml', 'plain.yaml'));
  expect(await read(sops('decrypt', 'ours.yaml'))).toBe('A: one\n');
  await printedBy(sops('set', 'ours.yaml', '["B"]', '"two"'));
  await printedBy(sops('rotate', '--in-place', 'ours.yaml'));
  expect(await read(clef('decrypt', 'ours.yaml'))).toBe('A: one\nB: two\n');
  return readFileSync(join(cwd, 'ours.yaml'), 'utf8');
}

const needs = (...peers: readonly Peer[]): boolean => peers.map((peer) => hasPeer(peer)).every(Boolean);

describe.runIf(needs('sops', 'openssl'))('a file goes both ways, and is changed by both', () => {
  it.each([
    ['AWS KMS (our emulator)', aws],
    ['Google Cloud KMS (our emulator)', google],
    ['Azure Key Vault (a fake)', azure],
    ['Vault transit (a fake)', vault],
  ] as const)('%s', async (_title, open) => {
    await bothWays(await open());
  });
});

describe.runIf(needs('sops', 'moto_server'))('AWS KMS (moto)', () => {
  const role = 'arn:aws:iam::123456789012:role/keys';

  beforeAll(async () => {
    const { url, close } = await startMoto();
    atEnd.push(close);
    const admin = new KMSClient({
      region,
      endpoint: url,
      credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
    });
    const { KeyMetadata } = await admin.send(new CreateKeyCommand({}));
    admin.destroy();
    const configuration = join(top, 'aws-config');
    writeFileSync(
      configuration,
      `[profile team]\nregion = ${region}\naws_access_key_id = AKIATEAM\naws_secret_access_key = team\n`,
    );
    const endpoints = { AWS_ENDPOINT_URL: url, AWS_ENDPOINT_URL_KMS: url, AWS_ENDPOINT_URL_STS: url };
    moto = {
      arn: KeyMetadata?.Arn ?? '',
      variables: {
        ...inMoto,
        ...endpoints,
        AWS_CONFIG_FILE: configuration,
        AWS_SHARED_CREDENTIALS_FILE: configuration,
      },
    };
  });

  it('goes both ways', async () => {
    await bothWays(await motoCloud());
  });

  it('under an encryption context', async () => {
    const text = await bothWays(await motoCloud('--encryption-context', 'app:clef,stage:test'));
    expect(text).toMatch(/context:\n\s+app: clef\n\s+stage: test\n/);
  });

  it('with a role to take on', async () => {
    const cloud = await motoCloud();
    const text = await bothWays({ ...cloud, key: ['--kms', `${moto.arn}+${role}`] });
    expect(text).toContain(`role: ${role}`);
  });

  it('with a profile', async () => {
    const text = await bothWays(await motoCloud('--aws-profile', 'team'));
    expect(text).toContain('aws_profile: team');
  });

  it('with a profile that is not there: neither program opens it', async () => {
    const cloud = await motoCloud();
    const { cwd, clef, sops } = programs(cloud);
    await printedBy(sops('encrypt', ...cloud.key, '--output', 'a.yaml', 'plain.yaml'));
    const text = readFileSync(join(cwd, 'a.yaml'), 'utf8');
    writeFileSync(join(cwd, 'a.yaml'), text.replace('aws_profile: ""', 'aws_profile: nobody'));
    expect((await sops('decrypt', 'a.yaml')).exitCode).toBe(128);
    expect((await clef('decrypt', 'a.yaml')).exitCode).toBe(128);
  });
});
