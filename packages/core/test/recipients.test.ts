// Who may read: recipients come from clef.yaml and never from the file; letting somebody in is one transaction.
import { describe, expect, it } from 'vitest';
import { type AddedRecipient, addRecipient, listRecipients } from '../src/people/recipients.ts';
import { openRepository } from '../src/repository.ts';
import { deleteSecrets } from '../src/secrets/delete-secrets.ts';
import { execWithSecrets } from '../src/secrets/exec-with-secrets.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import { listCells, listKeys } from '../src/secrets/list-keys.ts';
import { setSecret } from '../src/secrets/set-secret.ts';
import {
  emptyWorld,
  no,
  type Person,
  person,
  quietly,
  refused,
  repositoryWith,
  setting,
  strangersKey,
  type TestRepository,
  yes,
} from './repository-with.ts';

const cell = 'database/development';
const pathOf = (name: string): string => `secrets/${name}.enc.yaml`;

async function letIn(
  repository: TestRepository,
  name: string,
  key: string,
  environments: readonly string[] = ['development'],
  more: { readonly namespaces?: readonly string[]; readonly confirm?: () => Promise<boolean> } = {},
): Promise<AddedRecipient> {
  return addRecipient(await repository.open(), {
    person: name,
    keys: [key],
    environments,
    confirm: yes,
    ...more,
  });
}

const asPerson = async ({ world }: Person, repository: TestRepository, target: string, key: string) =>
  getSecret(await openRepository(world, repository.root), { cell: target, key });

/** The lines of a cell before its sops block. */
const valueLines = (text: string): string => text.slice(0, text.indexOf('\nsops:'));
const stanzas = (text: string): readonly string[] =>
  text.match(/ +- recipient: [\s\S]*?-----END AGE ENCRYPTED FILE-----/g) ?? [];

