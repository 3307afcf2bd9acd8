// Table D of the security catalogue: identities, recipients and passphrases, and the age vectors.
import { createHash, randomBytes } from 'node:crypto';
import { encodeBech32 } from '@clef/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decryptAge, decryptArmoredAge, encryptToAgeRecipient } from '../src/age/age-encryption.ts';
import { decodeArmor, sealAgeFile, unpadded } from '../src/age/age-file.ts';
import { x25519RecipientBytes } from '../src/age/age-keys.ts';
import { makeX25519Stanza } from '../src/age/x25519.ts';
import {
  checkAgeRecipient,
  decryptWithPassphrase,
  encryptWithPassphrase,
  generateAgeIdentity,
  isEncryptedKeyFile,
  parseAgeIdentities,
  recipientOf,
  SopsError,
} from '../src/index.ts';
import { identitiesOf, manifest, vectorBytes, vectorText } from './vectors.ts';

const pair = generateAgeIdentity();
const pq = manifest.keys['pq'];
const pqIdentity =
  vectorText(pq?.file ?? '')
    .split('\n')
    .find((line) => line.startsWith('AGE-')) ?? '';
const flip = (text: string, at: number) =>
  text.slice(0, at) + (/q/i.test(text[at] ?? '') ? 'P' : 'Q') + text.slice(at + 1);

function errorOf(action: () => unknown): SopsError {
  try {
    action();
  } catch (error) {
    if (error instanceof SopsError) return error;
    throw error;
  }
  throw new Error('Nothing was refused');
}

describe('identities', () => {
  it('are read with comments, blank lines, CRLF and blanks around them', async () => {
    const text = `# created: today\r\n\r\n  ${pair.identity}\t\r\n# public key: x\n${pqIdentity}\n`;
    const identities = parseAgeIdentities(text);
    expect(await Promise.all(identities.map(recipientOf))).toEqual([pair.recipient, pq?.recipient]);
  });

  it('D05: may be many, or none', () => {
    expect(parseAgeIdentities(`${pair.identity}\n`.repeat(50))).toHaveLength(50);
    expect(parseAgeIdentities('# nothing here\n\n')).toEqual([]);
  });

  it.each<[string, string, string]>([
    ['D02: a recipient', pair.recipient, 'bad_identity'],
    ['D03: one letter changed', flip(pair.identity, 30), 'bad_identity'],
    ['D03: lower case', pair.identity.toLowerCase(), 'bad_identity'],
    ['D03: mixed case', pair.identity.replace('AGE-SECRET', 'age-secret'), 'bad_identity'],
    ['D03: cut short', pair.identity.slice(0, -1), 'bad_identity'],
    ['D03: the post-quantum one, one letter changed', flip(pqIdentity, 40), 'bad_identity'],
    ['D03: two on one line', `${pair.identity} ${pair.identity}`, 'bad_identity'],
    ['D01: in quotes', `"${pair.identity}"`, 'bad_identity'],
    ['D06: an SSH key', '-----BEGIN OPENSSH PRIVATE KEY-----', 'bad_identity'],
    ['D06: a PGP block', '-----BEGIN PGP PRIVATE KEY BLOCK-----', 'bad_identity'],
    ['D07: a plugin', 'AGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQQ', 'unsupported'],
    ['31 bytes', encodeBech32('age-secret-key-', randomBytes(31)).toUpperCase(), 'bad_identity'],
    ['another prefix', encodeBech32('age-secret-keys-', randomBytes(32)).toUpperCase(), 'bad_identity'],
    ['text', 'hunter2', 'bad_identity'],
  ])('%s is refused without being shown', (_, line, code) => {
    const error = errorOf(() => parseAgeIdentities(`# one\n${pair.identity}\n${line}\n`));
    expect(error).toMatchObject({ code, position: { line: 3, column: 1 } });
    expect(error.message).not.toContain(line.slice(0, 24));
    expect(error.cause).toBeUndefined();
  });

  it('show nothing when printed or serialised', async () => {
    const { inspect } = await import('node:util');
    const identities = parseAgeIdentities(`${pair.identity}\n${pqIdentity}`);
    const shown = `${JSON.stringify(identities)}${inspect(identities, { depth: 9, showHidden: true })}`;
    expect(shown).not.toMatch(/AGE-SECRET/i);
  });
});

