// PGP through a real gpg, SSH keys and key groups, both ways with the real sops and age.
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@clef/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import { decryptArmoredAge, encryptToAgeRecipient } from '../src/age/age-encryption.ts';
import {
  addRecipients,
  decryptTree,
  encryptTree,
  formatSopsFile,
  generateAgeIdentity,
  type Keyring,
  keyGroupsOf,
  parseAgeIdentities,
  parseSopsFile,
  parseSshIdentity,
  type Recipients,
  rotateDataKey,
  type SopsFile,
  unwrapDataKey,
} from '../src/index.ts';
import { openPeerHome, outputOf, type PeerHome } from './peers.ts';
import { flatTree, flatValues } from './trees.ts';

const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };
const people = [generateAgeIdentity(), generateAgeIdentity(), generateAgeIdentity()] as const;
const [alice, bob, carol] = people;
const sshFolder = fileURLToPath(new URL('./ssh-keys/', import.meta.url));
const values = { A: '1', B: 'two' };

let home: PeerHome;
let gnupgHome = '';
let fingerprint = '';
const gpgEnvironment = (): Record<string, string> => ({
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: home.folder,
  GNUPGHOME: gnupgHome,
});

async function gpg(args: readonly string[], input?: string): Promise<string> {
  return outputOf(
    runChild({
      command: 'gpg',
      args: ['--batch', ...args],
      environment: gpgEnvironment(),
      stdio: 'capture',
      timeoutSeconds: 60,
      ...(input === undefined ? {} : { input: new TextEncoder().encode(input) }),
    }),
  );
}

beforeAll(async () => {
  home = openPeerHome('');
  gnupgHome = join(home.folder, 'gnupg');
  mkdirSync(gnupgHome, { mode: 0o700 });
  const key = [
    '%no-protection',
    'Key-Type: RSA',
    'Key-Length: 2048',
    'Subkey-Type: RSA',
    'Subkey-Length: 2048',
  ];
  await gpg(
    ['--gen-key'],
    `${[...key, 'Name-Email: alice@example.com', 'Expire-Date: 0', '%commit'].join('\n')}\n`,
  );
  const listed = await gpg(['--with-colons', '--list-keys']);
  fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
});
afterAll(async () => {
  await runChild({
    command: 'gpgconf',
    args: ['--kill', 'all'],
    environment: gpgEnvironment(),
    stdio: 'capture',
    timeoutSeconds: 30,
  });
  home.remove();
});

const gpgOnly = (): Keyring => ({ gpg: { command: 'gpg', environment: gpgEnvironment() } });
const agesOf = (...identities: readonly { identity: string }[]): Keyring => ({
  ageIdentities: async () => parseAgeIdentities(identities.map(({ identity }) => identity).join('\n')),
});

function encryptHere(recipients: Recipients, keyring: Keyring): Promise<SopsFile> {
  return encryptTree(flatTree(values), { ...sources, format: 'yaml', recipients, keyring });
}

async function valuesHere(bytes: Uint8Array, keyring: Keyring): Promise<unknown> {
  const file = parseSopsFile(bytes, 'yaml');
  return flatValues(decryptTree(file, await unwrapDataKey(file, keyring)));
}

async function valuesThere(file: SopsFile, environment: Record<string, string>): Promise<unknown> {
  home.write('ours.yaml', formatSopsFile(file));
  const text = await outputOf(home.sops(['decrypt', '--output-type', 'json', 'ours.yaml'], environment));
  return JSON.parse(text);
}

