// Age plugins, spoken with for real: a tiny plugin that XORs the file key, as a script with a shebang.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeBech32 } from '@clef/strict';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decryptArmoredAge, encryptToAgeRecipient } from '../src/age/age-encryption.ts';
import {
  type AgePlugins,
  checkAgeRecipient,
  decryptTree,
  encryptTree,
  generateAgeIdentity,
  type PluginQuestion,
  parseAgeIdentities,
  recipientOf,
  SopsError,
  unwrapDataKey,
} from '../src/index.ts';
import { flatTree, flatValues } from './trees.ts';

/** Reads stanzas until done, then does what `act` says; every answer of ours goes to answers.txt beside it. */
function pluginScript(act: string): string {
  return `#!${process.execPath}
const fs = require('node:fs');
const stanzas = [];
let lines = [], rest = '', waiting;
const b64 = (bytes) => Buffer.from(bytes).toString('base64').replace(/=+$/, '');
function say(args, body = '') {
  const text = b64(body).match(/.{1,64}/g) ?? [];
  if ((text.at(-1)?.length ?? 64) === 64) text.push('');
  process.stdout.write('-> ' + args.join(' ') + '\\n' + text.join('\\n') + '\\n');
}
function take() {
  const end = lines.findIndex((line, index) => index > 0 && line.length < 64);
  if (end === -1) return;
  const [head, ...body] = lines.splice(0, end + 1);
  return { args: head.slice(3).split(' '), body: Buffer.from(body.join(''), 'base64') };
}
process.stdin.on('data', (chunk) => {
  const parts = (rest + chunk).split('\\n'); rest = parts.pop(); lines.push(...parts);
  if (waiting) { const found = take(); if (found) { const settle = waiting; waiting = undefined; settle(found); } }
});
process.stdin.on('end', () => process.exit(0));
const next = () => new Promise((settle) => { const found = take(); if (found) settle(found); else waiting = settle; });
async function ask(args, body) {
  say(args, body);
  const answer = await next();
  fs.appendFileSync(__dirname + '/answers.txt', args[0] + ': ' + answer.args.join(' ') + ' ' + answer.body.toString() + '\\n');
  return answer;
}
const flip = (bytes) => Buffer.from(bytes.map((byte) => byte ^ 0x5a));
(async () => {
  fs.writeFileSync(__dirname + '/started.txt', process.argv.slice(2).join(' ') + ' ' + Object.keys(process.env).join(','));
  for (let stanza = await next(); stanza.args[0] !== 'done'; stanza = await next()) stanzas.push(stanza);
  const encrypting = process.argv[2] === '--age-plugin=recipient-v1';
  ${act}
  say(['done']);
})();
`;
}

const wrapAndUnwrap = `
  if (encrypting) {
    const key = stanzas.find(({ args }) => args[0] === 'wrap-file-key').body;
    await ask(['recipient-stanza', '0', 'flip', 'argument'], flip(key));
  } else {
    const mine = stanzas.find(({ args }) => args[0] === 'recipient-stanza' && args[2] === 'flip');
    if (mine) await ask(['file-key', '0'], flip(mine.body));
  }`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'clef-plugin-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function pluginsWith(act: string, ask?: AgePlugins['ask']): AgePlugins {
  const program = join(folder, 'age-plugin-flip');
  writeFileSync(program, pluginScript(act));
  chmodSync(program, 0o755);
  rmSync(join(folder, 'answers.txt'), { force: true });
  return {
    programOf: async (name) => (name === 'flip' ? program : undefined),
    environment: { FOR_THE_PLUGIN: '1' },
    ...(ask === undefined ? {} : { ask }),
  };
}

async function read(name: string): Promise<string> {
  const { readFileSync } = await import('node:fs');
  return readFileSync(join(folder, name), 'utf8');
}

const recipient = encodeBech32('age1flip', randomBytes(8));
const identityText = encodeBech32('age-plugin-flip-', randomBytes(8)).toUpperCase();
const identities = parseAgeIdentities(`${identityText}\n`, { allowPlugins: true });
const secret = new TextEncoder().encode('a data key of thirty-two bytes!!');

async function errorOf(action: () => unknown): Promise<SopsError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof SopsError) return error;
    throw error;
  }
  throw new Error('It was accepted');
}

