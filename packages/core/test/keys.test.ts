// The person's own keys: where they are looked for, in which order, and what is said of an unusable one. No error ever
// shows key text.
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { encryptWithPassphrase } from '@clef/sops';
import { describe, expect, it } from 'vitest';
import { ownRecipients } from '../src/keys/age-keys.ts';
import { createAgeKey, listAgeKeys } from '../src/keys/key-store.ts';
import { initRepository } from '../src/matrix/init-repository.ts';
import { addRecipient } from '../src/people/recipients.ts';
import { openRepository } from '../src/repository.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import { setSecret } from '../src/secrets/set-secret.ts';
import type { World } from '../src/world.ts';
import {
  emptyWorld,
  quietly,
  refused,
  repositoryWith,
  setting,
  strangersKey,
  temporaryFolder,
  withVariables,
  yes,
} from './repository-with.ts';

const cell = 'database/development';
const shared = repositoryWith({ [cell]: { A: 'value' } });

/** A key file that asks for a passphrase; made once, as it takes a second by design. */
const wrapped = shared.then(({ identity }) => encryptWithPassphrase(`${identity}\n`, 'correct horse'));

/** Reads a value on a machine where nothing but these variables is known. */
async function read(
  variables: Readonly<Record<string, string>>,
  changes: Partial<World> = {},
): Promise<string> {
  const repository = await shared;
  const { world } = emptyWorld({ cwd: repository.root, notify: repository.world.notify, ...changes });
  const opened = await openRepository(withVariables(world, variables), repository.root);
  return getSecret(opened, { cell, key: 'A' });
}

function keyFile(content: string | Uint8Array, mode = 0o600): string {
  const file = join(temporaryFolder(), 'key.txt');
  writeFileSync(file, content, { mode });
  chmodSync(file, mode);
  return file;
}

describe('a key opens the cell', () => {
  const other = strangersKey();

  it.each([
    ['CLEF_AGE_KEY', (key: string) => ({ CLEF_AGE_KEY: key })],
    ['D01: with CRLF and blanks', (key: string) => ({ CLEF_AGE_KEY: `  ${key}\r\n` })],
    ['D01: two keys', (key: string) => ({ CLEF_AGE_KEY: `${other.identity}\n${key}` })],
    ['CLEF_AGE_KEY_FILE', (key: string) => ({ CLEF_AGE_KEY_FILE: keyFile(`# mine\n${key}\n`) })],
    [
      'D05: a file of 50 keys',
      (key: string) => ({ CLEF_AGE_KEY_FILE: keyFile(`${`${strangersKey().identity}\n`.repeat(49)}${key}`) }),
    ],
    [
      'D11: a variable and a file with another key',
      (key: string) => ({ CLEF_AGE_KEY: other.identity, CLEF_AGE_KEY_FILE: keyFile(key) }),
    ],
    ['CLEF_AGE_KEY_CMD', (key: string) => ({ CLEF_AGE_KEY_CMD: `cat ${keyFile(key)}` })],
    ['SOPS_AGE_KEY', (key: string) => ({ SOPS_AGE_KEY: key })],
    ['SOPS_AGE_KEY_FILE', (key: string) => ({ SOPS_AGE_KEY_FILE: keyFile(key) })],
    ['SOPS_AGE_KEY_CMD', (key: string) => ({ SOPS_AGE_KEY_CMD: `cat ${keyFile(key)}` })],
  ])('%s', async (_, variables) => {
    expect(await read(variables((await shared).identity))).toBe('value');
  });

  it("the key file of sops in the person's home", async () => {
    const { identity, root } = await shared;
    const { world } = emptyWorld({ cwd: root });
    mkdirSync(join(world.homeDirectory, '.config/sops/age'), { recursive: true });
    writeFileSync(join(world.homeDirectory, '.config/sops/age/keys.txt'), identity);
    expect(await getSecret(await openRepository(world, root), { cell, key: 'A' })).toBe('value');
  });

  it('D04: a key file that others can read is used and warned of', async () => {
    const { identity, notices } = await shared;
    notices.length = 0;
    await read({ CLEF_AGE_KEY_FILE: keyFile(identity, 0o644) });
    expect(notices).toEqual([
      { level: 'warning', message: expect.stringContaining('can be read by others') },
    ]);
  });

  it.each(['armored', 'binary'])(
    'a file wrapped with a passphrase, %s: asked for once for many questions',
    async (form) => {
      const { identity, root } = await shared;
      const armored = await encryptWithPassphrase(`${identity}\n`, 'correct horse');
      const body = armored
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('-----'))
        .join('');
      const file = keyFile(form === 'armored' ? armored : Buffer.from(body, 'base64'));
      let asked = 0;
      const askPassphrase = async (): Promise<string> => {
        asked += 1;
        return 'correct horse';
      };
      const { world } = emptyWorld({ cwd: root, askPassphrase });
      const opened = await openRepository(withVariables(world, { CLEF_AGE_KEY_FILE: file }), root);
      const twice = [getSecret(opened, { cell, key: 'A' }), getSecret(opened, { cell, key: 'A' })];
      expect(await Promise.all(twice)).toEqual(['value', 'value']);
      await setSecret(opened, setting(cell, 'BY_PASSPHRASE', 'x'));
      expect(asked).toBe(1);
    },
  );
});