async function encryptThere(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Uint8Array> {
  home.write('plain.yaml', 'A: "1"\nB: two\n');
  await outputOf(home.sops([...args, 'encrypt', '--output', 'theirs.yaml', 'plain.yaml'], environment));
  return home.read('theirs.yaml');
}

describe.runIf(hasPeer('sops') && hasPeer('gpg'))('PGP', () => {
  it('written by sops is read here', async () => {
    const theirs = await encryptThere([], { SOPS_PGP_FP: fingerprint, GNUPGHOME: gnupgHome });
    expect(await valuesHere(theirs, gpgOnly())).toEqual(values);
  });

  it('written here is read by sops, also after a newcomer and a rotation', async () => {
    const pgp = { type: 'pgp' as const, fingerprint };
    const file = await encryptHere([pgp], gpgOnly());
    expect(await valuesThere(file, { GNUPGHOME: gnupgHome })).toEqual(values);
    expect(await valuesHere(formatSopsFile(file), gpgOnly())).toEqual(values);
    const key = await unwrapDataKey(file, gpgOnly());
    const shared = await addRecipients(file, key, [{ type: 'age', recipient: alice.recipient }], sources);
    expect(await valuesThere(shared, { SOPS_AGE_KEY: alice.identity, GNUPGHOME: '/nonexistent' })).toEqual(
      values,
    );
    const rotated = await rotateDataKey(shared, key, [pgp], { ...sources, keyring: gpgOnly() });
    expect(await valuesThere(rotated, { GNUPGHOME: gnupgHome })).toEqual(values);
  });

  it('without its private key opens nothing, and a damaged message is no missing key', async () => {
    const file = await encryptHere([{ type: 'pgp', fingerprint }], gpgOnly());
    const empty = join(home.folder, 'empty');
    mkdirSync(empty, { mode: 0o700 });
    const stranger = { gpg: { command: 'gpg', environment: { ...gpgEnvironment(), GNUPGHOME: empty } } };
    await expect(unwrapDataKey(file, stranger)).rejects.toMatchObject({ code: 'no_matching_key' });
    await expect(unwrapDataKey(file, {})).rejects.toMatchObject({ code: 'no_matching_key' });
    const missing = { gpg: { command: '/nonexistent/gpg', environment: {} } };
    await expect(unwrapDataKey(file, missing)).rejects.toMatchObject({ code: 'key_service' });
    const text = Buffer.from(formatSopsFile(file)).toString('utf8');
    const body = text.indexOf('PGP MESSAGE') + 100;
    // A session key that does not open is an error of gpg's; what is no message at all is a damaged stanza.
    const changed = text.slice(0, body) + text.slice(body).replace(/\w{4}/, 'AAAA');
    await expect(valuesHere(Buffer.from(changed), gpgOnly())).rejects.toMatchObject({ code: 'key_service' });
    const bare = text.replace('BEGIN PGP', 'BEGIN A');
    await expect(valuesHere(Buffer.from(bare), gpgOnly())).rejects.toMatchObject({
      code: 'no_matching_key',
      message: expect.stringContaining('at least one stanza is damaged'),
    });
  });

  it.each([['alice@example.com'], ['--version'], ['99B6'], ['Z'.repeat(40)], ['']])(
    'recipients that are no fingerprint are refused: "%s"',
    async (text) => {
      const made = encryptHere([{ type: 'pgp', fingerprint: text }], gpgOnly());
      await expect(made).rejects.toMatchObject({ code: 'bad_recipient' });
    },
  );

  it('keys that gpg does not have cannot be encrypted to', async () => {
    const made = encryptHere([{ type: 'pgp', fingerprint: 'AB'.repeat(20) }], gpgOnly());
    await expect(made).rejects.toMatchObject({ code: 'key_service' });
  });
});

describe.runIf(hasPeer('sops'))('SSH keys', () => {
  const names = ['ed25519-open', 'rsa-pem', 'rsa-pkcs8'];

  function placeKey(name: string): string {
    const path = home.write(name, readFileSync(sshFolder + name));
    chmodSync(path, 0o600);
    return path;
  }

  it.each(names)('%s: sops reads ours, we read what sops wrote', async (name) => {
    const line = readFileSync(`${sshFolder}${name}.pub`, 'utf8').trim();
    const identity = parseSshIdentity(readFileSync(sshFolder + name, 'utf8'));
    const environment = { SOPS_AGE_SSH_PRIVATE_KEY_FILE: placeKey(name) };
    const file = await encryptHere([{ type: 'age', recipient: line }], {});
    expect(await valuesThere(file, environment)).toEqual(values);
    const theirs = await encryptThere([], { SOPS_AGE_RECIPIENTS: line });
    expect(await valuesHere(theirs, { ageIdentities: async () => [identity] })).toEqual(values);
  });

  it.each(names)('%s: age reads ours, we read what age wrote', async (name) => {
    const line = readFileSync(`${sshFolder}${name}.pub`, 'utf8').trim();
    const secret = new TextEncoder().encode('a data key');
    home.write('secret.age', await encryptToAgeRecipient(secret, line, randomBytes));
    const opened = await home.age('age', ['-d', '-i', placeKey(name), 'secret.age']);
    expect(Buffer.from(opened.stdout).toString('utf8')).toBe('a data key');
    const theirs = await outputOf(home.age('age', ['-a', '-r', line], secret));
    const identity = parseSshIdentity(readFileSync(sshFolder + name, 'utf8'));
    expect(await decryptArmoredAge(theirs, [identity])).toEqual(Buffer.from(secret));
  });

  it('that ssh-keygen locks today are unlocked here', async () => {
    for (const [name, args] of [
      ['new-ed25519', ['-t', 'ed25519']],
      ['new-rsa', ['-t', 'rsa', '-b', '3072', '-Z', 'aes128-cbc']],
    ] as const) {
      const path = join(home.folder, name);
      const made = await runChild({
        command: 'ssh-keygen',
        args: ['-q', ...args, '-N', 'pass phrase', '-f', path],
        environment: gpgEnvironment(),
        stdio: 'capture',
        timeoutSeconds: 60,
      });
      expect(made.exitCode).toBe(0);
      const line = readFileSync(`${path}.pub`, 'utf8').trim();
      const secret = new TextEncoder().encode('a data key');
      const armored = await encryptToAgeRecipient(secret, line, randomBytes);
      const identity = parseSshIdentity(readFileSync(path, 'utf8'), {
        askPassphrase: async () => 'pass phrase',
      });
      expect(await decryptArmoredAge(armored, [identity])).toEqual(Buffer.from(secret));
    }
  });
});

describe.runIf(hasPeer('sops'))('key groups', () => {
  const groups = people.map(({ recipient }) => [{ type: 'age' as const, recipient }]);

  it.each<[title: string, openers: readonly { identity: string }[]]>([
    ['the first two', [alice, bob]],
    ['the last two', [bob, carol]],
    ['all', [alice, bob, carol]],
  ])('two of three, written here, are opened by sops with %s', async (_title, openers) => {
    const file = await encryptHere({ groups, threshold: 2 }, {});
    const keys = openers.map(({ identity }) => identity).join('\n');
    expect(await valuesThere(file, { SOPS_AGE_KEY: keys })).toEqual(values);
    home.write('one.yaml', formatSopsFile(file));
    const alone = await home.sops(['decrypt', 'one.yaml'], { SOPS_AGE_KEY: alice.identity });
    expect(alone.exitCode).toBe(128);
  });

  it('stay byte for byte when sops edits a value: the block was written as sops writes it', async () => {
    const file = await encryptHere({ groups, threshold: 2 }, {});
    home.write('edited.yaml', formatSopsFile(file));
    const keys = { SOPS_AGE_KEY: `${alice.identity}\n${bob.identity}` };
    await outputOf(home.sops(['set', 'edited.yaml', '["A"]', '"other"'], keys));
    const text = Buffer.from(home.read('edited.yaml')).toString('utf8');
    const keysOf = (yaml: string): string => yaml.slice(yaml.indexOf('sops:'), yaml.indexOf('lastmodified'));
    expect(keysOf(text)).toBe(keysOf(Buffer.from(formatSopsFile(file)).toString('utf8')));
    expect(await valuesHere(home.read('edited.yaml'), agesOf(alice, carol))).toEqual({
      ...values,
      A: 'other',
    });
  });

  it('written by sops are opened, added to and rotated here, and still open there', async () => {
    const rules = people.map(({ recipient }) => `      - age: [${recipient}]`).join('\n');
    home.write('.sops.yaml', `creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n${rules}\n`);
    const theirs = await encryptThere([]);
    expect(await valuesHere(theirs, agesOf(alice, carol))).toEqual(values);
    const file = parseSopsFile(theirs, 'yaml');
    expect(keyGroupsOf(file)).toEqual({ groups, threshold: 2 });
    const key = await unwrapDataKey(file, agesOf(bob, carol));
    const dave = generateAgeIdentity();
    const shared = await addRecipients(file, key, [{ type: 'age', recipient: dave.recipient }], sources);
    const keys = { SOPS_AGE_KEY: `${dave.identity}\n${carol.identity}` };
    expect(await valuesThere(shared, keys)).toEqual(values);
    const rotated = await rotateDataKey(shared, key, { groups: groups.slice(0, 2) }, sources);
    expect(await valuesThere(rotated, { SOPS_AGE_KEY: `${alice.identity}\n${bob.identity}` })).toEqual(
      values,
    );
  });
});