describe('an age plugin', () => {
  it('wraps and unwraps a file key, with nothing but the environment it was given', async () => {
    const plugins = pluginsWith(wrapAndUnwrap);
    const armored = await encryptToAgeRecipient(secret, recipient, randomBytes, plugins);
    expect(await read('started.txt')).toBe('--age-plugin=recipient-v1 FOR_THE_PLUGIN');
    expect(await decryptArmoredAge(armored, identities, plugins)).toEqual(Buffer.from(secret));
    expect(await read('started.txt')).toBe('--age-plugin=identity-v1 FOR_THE_PLUGIN');
    expect(await read('answers.txt')).toBe('recipient-stanza: ok \nfile-key: ok \n');
  });

  it('is one of the recipients of a file', async () => {
    const agePlugins = pluginsWith(wrapAndUnwrap);
    const other = generateAgeIdentity(randomBytes);
    const file = await encryptTree(flatTree({ A: '1' }), {
      now: 0,
      randomBytes,
      format: 'yaml',
      recipients: [
        { type: 'age', recipient: other.recipient },
        { type: 'age', recipient },
      ],
      keyring: { agePlugins },
    });
    const key = await unwrapDataKey(file, { ageIdentities: async () => identities, agePlugins });
    expect(flatValues(decryptTree(file, key))).toEqual({ A: '1' });
  });

  it('asks a person through us, and hears no where nobody is there', async () => {
    const chat = `
      await ask(['msg'], 'touch it');
      await ask(['request-public'], 'your name?');
      await ask(['request-secret'], 'your PIN?');
      await ask(['confirm', b64('do it'), b64('leave it')], 'sure?');
      await ask(['confirm', b64('do it')], 'sure?');
      await ask(['grease-Xy1', 'a', 'b'], 'what is this?');
      ${wrapAndUnwrap}`;
    const questions: PluginQuestion[] = [];
    const answers = [true, 'alice', '123456', true, false];
    const answered = pluginsWith(chat, async (question) => {
      questions.push(question);
      return answers[questions.length - 1];
    });
    await encryptToAgeRecipient(secret, recipient, randomBytes, answered);
    expect(questions).toEqual([
      { plugin: 'flip', kind: 'message', text: 'touch it' },
      { plugin: 'flip', kind: 'public', text: 'your name?' },
      { plugin: 'flip', kind: 'secret', text: 'your PIN?' },
      { plugin: 'flip', kind: 'confirm', text: 'sure?', yes: 'do it', no: 'leave it' },
      { plugin: 'flip', kind: 'confirm', text: 'sure?', yes: 'do it' },
    ]);
    expect((await read('answers.txt')).split('\n').slice(0, 6)).toEqual([
      'msg: ok ',
      'request-public: ok alice',
      'request-secret: ok 123456',
      'confirm: ok yes ',
      'confirm: ok no ',
      'grease-Xy1: unsupported ',
    ]);
    await encryptToAgeRecipient(secret, recipient, randomBytes, pluginsWith(chat));
    expect((await read('answers.txt')).split('\n').slice(0, 5)).toEqual([
      'msg: fail ',
      'request-public: fail ',
      'request-secret: fail ',
      'confirm: fail ',
      'confirm: fail ',
    ]);
  });

  it.each<[title: string, act: string]>([
    ['reports an error', `await ask(['error', 'internal'], 'no such key AGE-SECRET');`],
    ['says nothing', ''],
    ['ends early', 'process.exit(1);'],
    ['writes no stanza', `process.stdout.write('hello\\n\\n');`],
    ['writes a body that is no base64', `process.stdout.write('-> msg\\n!!\\n');`],
    ['writes a body line that is too long', `process.stdout.write('-> msg\\n' + 'A'.repeat(65) + '\\n');`],
    ['writes without an end', `setInterval(() => process.stdout.write('A'.repeat(65536)), 1); await next();`],
    ['wraps for another file', `await ask(['recipient-stanza', '1', 'flip'], 'x');`],
    ['never comes to an end', `for (;;) await ask(['msg'], 'x');`],
  ])('that %s is an error of a service, without its words', async (_title, act) => {
    const plugins = pluginsWith(act, async () => true);
    const error = await errorOf(() => encryptToAgeRecipient(secret, recipient, randomBytes, plugins));
    expect(error.code).toBe('key_service');
    expect(error.message).not.toMatch(/SECRET|hello/);
  });

  it.each<[title: string, act: string, result: string]>([
    ['is not for the file', '', 'no_match'],
    ['gives another key', `await ask(['file-key', '0'], Buffer.alloc(16));`, 'malformed'],
    ['gives a key of another length', `await ask(['file-key', '0'], Buffer.alloc(15));`, 'malformed'],
    ['gives a key for another file', `await ask(['file-key', '1'], Buffer.alloc(16));`, 'no_match'],
  ])('that %s opens nothing', async (_title, act, result) => {
    const armored = await encryptToAgeRecipient(secret, recipient, randomBytes, pluginsWith(wrapAndUnwrap));
    expect(await decryptArmoredAge(armored, identities, pluginsWith(act))).toBe(result);
  });

  it('that fails does not hide a key service that works', async () => {
    const keyring = { agePlugins: pluginsWith(wrapAndUnwrap) };
    const kms = {
      wrap: async (_: unknown, bytes: Uint8Array) => bytes,
      unwrap: async (_: unknown, bytes: Uint8Array) => bytes,
    };
    const file = await encryptTree(flatTree({ A: '1' }), {
      now: 0,
      randomBytes,
      format: 'yaml',
      recipients: [
        { type: 'age', recipient },
        { type: 'gcp_kms', resourceId: 'projects/p/locations/l/keyRings/r/cryptoKeys/k' },
      ],
      keyring: { ...keyring, kms },
    });
    const failing = { ageIdentities: async () => identities, agePlugins: pluginsWith('process.exit(1)') };
    await expect(unwrapDataKey(file, { ...failing, kms })).resolves.toBeDefined();
    await expect(unwrapDataKey(file, failing)).rejects.toMatchObject({ code: 'key_service' });
  });
});

