// INV-33: age plugins run only as the person's plugins.yaml says, and then open cells and SOPS files. The plugin is a real
// program that holds an X25519 key, and has a stanza of its own for new files.
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBech32, encodeBech32 } from '@clef/strict';
import { describe, expect, it, vi } from 'vitest';
import { decryptSopsFile, encryptSopsFile } from '../src/index.ts';
import { openRepository } from '../src/repository.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import type { World } from '../src/world.ts';
import { emptyWorld, refusal, repositoryWith, temporaryFolder, withVariables } from './repository-with.ts';

const cell = 'database/development';
const shared = repositoryWith({ [cell]: { A: 'value' } });
const identity = encodeBech32('age-plugin-hold-', Buffer.from('handle')).toUpperCase();
const recipient = encodeBech32('age1hold', Buffer.from('handle'));

/** A plugin that opens X25519 stanzas with the key of `seed`, and stanzas of its own by flipping bits. */
function pluginScript(seed: Uint8Array): string {
  return `#!${process.execPath}
const { createPrivateKey, createPublicKey, diffieHellman, hkdfSync, createDecipheriv } = require('node:crypto');
require('node:fs').writeFileSync(__dirname + '/started', Object.keys(process.env).join(','));
const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), Buffer.from('${Buffer.from(seed).toString('hex')}', 'hex')]);
const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
const spki = Buffer.from('302a300506032b656e032100', 'hex');
const own = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(12);
const flip = (bytes) => Buffer.from(bytes.map((byte) => byte ^ 0x5a));
function open(share, body) {
  const publicKey = createPublicKey({ key: Buffer.concat([spki, share]), format: 'der', type: 'spki' });
  const secret = diffieHellman({ privateKey, publicKey });
  const key = Buffer.from(hkdfSync('sha256', secret, Buffer.concat([share, own]), 'age-encryption.org/v1/X25519', 32));
  const decipher = createDecipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 });
  decipher.setAuthTag(body.subarray(16));
  return Buffer.concat([decipher.update(body.subarray(0, 16)), decipher.final()]);
}
const say = (args, body = '') => process.stdout.write('-> ' + args + '\\n' + Buffer.from(body).toString('base64').replace(/=+$/, '') + '\\n');
const lines = require('node:readline').createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function take() {
  const head = (await lines.next()).value.slice(3).split(' ');
  let body = '';
  for (let line = (await lines.next()).value; ; line = (await lines.next()).value) {
    body += line;
    if (line.length < 64) return { head, body: Buffer.from(body, 'base64') };
  }
}
(async () => {
  const asked = [];
  for (let stanza = await take(); stanza.head[0] !== 'done'; stanza = await take()) asked.push(stanza);
  for (const { head, body } of asked) {
    if (head[0] === 'wrap-file-key') say('recipient-stanza 0 hold', flip(body));
    else if (head[2] === 'hold') say('file-key 0', flip(body));
    else if (head[2] === 'X25519') say('file-key 0', open(Buffer.from(head[3], 'base64'), body));
    else continue;
    await take();
  }
  say('done');
})();
`;
}

/** A home with the program, and plugins.yaml where it is given. */
async function machineWith(plugins: ((program: string) => string) | undefined, mode = 0o600) {
  const { identity: secret, root, world } = await shared;
  const home = temporaryFolder();
  const program = join(home, 'age-plugin-hold');
  writeFileSync(program, pluginScript(decodeBech32(secret.toLowerCase())?.bytes ?? new Uint8Array()));
  chmodSync(program, 0o755);
  const folder = join(home, '.config/clef');
  mkdirSync(folder, { recursive: true });
  if (plugins !== undefined) {
    writeFileSync(join(folder, 'plugins.yaml'), plugins(program));
    chmodSync(join(folder, 'plugins.yaml'), mode);
  }
  const empty = emptyWorld({ cwd: root, homeDirectory: home, notify: world.notify });
  const with_ = (variables: Readonly<Record<string, string>>): World =>
    withVariables(empty.world, {
      PATH: `${home}:${process.env['PATH']}`,
      CLEF_CONFIG_DIR: folder,
      ...variables,
    });
  const read = async (variables: Readonly<Record<string, string>>): Promise<string> =>
    getSecret(await openRepository(with_(variables), root), { cell, key: 'A' });
  return { home, folder, with_, read, started: join(home, 'started') };
}