describe('recipients add', () => {
  it('the newcomer reads what was there; values, MAC and the other stanzas keep their bytes', async () => {
    const repository = await repositoryWith({
      [cell]: { A: 'one', B: 'two' },
      'payments/development': { C: 'three' },
    });
    const bob = await person({ cwd: repository.root });
    const before = repository.read(pathOf(cell));
    expect(await letIn(repository, 'bob', bob.recipient)).toEqual({
      person: 'bob',
      keys: [bob.recipient],
      changed: true,
      cells: [cell, 'payments/development'],
      changes: [cell, 'payments/development'].map((label) => ({
        cell: label,
        change: 'gains',
        person: 'bob',
        key: bob.recipient,
      })),
    });
    expect(await asPerson(bob, repository, cell, 'A')).toBe('one');
    expect(await asPerson(bob, repository, 'payments/development', 'C')).toBe('three');
    expect(await repository.get(cell, 'B')).toBe('two');
    const after = repository.read(pathOf(cell));
    expect(valueLines(after)).toBe(valueLines(before));
    expect(/^ +mac: .*$/m.exec(after)?.[0]).toBe(/^ +mac: .*$/m.exec(before)?.[0]);
    expect(/^ +lastmodified: .*$/m.exec(after)?.[0]).toBe(/^ +lastmodified: .*$/m.exec(before)?.[0]);
    expect(stanzas(before)).toHaveLength(1);
    expect(stanzas(after)).toHaveLength(2);
    expect(stanzas(after)).toContain(stanzas(before)[0]);
  });

  it('only the environments and namespaces that were granted', async () => {
    const repository = await repositoryWith({
      [cell]: { A: '1' },
      'database/staging': { A: '2' },
      'payments/development': { A: '3' },
    });
    const bob = await person({ cwd: repository.root });
    const result = await letIn(repository, 'bob', bob.recipient, ['development'], {
      namespaces: ['database'],
    });
    expect(result.cells).toEqual([cell]);
    for (const target of ['database/staging', 'payments/development']) {
      const read = () => asPerson(bob, repository, target, 'A');
      expect(await refused(repository, read)).toEqual(quietly('cannot_decrypt'));
    }
    expect((await listRecipients(await repository.open())).people).toMatchObject([
      { name: 'alice', environments: ['development', 'staging', 'production'] },
      { name: 'bob', keys: [bob.recipient], environments: ['development'] },
    ]);
  });

  it('two people: each reads what the other writes', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const bob = await person({ cwd: repository.root });
    await letIn(repository, 'bob', bob.recipient);
    await setSecret(await openRepository(bob.world, repository.root), setting(cell, 'FROM_BOB', 'b'));
    await repository.set(cell, 'FROM_ALICE', 'a');
    expect(await repository.get(cell, 'FROM_BOB')).toBe('b');
    expect(await asPerson(bob, repository, cell, 'FROM_ALICE')).toBe('a');
    expect(repository.read('secrets/database/development.meta.yaml')).toMatch(
      /FROM_BOB: \{ changed: \S+, by: bob \}/,
    );
  });

  it('a second key of the same person', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const laptop = await person({ cwd: repository.root });
    await addRecipient(await repository.open(), { person: 'alice', keys: [laptop.recipient], confirm: yes });
    expect(await asPerson(laptop, repository, cell, 'A')).toBe('1');
    expect((await listRecipients(await repository.open())).people).toHaveLength(1);
  });

  it('D16: a key and an access that are there already are no change', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const before = repository.snapshot();
    expect(await letIn(repository, 'alice', repository.recipient, ['development', 'production'])).toEqual({
      person: 'alice',
      keys: [repository.recipient],
      changed: false,
      cells: [],
      changes: [],
    });
    expect(repository.snapshot()).toEqual(before);
  });

  it('one transaction: where one cell cannot be opened, nothing changes', async () => {
    const repository = await repositoryWith({
      [cell]: { A: 'CANARY' },
      'payments/development': { A: 'CANARY' },
    });
    const path = pathOf('payments/development');
    repository.write(
      path,
      repository.read(path).replace(/^( +enc: \|\n(?: +-----BEGIN.*\n))( +)(....)/m, '$1$2AAAA'),
    );
    const add = () => letIn(repository, 'bob', strangersKey().recipient);
    expect(await refused(repository, add)).toEqual(quietly('bad_format'));
  });

  it('one transaction: where one cell has other recipients, nothing changes', async () => {
    const repository = await repositoryWith({
      [cell]: { A: 'CANARY' },
      'payments/development': { A: 'CANARY' },
    });
    addStanza(repository, pathOf('payments/development'), strangersKey().recipient);
    const add = () => letIn(repository, 'bob', strangersKey().recipient);
    expect(await refused(repository, add)).toEqual(quietly('recipients_differ'));
  });

  it('a cell that appears while a person confirms gets the newcomer too', async () => {
    const repository = await repositoryWith({ 'database/production': { A: '1' } });
    const bob = await person({ cwd: repository.root });
    const confirm = async (): Promise<boolean> => {
      await repository.set('payments/production', 'NEW', 'x');
      return true;
    };
    await letIn(repository, 'bob', bob.recipient, ['production'], { confirm });
    expect(await asPerson(bob, repository, 'payments/production', 'NEW')).toBe('x');
  });

  it.each([
    ['protected cells', { 'database/production': { A: 'CANARY' } }],
    ['a protected environment that has no cell yet', { [cell]: { A: 'CANARY' } }],
    ['a protected environment where there is no namespace yet', {}],
  ] as const)('%s ask first', async (_, cells) => {
    const repository = await repositoryWith(cells);
    const add = () => letIn(repository, 'bob', strangersKey().recipient, ['production'], { confirm: no });
    expect(await refused(repository, add)).toEqual(quietly('protected'));
  });

  it.each([
    ['D02, B19: a private key', strangersKey().identity, 'private_key_given'],
    ['a private key in lower case', strangersKey().identity.toLowerCase(), 'private_key_given'],
    ['D03: a typing error', `${strangersKey().recipient.slice(0, -1)}b`, 'bad_key_reference'],
    [
      'D07: a plugin',
      'age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t',
      'bad_key_reference',
    ],
    ['D07: a plugin that is a path', 'age1../../x1qqqq', 'bad_key_reference'],
    ['D09: a zero-width space', `${strangersKey().recipient}\u200b`, 'bad_key_reference'],
    ['INV-31: capitals', strangersKey().recipient.toUpperCase(), 'bad_key_reference'],
    ['INV-31: mixed case', strangersKey().recipient.replace(/^age1../, 'age1Qq'), 'bad_key_reference'],
    ['INV-31: a space behind it', `${strangersKey().recipient} `, 'bad_key_reference'],
    ['INV-31: CRLF behind it', `${strangersKey().recipient}\r\n`, 'bad_key_reference'],
    ['D09: a Cyrillic letter', strangersKey().recipient.replace('age', '\u0430ge'), 'bad_key_reference'],
    [
      'D10, INV-32: the all-zero point',
      'age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z',
      'bad_key_reference',
    ],
    ['D06: an SSH key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0FxY1Qd0WgX1XHnV4b2N1', 'bad_key_reference'],
    ['D06: a PGP fingerprint', 'pgp:0123456789ABCDEF0123456789ABCDEF01234567', 'bad_key_reference'],
    ['D06: a PGP block', '-----BEGIN PGP PUBLIC KEY BLOCK-----\nabc', 'bad_key_reference'],
    [
      'an AWS key',
      'awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
      'bad_key_reference',
    ],
    ['nothing', '', 'bad_key_reference'],
  ] as const)('%s is refused and not echoed', async (_, text, code) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const canary = text.length > 20 ? text.slice(8, 30).replaceAll(/[^\w-]/g, '.') : 'CANARY';
    const add = () => letIn(repository, 'bob', text);
    const found = await refused(repository, add, canary);
    expect(
      ['bad_key_reference', 'not_supported'].includes(found.code) ? 'bad_key_reference' : found.code,
    ).toBe(code);
    expect(found.changed).toEqual([]);
    if (code === 'private_key_given') expect(found.leaks).toBe(false);
  });

  it.each([
    ['an unknown environment', { environments: ['developmnt'] }, 'unknown_environment'],
    ['an unknown namespace', { namespaces: ['databse'] }, 'unknown_namespace'],
    ['an illegal name', { person: 'Bob Smith' }, 'bad_name'],
  ] as const)('%s', async (_, change, code) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const request = {
      person: 'bob',
      keys: [strangersKey().recipient],
      environments: ['development'],
      confirm: yes,
    };
    const add = async () => addRecipient(await repository.open(), { ...request, ...change });
    expect(await refused(repository, add)).toEqual(quietly(code));
  });

  it('several keys at once, one of them twice: each opens what is granted', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const [laptop, desktop] = [
      await person({ cwd: repository.root }),
      await person({ cwd: repository.root }),
    ];
    const keys = [laptop.recipient, desktop.recipient, laptop.recipient];
    const request = { person: 'bob', keys, environments: ['development'], confirm: yes };
    expect((await addRecipient(await repository.open(), request)).changes).toHaveLength(2);
    for (const one of [laptop, desktop]) expect(await asPerson(one, repository, cell, 'A')).toBe('1');
  });

  it('D17: a further key under a name that is there is said aloud', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const keys = [strangersKey().recipient];
    await addRecipient(await repository.open(), { person: 'alice', keys, confirm: yes });
    expect(repository.notices).toEqual([
      { level: 'note', message: expect.stringContaining('"alice" has a key') },
    ]);
  });

  it('a dry run says who would gain what, and writes nothing', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const before = repository.snapshot();
    const keys = [strangersKey().recipient];
    const request = {
      person: 'bob',
      keys,
      environments: ['development', 'production'],
      confirm: no,
      isDryRun: true,
    };
    const { changed, changes } = await addRecipient(await repository.open(), request);
    expect({ changed, changes }).toEqual({
      changed: false,
      changes: [{ cell, change: 'gains', person: 'bob', key: keys[0] }],
    });
    expect(repository.snapshot()).toEqual(before);
  });

  it('a group that reads a protected environment asks too', async () => {
    const repository = await repositoryWith(
      { [cell]: { A: 'CANARY' } },
      { manifest: (text) => `${text.replace('allow: [alice]', 'allow: [alice, ops]')}groups:\n  ops: []\n` },
    );
    const request = { person: 'bob', keys: [strangersKey().recipient], groups: ['ops'], confirm: no };
    const add = async () => addRecipient(await repository.open(), request);
    expect(await refused(repository, add)).toEqual(quietly('protected'));
  });

  it('D17: a key that belongs to somebody else', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const add = () => letIn(repository, 'bob', repository.recipient);
    expect(await refused(repository, add)).toEqual(quietly('already_exists'));
  });
});