describe('a key that is of no use', () => {
  const { identity, recipient } = strangersKey();
  const flipped = `${identity.slice(0, -1)}${identity.endsWith('Q') ? 'P' : 'Q'}`;
  const secret = identity.slice(15, 40);

  it.each([
    ['D01: empty', () => ({ CLEF_AGE_KEY: '' }), 'settings_invalid'],
    ['D01: blanks', () => ({ CLEF_AGE_KEY: ' \n\t' }), 'settings_invalid'],
    ['D01: quoted', () => ({ CLEF_AGE_KEY: `"${identity}"` }), 'bad_identity'],
    ['D02: a public key', () => ({ CLEF_AGE_KEY: recipient }), 'no_age_key'],
    ['D03: one character flipped', () => ({ CLEF_AGE_KEY: flipped }), 'bad_identity'],
    ['D03: lower case', () => ({ CLEF_AGE_KEY: identity.toLowerCase() }), 'bad_identity'],
    ['D03: cut short', () => ({ CLEF_AGE_KEY: identity.slice(0, -3) }), 'bad_identity'],
    ['D03: two on one line', () => ({ CLEF_AGE_KEY: `${identity} ${identity}` }), 'bad_identity'],
    ['D03: a key and rubbish', () => ({ CLEF_AGE_KEY: `${identity}\nrubbish ${secret}` }), 'bad_identity'],
    ['D04: a missing file', () => ({ CLEF_AGE_KEY_FILE: '/nowhere/key' }), 'io'],
    ['D04: a folder', () => ({ CLEF_AGE_KEY_FILE: '/etc' }), 'bad_path'],
    ['D04: a device', () => ({ CLEF_AGE_KEY_FILE: '/dev/zero' }), 'bad_path'],
    ['D04: 1 MB', () => ({ CLEF_AGE_KEY_FILE: keyFile('#'.repeat(1_000_000)) }), 'limit'],
    ['D04: binary', () => ({ CLEF_AGE_KEY_FILE: keyFile(new Uint8Array([255, 254, 0, 1])) }), 'bad_identity'],
    ['D04: a symbolic link', () => ({ CLEF_AGE_KEY_FILE: linkTo(keyFile(identity)) }), 'bad_path'],
    ['D05: only comments', () => ({ CLEF_AGE_KEY_FILE: keyFile('# nothing\n') }), 'no_age_key'],
    [
      'D06: an SSH key',
      () => ({ CLEF_AGE_KEY: '-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n' }),
      'bad_identity',
    ],
    ['D07: a plugin', () => ({ CLEF_AGE_KEY: 'AGE-PLUGIN-YUBIKEY-1QQQQ' }), 'bad_identity'],
    ['a command that fails', () => ({ CLEF_AGE_KEY_CMD: 'false' }), 'settings_invalid'],
    ['a command that does not exist', () => ({ CLEF_AGE_KEY_CMD: 'no-such-command' }), 'settings_invalid'],
    ['a command that prints nothing', () => ({ CLEF_AGE_KEY_CMD: 'true' }), 'no_age_key'],
    ['H12: a relative configuration folder', () => ({ CLEF_CONFIG_DIR: 'here' }), 'settings_invalid'],
    ['a key of somebody else', () => ({ CLEF_AGE_KEY: identity }), 'cannot_decrypt'],
  ] as const)('%s', async (_, variables, code) => {
    const repository = await shared;
    expect(await refused(repository, () => read(variables()), secret)).toEqual(quietly(code));
  });

  it('D05: a file wrapped with a passphrase, where nobody can be asked', async () => {
    const repository = await shared;
    const file = keyFile(await wrapped);
    expect(await refused(repository, () => read({ CLEF_AGE_KEY_FILE: file }), secret)).toEqual(
      quietly('key_locked'),
    );
  });

  it('a wrong passphrase', async () => {
    const repository = await shared;
    const file = keyFile(await wrapped);
    const wrong = { askPassphrase: async () => 'wrong' };
    expect(await refused(repository, () => read({ CLEF_AGE_KEY_FILE: file }, wrong), secret)).toEqual(
      quietly('key_locked'),
    );
  });

  function linkTo(target: string): string {
    const link = join(temporaryFolder(), 'link');
    symlinkSync(target, link);
    return link;
  }
});