describe('recipients', () => {
  it('of both kinds are known', () => {
    expect([checkAgeRecipient(pair.recipient), checkAgeRecipient(pq?.recipient ?? '')]).toEqual([
      'x25519',
      'hybrid',
    ]);
  });

  it.each<[string, string, string]>([
    ['INV-32: a private key', pair.identity, 'bad_recipient'],
    ['INV-32: a private key in lower case', pair.identity.toLowerCase(), 'bad_recipient'],
    ['INV-31: upper case', pair.recipient.toUpperCase(), 'bad_recipient'],
    ['INV-31: mixed case', pair.recipient.replace('age1', 'Age1'), 'bad_recipient'],
    ['INV-31: a blank behind it', `${pair.recipient} `, 'bad_recipient'],
    ['one letter changed', flip(pair.recipient, 30).toLowerCase(), 'bad_recipient'],
    ['cut short', pair.recipient.slice(0, -1), 'bad_recipient'],
    ['D09: a Cyrillic letter', pair.recipient.replace('a', 'а'), 'bad_recipient'],
    ['D09: a zero-width space', `${pair.recipient}\u200b`, 'bad_recipient'],
    ['D10: the point zero', encodeBech32('age', new Uint8Array(32)), 'bad_recipient'],
    ['D10: the point one', encodeBech32('age', Uint8Array.from([1, ...new Uint8Array(31)])), 'bad_recipient'],
    [
      'D10: a point of order eight',
      encodeBech32(
        'age',
        Buffer.from('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', 'hex'),
      ),
      'bad_recipient',
    ],
    ['D07: a plugin', encodeBech32('age1yubikey', randomBytes(32)), 'unsupported'],
    ['INV-33: a plugin with a path', 'age1../../x1qqqqqqqqqqqq', 'unsupported'],
    ['an SSH key that is cut short', 'ssh-ed25519 AAAA alice', 'bad_recipient'],
    ['another prefix', encodeBech32('agf', randomBytes(32)), 'bad_recipient'],
    ['a post-quantum one, cut short', (pq?.recipient ?? '').slice(0, -3), 'bad_recipient'],
    ['nothing', '', 'bad_recipient'],
  ])('%s is refused without being shown', (_, text, code) => {
    const error = errorOf(() => checkAgeRecipient(text));
    expect(error.code).toBe(code);
    if (text.length > 10) expect(error.message).not.toContain(text.slice(0, 24));
  });
});