/** What an attacker does: his own recipient with rubbish, so that an honest rotation would let him in (1.3 #15). */
function addStanza(repository: TestRepository, path: string, recipient: string): void {
  const stanza = `        - recipient: ${recipient}\n          enc: rubbish\n`;
  repository.write(path, repository.read(path).replace(/^( {4}age:\n)/m, `$1${stanza}`));
}

describe('a file whose recipients are not those of clef.yaml', () => {
  const rogue = strangersKey().recipient;
  const shown = new RegExp(`${rogue.slice(0, 12)}…${rogue.slice(-6)}`);

  async function tampered(): Promise<TestRepository> {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY', B: 'CANARY' } });
    addStanza(repository, pathOf(cell), rogue);
    return repository;
  }

  it.each([
    ['get', (repository: TestRepository) => repository.get(cell, 'A')],
    ['list CELL', async (repository: TestRepository) => listKeys(await repository.open(), { cell })],
    ['list', async (repository: TestRepository) => listCells(await repository.open())],
    [
      'export',
      async (repository: TestRepository) => exportSecrets(await repository.open(), { cell, format: 'sh' }),
    ],
    [
      'exec',
      async (repository: TestRepository) =>
        execWithSecrets(await repository.open(), {
          cell,
          command: 'true',
          args: [],
          pristine: false,
          keepClefVariables: false,
          allowedEnvironmentNames: [],
        }),
    ],
  ])('1.3 #15, INV-07: %s reads and warns, naming who', async (_, work) => {
    const repository = await tampered();
    await work(repository);
    expect(repository.notices).toEqual([{ level: 'warning', message: expect.stringMatching(shown) }]);
  });

  it('set and delete refuse, naming who, and keep the stranger out', async () => {
    const repository = await tampered();
    const set = () => repository.set(cell, 'C', 'CANARY');
    const remove = async () => deleteSecrets(await repository.open(), { cell, keys: ['B'], confirm: yes });
    expect(await refused(repository, set)).toEqual(quietly('recipients_differ'));
    expect(await refused(repository, remove)).toEqual(quietly('recipients_differ'));
    await expect(set()).rejects.toThrow(shown);
  });

  it('somebody who is in clef.yaml and not in the file is named', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const manifest = repository.read('clef.yaml');
    const carol = strangersKey().recipient;
    const grown = manifest
      .replace('access:', `  - { name: carol, keys: [${carol}] }\naccess:`)
      .replace('allow: [alice]', 'allow: [alice, carol]');
    repository.write('clef.yaml', grown);
    const set = () => repository.set(cell, 'C', 'CANARY');
    expect(await refused(repository, set)).toEqual(quietly('recipients_differ'));
    await expect(set()).rejects.toThrow('not in the file: carol');
  });
});