describe('a plugin runs only by configuration', () => {
  const marker = (): string => join(folder, 'started.txt');

  it.each<[title: string, programs: ReadonlyMap<string, string> | undefined, code: string]>([
    ['nothing is configured', undefined, 'unsupported'],
    ['another name is configured', new Map([['flop', '/bin/true']]), 'unsupported'],
    ['its path is relative', new Map([['flip', 'age-plugin-flip']]), 'unsupported'],
    ['its path starts with a dot', new Map([['flip', './age-plugin-flip']]), 'unsupported'],
    ['its program is not there', new Map([['flip', '/nonexistent/age-plugin-flip']]), 'key_service'],
  ])('not when %s, although one is in PATH', async (_title, programs, code) => {
    expect(await pluginsWith(wrapAndUnwrap).programOf('flip')).toBeDefined();
    rmSync(marker(), { force: true });
    const plugins = programs && {
      programOf: async (name: string) => programs.get(name),
      environment: { PATH: folder },
    };
    const error = await errorOf(() => encryptToAgeRecipient(secret, recipient, randomBytes, plugins));
    expect(error.code).toBe(code);
    expect(existsSync(marker())).toBe(false);
  });

  it.each([
    ['a slash', 'age1a/b'],
    ['a way up', 'age1../x'],
    ['a dot', 'age1a.b'],
    ['a plus', 'age1a+b'],
    ['an underscore', 'age1a_b'],
    ['a hyphen in front', 'age1-x'],
    ['no name', 'age1'],
  ])('GHSA-32gq-x56h-299c: not under a name with %s', async (_title, prefix) => {
    const text = encodeBech32(prefix, randomBytes(8));
    const name = prefix.slice(4);
    const plugins = { programOf: async () => '/bin/true', environment: {} };
    const refused = await errorOf(() => encryptToAgeRecipient(secret, text, randomBytes, plugins));
    expect(refused.code).toBe('bad_recipient');
    const line = encodeBech32(`age-plugin-${name}-`, randomBytes(8)).toUpperCase();
    expect((await errorOf(() => parseAgeIdentities(line, { allowPlugins: true }))).code).toBe('bad_identity');
  });

  it('keys of plugins are refused unless they are allowed', async () => {
    expect((await errorOf(() => parseAgeIdentities(identityText))).code).toBe('unsupported');
    expect((await errorOf(() => checkAgeRecipient(recipient))).code).toBe('unsupported');
    expect(checkAgeRecipient(recipient, { allowPlugins: true })).toBe('plugin');
    const [identity] = identities;
    if (identity === undefined) throw new Error('There is no identity');
    expect((await errorOf(() => recipientOf(identity))).code).toBe('unsupported');
    expect(JSON.stringify(identity)).not.toContain(identityText);
    const damaged = `${identityText.slice(0, -1)}${identityText.endsWith('Q') ? 'P' : 'Q'}`;
    expect((await errorOf(() => parseAgeIdentities(damaged, { allowPlugins: true }))).code).toBe(
      'bad_identity',
    );
  });
});