describe('age files', () => {
  it('X25519 wraps and unwraps any bytes, as the library does', async () => {
    const { Decrypter, Encrypter, armor } = await import('age-encryption');
    const identities = parseAgeIdentities(pair.identity);
    const sizes = fc.oneof(fc.nat({ max: 100 }), fc.constantFrom(65_535, 65_536, 65_537, 131_072));
    await fc.assert(
      fc.asyncProperty(sizes, async (size) => {
        const bytes = randomBytes(size);
        const ours = await encryptToAgeRecipient(bytes, pair.recipient, randomBytes);
        const decrypter = new Decrypter();
        decrypter.addIdentity(pair.identity);
        expect(bytes.equals(await decrypter.decrypt(armor.decode(ours)))).toBe(true);
        const encrypter = new Encrypter();
        encrypter.addRecipient(pair.recipient);
        const theirs = await decryptAge(await encrypter.encrypt(new Uint8Array(bytes)), identities);
        expect(bytes.equals(theirs as Uint8Array)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('hybrid wraps and unwraps', async () => {
    const bytes = randomBytes(32);
    const armored = await encryptToAgeRecipient(bytes, pq?.recipient ?? '', randomBytes);
    const opened = await decryptArmoredAge(armored, [
      ...parseAgeIdentities(pair.identity),
      ...parseAgeIdentities(pqIdentity),
    ]);
    expect(bytes.equals(opened as Uint8Array)).toBe(true);
    expect(await decryptArmoredAge(armored, parseAgeIdentities(pair.identity))).toBe('no_match');
  });

  it('a passphrase stanza beside another one spoils the file', async () => {
    const fileKey = randomBytes(16);
    const made = makeX25519Stanza(x25519RecipientBytes(pair.recipient), fileKey, randomBytes(32));
    if (made === undefined) throw new Error('No stanza');
    const mine = { args: ['X25519', unpadded(made.share)], body: made.body };
    const scrypt = { args: ['scrypt', unpadded(randomBytes(16)), '10'], body: randomBytes(32) };
    const seal = (stanzas: (typeof mine)[]) =>
      sealAgeFile(stanzas, Buffer.from('x'), { fileKey, nonce: randomBytes(16) });
    const identities = parseAgeIdentities(pair.identity);
    expect(await decryptAge(seal([mine]), identities)).toEqual(Buffer.from('x'));
    for (const stanzas of [
      [mine, scrypt],
      [scrypt, mine],
      [scrypt, scrypt],
    ]) {
      expect(await decryptAge(seal(stanzas), identities)).toBe('malformed');
    }
  });

  it('any flipped bit is an error, never other bytes', async () => {
    const identities = parseAgeIdentities(pair.identity);
    const file =
      decodeArmor(await encryptToAgeRecipient(randomBytes(32), pair.recipient, randomBytes)) ??
      new Uint8Array();
    for (let bit = 0; bit < file.length * 8; bit += 1) {
      const damaged = Uint8Array.from(file);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(typeof (await decryptAge(damaged, identities))).toBe('string');
    }
  });

  it.each(manifest.age_cases)('$id ends as with the real age', async (test) => {
    const bytes = vectorBytes(test.file);
    const identities = identitiesOf(test.identities);
    const result = test.armored
      ? await decryptArmoredAge(Buffer.from(bytes).toString('utf8'), identities)
      : await decryptAge(bytes, identities);
    if (test.expect === 'ok') {
      expect(
        createHash('sha256')
          .update(result as Uint8Array)
          .digest('hex'),
      ).toBe(test.plaintext_sha256);
    } else expect(result).toBe(test.error === 'no_match' ? 'no_match' : 'malformed');
  });
});

describe('a key file with a passphrase', () => {
  it('is written and opened', async () => {
    const armored = await encryptWithPassphrase(`${pair.identity}\n`, 'correct horse', { workFactor: 10 });
    expect(isEncryptedKeyFile(armored)).toBe(true);
    expect(isEncryptedKeyFile(pair.identity)).toBe(false);
    expect(await decryptWithPassphrase(armored, 'correct horse')).toBe(`${pair.identity}\n`);
    const binary = decodeArmor(armored) ?? new Uint8Array();
    expect(isEncryptedKeyFile(binary)).toBe(true);
    expect(await decryptWithPassphrase(binary, 'correct horse')).toBe(`${pair.identity}\n`);
    await expect(decryptWithPassphrase(armored, 'wrong')).rejects.toMatchObject({ code: 'bad_identity' });
  });

  it('needs a passphrase, and is one', async () => {
    await expect(encryptWithPassphrase('x', '')).rejects.toMatchObject({ code: 'bad_identity' });
    const toKey = await encryptToAgeRecipient(randomBytes(32), pair.recipient, randomBytes);
    await expect(decryptWithPassphrase(toKey, 'x')).rejects.toMatchObject({ code: 'bad_identity' });
    await expect(decryptWithPassphrase('hello', 'x')).rejects.toMatchObject({ code: 'bad_identity' });
  });
});
