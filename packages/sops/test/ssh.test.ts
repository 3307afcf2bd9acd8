import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { decryptAge, decryptArmoredAge, encryptToAgeRecipient } from '../src/age/age-encryption.ts';
import { decodeArmor, encodeArmor, parseAgeFile, sealAgeFile, unpadded } from '../src/age/age-file.ts';
import { parseSshPublicKey } from '../src/age/ssh-keys.ts';
import { checkAgeRecipient, parseSshIdentity, recipientOf, SopsError } from '../src/index.ts';
import { manifest, vectorText } from './vectors.ts';

const folder = fileURLToPath(new URL('./ssh-keys/', import.meta.url));
const key = (name: string): string => readFileSync(folder + name, 'utf8');
const secret = new TextEncoder().encode('a data key of thirty-two bytes!!');
const passphrase = async (): Promise<string> => 'correct horse';

async function errorOf(action: () => unknown): Promise<SopsError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof SopsError) return error;
    throw error;
  }
  throw new Error('It was accepted');
}

function opens(armored: string, text: string, options = {}): Promise<unknown> {
  return decryptArmoredAge(armored, [parseSshIdentity(text, options)]);
}

describe('SSH keys as age keys', () => {
  it.each(['ed25519-open', 'ed25519-locked', 'rsa-locked', 'rsa-pem', 'rsa-pem-locked', 'rsa-pkcs8'])(
    '%s opens what its public key was given, comment and all',
    async (name) => {
      const line = key(`${name}.pub`).trim();
      expect(checkAgeRecipient(line)).toMatch(/^ssh-(ed25519|rsa)$/);
      const armored = await encryptToAgeRecipient(secret, line, randomBytes);
      const identity = parseSshIdentity(key(name), { askPassphrase: passphrase, publicKey: line });
      expect(await recipientOf(identity)).toBe(line.split(' ').slice(0, 2).join(' '));
      expect(await decryptArmoredAge(armored, [identity])).toEqual(Buffer.from(secret));
    },
  );

  it.each(['ssh_ed25519', 'ssh_rsa'])('%s of the vectors knows its recipient', async (name) => {
    const { file, recipient } = manifest.keys[name] ?? { file: '', recipient: '' };
    expect(await recipientOf(parseSshIdentity(vectorText(file)))).toBe(recipient);
    expect(await recipientOf(parseSshIdentity(vectorText(file).replaceAll('\n', '\r\n')))).toBe(recipient);
  });

  it('ask for a passphrase only when a stanza is for them, and once', async () => {
    let asked = 0;
    const askPassphrase = async (): Promise<string> => {
      asked += 1;
      return 'correct horse';
    };
    const identity = parseSshIdentity(key('ed25519-locked'), { askPassphrase });
    const others = await encryptToAgeRecipient(secret, key('ed25519-open.pub').trim(), randomBytes);
    expect(await decryptArmoredAge(others, [identity])).toBe('no_match');
    expect(asked).toBe(0);
    const ours = await encryptToAgeRecipient(secret, identity.recipient, randomBytes);
    await decryptArmoredAge(ours, [identity]);
    expect(await decryptArmoredAge(ours, [identity])).toEqual(Buffer.from(secret));
    expect(asked).toBe(1);
  });

  it('with a passphrase and nobody to ask are passed over', async () => {
    const armored = await encryptToAgeRecipient(secret, key('ed25519-locked.pub').trim(), randomBytes);
    expect(await opens(armored, key('ed25519-locked'))).toBe('no_match');
  });

  it.each(['ed25519-locked', 'rsa-locked', 'rsa-pem-locked'])(
    '%s refuses a wrong passphrase',
    async (name) => {
      const publicKey = key(`${name}.pub`);
      const armored = await encryptToAgeRecipient(secret, publicKey.trim(), randomBytes);
      for (const wrong of ['battery staple', '']) {
        const error = await errorOf(() =>
          opens(armored, key(name), { askPassphrase: async () => wrong, publicKey }),
        );
        expect(error.code).toBe('bad_identity');
      }
    },
  );

  const edOpen = key('ed25519-open');
  const edit = (text: string, change: (bytes: Buffer) => Buffer): string => {
    const lines = text.trim().split('\n');
    const bytes = change(Buffer.from(lines.slice(1, -1).join(''), 'base64'));
    return [lines[0], bytes.toString('base64'), lines.at(-1), ''].join('\n');
  };
  const flipped = (index: number) => (bytes: Buffer) => {
    const at = index < 0 ? bytes.length + index : index;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };

  it.each<[title: string, text: string, code: string]>([
    ['nothing', '', 'bad_identity'],
    ['a public key', key('ed25519-open.pub'), 'bad_identity'],
    ['an age key', vectorText('keys/alice.txt'), 'bad_identity'],
    ['text before it', `hello\n${edOpen}`, 'bad_identity'],
    ['text after it', `${edOpen}hello\n`, 'bad_identity'],
    ['a megabyte', `${edOpen}${' '.repeat(1024 * 1024)}`, 'bad_identity'],
    ['no base64', edOpen.replace('b3Bl', 'b3B!'), 'bad_identity'],
    ['another magic', edit(edOpen, flipped(0)), 'bad_identity'],
    ['two keys', edit(edOpen, flipped(38)), 'bad_identity'],
    ['the public key of another', edit(edOpen, flipped(70)), 'bad_identity'],
    ['different check numbers', edit(edOpen, flipped(98)), 'bad_identity'],
    ['another secret', edit(edOpen, flipped(170)), 'bad_identity'],
    ['a damaged padding', edit(vectorText('keys/ssh_ed25519'), flipped(-1)), 'bad_identity'],
    ['a cut end', edit(edOpen, (bytes) => bytes.subarray(0, -8)), 'bad_identity'],
    ['a byte more', edit(edOpen, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])), 'bad_identity'],
    ['an ECDSA key', key('ecdsa-open'), 'unsupported'],
    ['RSA of 1,024 bits', key('rsa-1024'), 'unsupported'],
    ['an authenticated cipher', key('ed25519-chacha'), 'unsupported'],
    [
      'a million rounds',
      edit(key('ed25519-locked'), (bytes) => {
        bytes.writeUInt32BE(1e6, 70);
        return bytes;
      }),
      'bad_identity',
    ],
    ['a locked PEM without its .pub', key('rsa-pem-locked'), 'bad_identity'],
    [
      'a PEM that is none',
      '-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n',
      'bad_identity',
    ],
  ])('a private key is refused: %s', async (_title, text, code) => {
    const error = await errorOf(() => parseSshIdentity(text));
    expect(error.code).toBe(code);
    expect(error.message).not.toMatch(/[A-Za-z0-9+/]{24}/);
    expect(error.cause).toBeUndefined();
  });

  const [algorithm, wire = ''] = key('ed25519-open.pub').split(' ');
  const rsaWire = key('rsa-pem.pub').split(' ')[1] ?? '';

  it.each<[title: string, line: string, code: string]>([
    ['cut short', `${algorithm} ${wire.slice(0, 40)}`, 'bad_recipient'],
    ['no key', `${algorithm} `, 'bad_recipient'],
    ['another algorithm in front', `ssh-rsa ${wire}`, 'bad_recipient'],
    ['RSA called Ed25519', `ssh-ed25519 ${rsaWire}`, 'bad_recipient'],
    ['RSA of 1,024 bits', key('rsa-1024.pub').trim(), 'bad_recipient'],
    ['two blanks', `${algorithm}  ${wire}`, 'bad_recipient'],
    ['a second line', `${algorithm} ${wire}\n`, 'bad_recipient'],
    [
      'bytes after the key',
      `${algorithm} ${Buffer.concat([Buffer.from(wire, 'base64'), Buffer.alloc(3)]).toString('base64')}`,
      'bad_recipient',
    ],
    ['DSA', `ssh-dss ${wire}`, 'unsupported'],
    ['a private key', edOpen, 'bad_recipient'],
  ])('a recipient is refused: %s', async (_title, line, code) => {
    const error = await errorOf(() => checkAgeRecipient(line));
    expect(error.code).toBe(code);
    expect(error.message).not.toContain(wire.slice(0, 20));
  });

  it('of low order protect nothing and are refused', async () => {
    const point = Buffer.alloc(32);
    point[0] = 1;
    const prefix = Buffer.from(wire, 'base64').subarray(0, 19);
    const line = `ssh-ed25519 ${Buffer.concat([prefix, point]).toString('base64')}`;
    const error = await errorOf(() => encryptToAgeRecipient(secret, line, randomBytes));
    expect(error.code).toBe('bad_recipient');
  });
});