const named = (program: string): string => `version: 1\nplugins:\n  hold: ${program}\n`;

describe('a plugin that plugins.yaml names', () => {
  it('opens a cell, without the variables that hold keys', async () => {
    const { read, started } = await machineWith(named);
    expect(await read({ CLEF_AGE_KEY: identity })).toBe('value');
    const variables = readFileSync(started, 'utf8').split(',');
    expect(variables).toContain('PATH');
    expect(variables).not.toContain('CLEF_AGE_KEY');
  });

  it('wraps and opens SOPS files', async () => {
    const { home, with_ } = await machineWith(named);
    writeFileSync(join(home, 'key.txt'), `# a key\n${identity}\n`);
    writeFileSync(join(home, 'a.yaml'), 'A: one\n');
    const world = { ...with_({ SOPS_AGE_KEY_FILE: join(home, 'key.txt') }), cwd: home };
    const request = { file: 'a.yaml', readInput: async () => new Uint8Array() };
    await encryptSopsFile(world, { ...request, keys: { age: recipient }, rules: {}, inPlace: true });
    expect(readFileSync(join(home, 'a.yaml'), 'utf8')).toContain(recipient);
    expect(Buffer.from((await decryptSopsFile(world, request)) ?? []).toString()).toBe('A: one\n');
  });
});

describe('INV-33: a plugin that nobody has named', () => {
  it('is not run, although its program is in PATH, and the error says where to name it', async () => {
    const { read, started } = await machineWith(undefined);
    const error = await refusal(read({ CLEF_AGE_KEY: identity }));
    expect(error.code).toBe('key_locked');
    expect(error.hint).toContain('plugins.yaml');
    expect(existsSync(started)).toBe(false);
  });

  it('does not hide another key', async () => {
    const { read } = await machineWith(undefined);
    const { identity: own } = await shared;
    expect(await read({ CLEF_AGE_KEY: `${identity}\n${own}` })).toBe('value');
  });

  it.each<[title: string, plugins: (program: string) => string, mode?: number]>([
    ['a relative path', () => 'version: 1\nplugins:\n  hold: age-plugin-hold\n'],
    ['a path from here', () => 'version: 1\nplugins:\n  hold: ./age-plugin-hold\n'],
    ['a name that leads out', (program) => `version: 1\nplugins:\n  "../hold": ${program}\n`],
    ['a name with a hyphen', (program) => `version: 1\nplugins:\n  ho-ld: ${program}\n`],
    ['a field that is not known', (program) => `${named(program)}path: true\n`],
    ['another version', (program) => named(program).replace('1', '2')],
    ['no map', () => '- hold\n'],
    ['no YAML', () => '\t{'],
    ['a file that others can write', named, 0o622],
  ])('plugins.yaml with %s is refused, and nothing runs', async (_title, plugins, mode) => {
    const { read, started } = await machineWith(plugins, mode);
    expect((await refusal(read({ CLEF_AGE_KEY: identity }))).code).toBe('settings_invalid');
    expect(existsSync(started)).toBe(false);
  });

  it('plugins.yaml of another user is refused, and nothing runs: its owner could write there', async () => {
    const { read, started, folder } = await machineWith(named);
    const isRoot = process.getuid?.() === 0;
    // Only root can give a file away; anybody can be somebody else.
    if (isRoot) chownSync(join(folder, 'plugins.yaml'), 65_534, 65_534);
    const somebody = isRoot ? undefined : vi.spyOn(process, 'getuid').mockReturnValue(65_534);
    const error = await refusal(read({ CLEF_AGE_KEY: identity }));
    somebody?.mockRestore();
    expect(error).toMatchObject({ code: 'settings_invalid', message: expect.stringMatching(/another user/) });
    expect(existsSync(started)).toBe(false);
  });
});
