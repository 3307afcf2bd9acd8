// Azure Key Vault and Vault, from `clef set` to the agent, with the real sops in between: it reads the cells that clef encrypts
// to their keys, and writes cells that clef reads. The services are fakes that encrypt for real.
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChildHandle, startChild } from '@clef/host';
import { afterAll, describe, expect, it } from 'vitest';
import { listenerFor, type Service, serve } from './fakes/answer-json.ts';
import { azureHosts, azureTenant, fakeAzureKeyVault, withAzureLogins } from './fakes/azure-key-vault.ts';
import { behindProxy } from './fakes/behind-proxy.ts';
import { fakeVaultTransit, vaultToken } from './fakes/vault-transit.ts';
import { hasPeer } from './peers.ts';
import { clef, type Environment, freePort, git, succeed, variablesOf } from './scene.ts';
import { printedBy, realSops } from './sops-command.ts';

const clefScript = fileURLToPath(new URL('../packages/cli/bin/clef.js', import.meta.url));
const atEnd: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of atEnd.reverse()) await stop();
});

/** A cloud with one key for cells and one that seals, and the variables with which each program reaches it. */
type Cloud = {
  readonly cellKey: string;
  readonly sealingKey: string;
  readonly theirs: Environment;
  readonly ours: Environment;
};

async function azure(): Promise<Cloud> {
  const version = '0123456789abcdef0123456789abcdef';
  const [cells, seals] = ['cells', 'seals'].map((name) =>
    fakeAzureKeyVault({ vault: 'team-vault', name, version }),
  );
  const both: Service = (question) =>
    ((question.path.startsWith('/keys/seals/') ? seals : cells) as Service)(question);
  const listener = listenerFor(withAzureLogins(both));
  const [proxy, served] = [await behindProxy(azureHosts('team-vault'), listener), await serve(listener)];
  atEnd.push(proxy.stop, served.stop);
  const client = {
    AZURE_TENANT_ID: azureTenant,
    AZURE_CLIENT_ID: azureTenant,
    AZURE_CLIENT_SECRET: 'example',
  };
  return {
    cellKey: `azurekms://team-vault.vault.azure.net/cells/${version}`,
    sealingKey: `azurekms://team-vault.vault.azure.net/seals/${version}`,
    theirs: { ...proxy.variables, ...client },
    ours: {
      CLEF_AZURE_KEY_VAULT_ENDPOINT: served.url,
      IDENTITY_ENDPOINT: `${served.url}/msi/token`,
      IDENTITY_HEADER: 'example-header',
    },
  };
}

async function vault(): Promise<Cloud> {
  const { url, stop } = await serve(listenerFor(fakeVaultTransit(['cells', 'seals'])));
  atEnd.push(stop);
  const variables = { VAULT_ADDR: url, VAULT_TOKEN: vaultToken };
  return {
    cellKey: 'hashivault://team/transit/cells',
    sealingKey: 'hashivault://team/transit/seals',
    theirs: variables,
    ours: variables,
  };
}

/** A repository whose production is on the cloud's key, with a service that is sealed with the other. */
async function furnish({ cellKey, sealingKey, ours }: Cloud) {
  const top = await realpath(await mkdtemp(join(tmpdir(), 'clef-azure-vault-')));
  atEnd.push(() => rm(top, { recursive: true, force: true }));
  const [home, repository] = [join(top, 'home'), join(top, 'repository')];
  await mkdir(home);
  await mkdir(repository);
  const common = { PATH: process.env['PATH'], HOME: home, CLEF_KEYCHAIN: 'off', GIT_CONFIG_NOSYSTEM: '1' };
  const environment = { ...common, ...ours };
  await git(repository, common, 'init', '--quiet', '.');
  for (const pair of ['user.name=Alice', 'user.email=alice@example.com'])
    await git(repository, common, 'config', ...(pair.split('=') as [string, string]));
  await succeed(clef(repository, common, ['init']));
  const file = join(repository, 'clef.yaml');
  const manifest = (await readFile(file, 'utf8'))
    .replace('    protected: true', `    encrypt_to: ${cellKey}\n    protected: true`)
    .replace('environments: ["*"]', 'environments: [development, staging]');
  await writeFile(file, manifest);
  await succeed(
    clef(repository, environment, ['set', 'database/production', 'A', '--yes'], 'canary of clef'),
  );
  const create = [
    'service',
    'create',
    'api',
    '--namespaces',
    'database',
    '--seal',
    `production=${sealingKey}`,
  ];
  await succeed(clef(repository, common, create));
  await succeed(clef(repository, environment, ['sync', '--yes']));
  return { top, repository, common, environment };
}