describe('SSH stanzas', () => {
  const line = key('ed25519-open.pub').trim();
  const identity = parseSshIdentity(key('ed25519-open'));
  const tag = unpadded(parseSshPublicKey(line).tag);
  const share = unpadded(Buffer.alloc(32, 9));
  const fileWith = (args: readonly string[], body: Uint8Array): Uint8Array =>
    sealAgeFile([{ args, body }], secret, { fileKey: randomBytes(16), nonce: randomBytes(16) });

  it.each<[title: string, args: readonly string[], body: Uint8Array, result: string]>([
    ['for another key', ['ssh-ed25519', 'AAAAAA', share], new Uint8Array(32), 'no_match'],
    ['of another kind', ['ssh-rsa', tag], new Uint8Array(256), 'no_match'],
    ['with a body that does not open', ['ssh-ed25519', tag, share], new Uint8Array(32), 'malformed'],
    ['without a share', ['ssh-ed25519', tag], new Uint8Array(32), 'malformed'],
    ['with one argument more', ['ssh-ed25519', tag, share, 'x'], new Uint8Array(32), 'malformed'],
    ['with a tag of 3 bytes', ['ssh-ed25519', 'AAAA', share], new Uint8Array(32), 'malformed'],
    ['with a short share', ['ssh-ed25519', tag, 'AAAA'], new Uint8Array(32), 'malformed'],
    [
      'with a share of low order',
      ['ssh-ed25519', tag, unpadded(Buffer.alloc(32))],
      new Uint8Array(32),
      'malformed',
    ],
    ['with a long body', ['ssh-ed25519', tag, share], new Uint8Array(48), 'malformed'],
  ])('%s', async (_title, args, body, result) => {
    expect(await decryptAge(fileWith(args, body), [identity])).toBe(result);
  });

  it.each(['ed25519-open', 'rsa-pem'])('of %s: any flipped byte is refused', async (name) => {
    const armored = await encryptToAgeRecipient(secret, key(`${name}.pub`).trim(), randomBytes);
    const bytes = decodeArmor(armored) ?? new Uint8Array();
    const header = parseAgeFile(bytes);
    expect(header?.stanzas).toHaveLength(1);
    const own = parseSshIdentity(key(name));
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 2;
      expect(typeof (await decryptArmoredAge(encodeArmor(changed), [own]))).toBe('string');
    }
  });
});