describe('whom no rule grants anything', () => {
  it('without any key: list works, get says how to get in, set of a new cell encrypts to those who may', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const { world } = emptyWorld({ cwd: repository.root });
    const stranger = await openRepository(world, repository.root);
    expect(await listKeys(stranger, { cell })).toMatchObject([{ name: 'A', by: 'alice' }]);
    expect(await listCells(stranger)).toMatchObject([
      { cell, keys: 1 },
      { keys: undefined },
      { keys: undefined },
    ]);
    expect(await refused(repository, () => getSecret(stranger, { cell, key: 'A' }))).toEqual(
      quietly('no_age_key'),
    );
    expect(await refused(repository, () => setSecret(stranger, setting(cell, 'B', 'CANARY')))).toEqual(
      quietly('no_age_key'),
    );
  });

  it('the error names the line that a teammate runs', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const bob = await person({ cwd: repository.root });
    await expect(asPerson(bob, repository, cell, 'A')).rejects.toMatchObject({
      code: 'cannot_decrypt',
      message: 'Cannot decrypt "database/development": your age key is not among its 1 recipient',
      hint: `ask a teammate to run: clef recipients add NAME ${bob.recipient} --environments development`,
    });
  });

  it('a cell that nobody could read is not written', async () => {
    const repository = await repositoryWith(
      { [cell]: { A: 'CANARY' } },
      {
        manifest: (text) =>
          text
            .replace(/namespaces: \["\*"\]/, 'namespaces: [database]')
            .replace('namespaces: []', 'namespaces: [{ name: database }]'),
      },
    );
    const set = () => repository.set('payments/development', 'A', 'CANARY');
    expect((await refused(repository, set)).changed).toEqual([]);
  });
});
