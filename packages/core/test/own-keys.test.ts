// A person's own keys: making, taking in, listing, showing. No refusal shows key text.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encryptWithPassphrase } from '@clef/sops';
import { generateHybridIdentity, identityToRecipient } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import {
  findOwnKey,
  generateOwnKey,
  importOwnKeys,
  listOwnKeys,
  showPrivateKey,
} from '../src/people/own-keys.ts';
import type { World } from '../src/world.ts';
import {
  emptyWorld,
  refusal,
  repositoryWith,
  strangersKey,
  temporaryFolder,
  withVariables,
} from './repository-with.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const machine = (changes: Partial<World> = {}): World =>
  emptyWorld({ cwd: temporaryFolder(), ...changes }).world;

async function takeIn(world: World, text: string, withPassphrase = false) {
  return importOwnKeys(world, { from: { bytes: encode(text) }, withPassphrase });
}

describe('taking keys in', () => {
  it('a file of several keys, with comments, blanks and CRLF: all are kept, in order', async () => {
    const world = machine();
    const [one, two] = [strangersKey(), strangersKey()];
    const result = await takeIn(world, `# mine\r\n\r\n  ${one.identity} \r\n${two.identity}\n`);
    expect(result.imported.map(({ recipient }) => recipient)).toEqual([one.recipient, two.recipient]);
    expect((await listOwnKeys(world)).map(({ recipient, store }) => [recipient, store])).toEqual([
      [one.recipient, 'file'],
      [two.recipient, 'file'],
    ]);
    expect(await showPrivateKey(world, two.recipient)).toEqual(two);
  });

  it('a key that is there already stays, and nobody is asked for a passphrase', async () => {
    const world = machine();
    const key = strangersKey();
    await takeIn(world, key.identity);
    expect(await takeIn(world, key.identity, true)).toEqual({ imported: [], present: [key.recipient] });
    expect(await listOwnKeys(world)).toHaveLength(1);
  });

  it('a post-quantum key, whose public half is longer than a file name may be', async () => {
    const world = machine();
    const identity = await generateHybridIdentity();
    const recipient = await identityToRecipient(identity);
    await takeIn(world, identity);
    expect(await showPrivateKey(world)).toEqual({ identity, recipient });
  });

  it('D05: a file wrapped with a passphrase is opened, and kept as the person wants it', async () => {
    const key = strangersKey();
    const world = machine({ askPassphrase: async () => 'correct horse' });
    const wrapped = await encryptWithPassphrase(`${key.identity}\n`, 'correct horse');
    await takeIn(world, wrapped, true);
    expect((await listOwnKeys(world))[0]).toMatchObject({ store: 'passphrase' });
    const file = join(world.environment['CLEF_CONFIG_DIR'] ?? '', 'keys', `${key.recipient}.age`);
    expect(readFileSync(file, 'utf8')).not.toContain('AGE-SECRET-KEY');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('one bad line: nothing is kept (D03)', async () => {
    const world = machine();
    const key = strangersKey();
    const error = await refusal(takeIn(world, `${key.identity}\n${strangersKey().identity.slice(0, -2)}`));
    expect(error.code).toBe('bad_identity');
    expect(await listOwnKeys(world)).toEqual([]);
  });

  const canary = strangersKey().identity;
  it.each([
    ['D02: a public key', { bytes: encode(strangersKey().recipient) }, 'no_age_key'],
    ['nothing', { bytes: encode('# only a comment\n') }, 'no_age_key'],
    [
      'D03: a flipped character',
      { bytes: encode(`${canary.slice(0, -1)}${canary.endsWith('Q') ? 'P' : 'Q'}`) },
      'bad_identity',
    ],
    ['D06: an SSH key', { bytes: encode('-----BEGIN OPENSSH PRIVATE KEY-----\n') }, 'bad_identity'],
    ['D04: a missing file', { file: 'nowhere' }, 'io'],
    ['D04: a folder', { file: '.' }, 'bad_path'],
    ['a private key where the file belongs', { file: canary }, 'private_key_given'],
  ] as const)('%s', async (_, from, code) => {
    const error = await refusal(importOwnKeys(machine(), { from, withPassphrase: false }));
    expect(error.code).toBe(code);
    expect(JSON.stringify([error.message, error.hint])).not.toContain(canary.slice(15, 40));
  });
});

describe('looking at keys', () => {
  it('says whose each is in the repository around', async () => {
    const { world, recipient, root } = await repositoryWith();
    await generateOwnKey(world, { withPassphrase: false });
    expect((await listOwnKeys(world, root)).map(({ person }) => person)).toEqual(['alice', undefined]);
    expect((await findOwnKey(world, root)).recipient).toBe(recipient);
  });

  it('works beside a broken clef.yaml', async () => {
    const { world, root } = await repositoryWith();
    writeFileSync(join(root, 'clef.yaml'), 'version: 9\n');
    expect(await listOwnKeys(world, root)).toHaveLength(1);
  });

  it('a key in a variable is all that counts, and is not shown', async () => {
    const key = strangersKey();
    const world = withVariables((await repositoryWith()).world, { CLEF_AGE_KEY: key.identity });
    expect(await listOwnKeys(world)).toEqual([{ recipient: key.recipient, store: 'environment' }]);
  });

  it.each([
    ['none of that name', strangersKey().recipient, 'no_age_key'],
    ['several and none named', undefined, 'usage'],
    ['a private key as the name', strangersKey().identity, 'private_key_given'],
  ] as const)('showing the private half: %s', async (_, recipient, code) => {
    const world = machine();
    await takeIn(world, `${strangersKey().identity}\n${strangersKey().identity}`);
    expect((await refusal(showPrivateKey(world, recipient))).code).toBe(code);
  });

  it('a passphrase that cannot be asked for', async () => {
    expect((await refusal(generateOwnKey(machine(), { withPassphrase: true }))).code).toBe('usage');
  });
});