async function serveOnce(
  folder: string,
  environment: Environment,
): Promise<{ agent: ChildHandle; text: string }> {
  const [port, tokenFile] = [await freePort(), join(folder, 'token')];
  const agent = await startChild({
    command: process.execPath,
    args: [clefScript, 'agent'],
    environment: {
      ...environment,
      CLEF_AGENT_LISTEN: `127.0.0.1:${port}`,
      CLEF_AGENT_TOKEN_FILE: tokenFile,
      CLEF_AGENT_STATE_DIR: 'none',
    },
    cwd: folder,
  });
  await agent.waitForLine(/"event":"ready"/, 30);
  const authorization = `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`;
  const answer = await fetch(`http://127.0.0.1:${port}/v1/secrets`, { headers: { authorization } });
  const text = await answer.text();
  agent.kill('SIGTERM');
  await agent.exited;
  return { agent, text };
}

describe.runIf(['sops', 'openssl'].every((peer) => hasPeer(peer as 'sops')))('production on a key of', () => {
  it.each([
    ['Azure Key Vault', azure],
    ['Vault', vault],
  ] as const)('%s: set, sops, pack and the agent agree, and nobody has an age key', async (_title, open) => {
    const cloud = await open();
    const { top, repository, common, environment } = await furnish(cloud);
    const cell = 'secrets/database/production.enc.yaml';
    const asSops = { cwd: repository, environment: { ...common, ...cloud.theirs } };
    expect((await printedBy(realSops(asSops, 'decrypt', cell))).toString()).toBe('A: canary of clef\n');

    // Under the .sops.yaml that clef wrote, sops encrypts a file of the matrix to the same key.
    const mail = 'secrets/mail/production.enc.yaml';
    await mkdir(join(repository, 'secrets/mail'));
    await writeFile(join(repository, mail), 'B: of sops\n');
    await printedBy(realSops(asSops, 'encrypt', '--in-place', mail));
    await printedBy(realSops(asSops, 'set', cell, '["C"]', '"canary of sops"'));
    expect(await clef(repository, environment, ['get', 'database/production', 'C'])).toEqual({
      exitCode: 0,
      stdout: 'canary of sops',
      stderr: expect.not.stringContaining('recipients'),
    });

    await git(repository, common, 'add', 'clef.yaml', '.sops.yaml', 'secrets/database');
    await git(repository, common, 'commit', '--quiet', '--message', 'Secrets');
    const source = join(top, 'artifact.json');
    const packed = await clef(repository, environment, ['pack', 'api', 'production', '--to', source]);
    expect(packed).toMatchObject({ exitCode: 0, stdout: '' });
    const shown = clef(repository, common, ['service', 'show', 'api', 'production', '--agent-env']);
    const pinned = variablesOf(await succeed(shown));
    expect(pinned['CLEF_AGENT_KMS_KEY']).toBe(cloud.sealingKey);
    const machine = { ...pinned, ...cloud.ours, CLEF_AGENT_SOURCE: source };
    const { agent, text } = await serveOnce(top, machine);
    expect(JSON.parse(text)).toEqual({ A: 'canary of clef', C: 'canary of sops' });
    const log = Buffer.from(agent.stderr()).toString();
    for (const secret of ['canary', 'team', vaultToken, top]) expect(log).not.toContain(secret);
    expect(Buffer.from(agent.stdout()).toString()).toBe('');
  });
});