describe('keys.yaml and the files beside it', () => {
  it('a new key is listed, in a file of mode 0600 in folders of mode 0700', async () => {
    const { world } = emptyWorld({ cwd: temporaryFolder() });
    const { entry, keptIn } = await createAgeKey(world, {});
    const folder = world.environment['CLEF_CONFIG_DIR'] ?? '';
    expect(await listAgeKeys(world)).toEqual([entry]);
    expect(await ownRecipients(world)).toEqual([entry.recipient]);
    expect(keptIn).toContain('readable by you alone');
    const modes = ['', 'keys', 'keys.yaml', `keys/${entry.recipient}.txt`].map(
      (name) => statSync(join(folder, name)).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o700, 0o600, 0o600]);
  });

  it('with a passphrase no file holds the key in clear', async () => {
    const repository = await shared;
    const { world } = emptyWorld({ cwd: repository.root, askPassphrase: async () => 'correct horse' });
    const result = await initRepository(world, { withPassphrase: true });
    expect(result).toMatchObject({ kind: 'joined', madeKey: true });
    const folder = join(world.environment['CLEF_CONFIG_DIR'] ?? '', 'keys');
    const text = readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join();
    expect(text).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----/);
    expect(text).not.toContain('AGE-SECRET-KEY');
    await addRecipient(await repository.open(), {
      person: 'pat',
      keys: [result.recipient],
      environments: ['development'],
      confirm: yes,
    });
    expect(await getSecret(await openRepository(world, repository.root), { cell, key: 'A' })).toBe('value');
  });

  it.each([
    ['other YAML', 'keys: here\n'],
    [
      'a path as recipient',
      'version: 1\nkeys:\n  - { recipient: ../../etc/passwd, store: file, created: x }\n',
    ],
    ['an unknown store', 'version: 1\nkeys:\n  - { recipient: age1abc, store: command, created: x }\n'],
  ])('a list that Clef did not write is not used: %s', async (_, text) => {
    const repository = await shared;
    const { world } = emptyWorld({ cwd: repository.root });
    const folder = world.environment['CLEF_CONFIG_DIR'] ?? '';
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, 'keys.yaml'), text);
    const get = async () => getSecret(await openRepository(world, repository.root), { cell, key: 'A' });
    expect(await refused(repository, get)).toEqual(quietly('settings_invalid'));
    expect(await refused(repository, () => createAgeKey(world, {}))).toEqual(quietly('settings_invalid'));
  });

  it('a listed key whose file is gone', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const folder = join(repository.world.environment['CLEF_CONFIG_DIR'] ?? '', 'keys');
    for (const name of readdirSync(folder)) writeFileSync(join(folder, name), '# empty\n');
    expect(await refused(repository, () => repository.get(cell, 'A'))).toEqual(quietly('no_age_key'));
  });
});
