// Asking for access through a file, which is anybody's work: what it asks for is shown and confirmed, and it can take over
// neither a name nor a key.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listRecipients } from '../src/people/recipients.ts';
import { approveRequest, declineRequest, requestAccess } from '../src/people/requests.ts';
import { openRepository } from '../src/repository.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import {
  emptyWorld,
  git,
  no,
  type Person,
  person,
  quietly,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  yes,
} from './repository-with.ts';

const cell = 'database/development';
const path = '.clef/requests/bob.yaml';

const ask = async (
  { world }: Pick<Person, 'world'>,
  repository: TestRepository,
  wanted: Parameters<typeof requestAccess>[1] = {},
) => requestAccess(await openRepository(world, repository.root), wanted);
const approve = async (
  repository: TestRepository,
  review: Partial<Parameters<typeof approveRequest>[1]> = {},
) => approveRequest(await repository.open(), { name: 'bob', confirm: yes, ...review });

async function bobOf(repository: TestRepository): Promise<Person> {
  return person({ cwd: repository.root, userName: 'bob' });
}

describe('a request', () => {
  it('is a public file that a teammate approves: access and the end of the request are one transaction', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'one' }, 'database/production': { A: 'two' } });
    const bob = await bobOf(repository);
    expect(await ask(bob, repository)).toMatchObject({
      name: 'bob',
      path,
      environments: ['development'],
      changed: true,
    });
    expect(repository.read(path)).toBe(
      `# To let bob in: clef recipients approve bob\nversion: 1\nname: bob\nkeys: [${bob.recipient}]\nenvironments: [development]\nnamespaces: ["*"]\nrequested: "2026-01-31T12:00:00Z"\n`,
    );
    expect((await listRecipients(await repository.open())).requests).toMatchObject([
      { name: 'bob', keys: [bob.recipient] },
    ]);
    const result = await approve(repository);
    expect(result).toMatchObject({ person: 'bob', changed: true, cells: [cell] });
    expect(existsSync(join(repository.root, path))).toBe(false);
    expect(await getSecret(await openRepository(bob.world, repository.root), { cell, key: 'A' })).toBe('one');
    const closed = getSecret(await openRepository(bob.world, repository.root), {
      cell: 'database/production',
      key: 'A',
    });
    await expect(closed).rejects.toMatchObject({ code: 'cannot_decrypt' });
    expect(await ask(bob, repository)).toMatchObject({ changed: false });
  });

  it.each([
    [
      'an environment becomes protected',
      (text: string) => text.replace('- name: development', '- name: development\n    protected: true'),
      'changed_meanwhile',
    ],
    [
      'somebody else gets the name',
      (text: string) =>
        text.replace('recipients:', `recipients:\n  - name: bob\n    keys: [${strangersKey().recipient}]`),
      'already_exists',
    ],
  ] as const)(
    'INV-106: what a person confirmed is what is granted: %s meanwhile',
    async (_, change, code) => {
      const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
      await ask(await bobOf(repository), repository);
      const manifest = repository.read('clef.yaml');
      const before = repository.read(`secrets/${cell}.enc.yaml`);
      const confirm = async (): Promise<boolean> => {
        repository.write('clef.yaml', change(manifest));
        return true;
      };
      expect(await refused(repository, () => approve(repository, { confirm }))).toEqual({
        code,
        changed: ['clef.yaml'],
        leaks: false,
      });
      expect(repository.read(`secrets/${cell}.enc.yaml`)).toBe(before);
    },
  );

  it('INV-110: a flood of files that are no requests is counted, and hides no request', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    await ask(await bobOf(repository), repository);
    for (let at = 0; at < 1200; at++) repository.write(`.clef/requests/m${at}.yaml`, 'name: "\\e[31m"\n');
    repository.notices.length = 0;
    expect((await listRecipients(await repository.open())).requests).toMatchObject([{ name: 'bob' }]);
    const told = repository.notices.map(({ message }) => message);
    expect(told).toHaveLength(12);
    expect(told.slice(10)).toEqual([
      '989 more files in ".clef/requests" cannot be read as requests',
      'There are 1201 files in ".clef/requests": only the first 1000 are looked at',
    ]);
  });

  it('git does not ignore it', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'one' } });
    await git(repository.root, 'init', '--quiet');
    await ask(await bobOf(repository), repository);
    expect(await git(repository.root, 'status', '--porcelain', '--untracked-files=all', '.clef')).toContain(
      path,
    );
  });

  it('for more than a person has, with the same key', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'one' }, 'database/staging': { A: 'two' } });
    const bob = await bobOf(repository);
    await ask(bob, repository);
    await approve(repository);
    await ask(bob, repository, { environments: ['staging'], namespaces: ['database'] });
    expect(await approve(repository)).toMatchObject({ changed: true, cells: ['database/staging'] });
  });

  it('always asks, showing who would gain what; a dry run writes nothing; declining grants nothing', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const bob = await bobOf(repository);
    await ask(bob, repository);
    const shown: unknown[] = [];
    const work = () => approve(repository, { confirm: no, show: (changes) => shown.push(...changes) });
    expect(await refused(repository, work)).toEqual(quietly('not_confirmed'));
    expect(shown).toEqual([{ cell, change: 'gains', person: 'bob', key: bob.recipient }]);
    const before = repository.snapshot();
    expect(await approve(repository, { isDryRun: true })).toMatchObject({ changed: false });
    expect(repository.snapshot()).toEqual(before);
    await declineRequest(await repository.open(), 'bob');
    expect(existsSync(join(repository.root, path))).toBe(false);
    expect(repository.read('clef.yaml')).not.toContain('bob');
  });

  it('one that changes while a person thinks is not granted', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    await ask(await bobOf(repository), repository);
    const confirm = async (): Promise<boolean> => {
      repository.write(path, repository.read(path).replace('[development]', '[production]'));
      return true;
    };
    expect((await refused(repository, () => approve(repository, { confirm }))).code).toBe(
      'changed_meanwhile',
    );
  });

  it('without a key of one’s own there is nothing to ask for', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const { world } = emptyWorld({ cwd: repository.root });
    expect(await refused(repository, () => ask({ world }, repository))).toEqual(quietly('no_age_key'));
  });

  it('a name that somebody has, also of a group or an open request', async () => {
    const repository = await repositoryWith(
      { [cell]: { A: 'CANARY' } },
      { manifest: (text) => `${text}groups:\n  platform: [alice]\n` },
    );
    const bob = await bobOf(repository);
    await ask(bob, repository);
    const other = await bobOf(repository);
    for (const name of ['alice', 'platform', 'bob']) {
      expect(await refused(repository, () => ask(other, repository, { name }))).toEqual(
        quietly('already_exists'),
      );
    }
    expect(await refused(repository, () => ask(other, repository, { name: 'B\nob' }))).toEqual(
      quietly('bad_name'),
    );
    const unknown = () => ask(other, repository, { name: 'robert', environments: ['developmnt'] });
    expect(await refused(repository, unknown)).toEqual(quietly('unknown_environment'));
  });
});

describe('a request file of somebody who means no good', () => {
  const key = strangersKey().recipient;
  const { identity } = strangersKey();
  const text = (changes: Partial<Record<string, string>>): string =>
    Object.entries({
      version: '1',
      name: 'bob',
      keys: `[${key}]`,
      environments: '[development]',
      namespaces: '["*"]',
      requested: '2026-01-31T12:00:00Z',
      ...changes,
    })
      .flatMap(([field, value]) => (value === undefined ? [] : [`${field}: ${value}\n`]))
      .join('');

  it.each([
    [
      'INV-32: a private key: refused, not echoed, called leaked',
      { keys: `[${identity}]` },
      'private_key_given',
    ],
    [
      'D07: a plugin',
      { keys: '[age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t]' },
      'key',
    ],
    ['D06: an SSH key', { keys: '["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBzvq"]' }, 'key'],
    [
      'D10: the all-zero point',
      { keys: '[age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqk8x4qg]' },
      'key',
    ],
    [
      'a KMS key',
      { keys: '["awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]' },
      'key',
    ],
    ['D17: a name with an escape', { name: '"\\e[31mbob"' }, 'bad_format'],
    ['the name of another file', { name: 'carol' }, 'bad_format'],
    ['a version to come', { version: '2' }, 'bad_format'],
    ['an unknown field', { admin: 'true' }, 'bad_format'],
    ['no keys', { keys: '[]' }, 'bad_format'],
    ['no time', { requested: 'soon' }, 'bad_format'],
    ['a star among environments', { environments: '["*"]' }, 'bad_format'],
    ['an environment with a newline', { environments: '["a\\nb"]' }, 'bad_format'],
    ['an unknown environment', { environments: '[prod]' }, 'unknown_environment'],
    ['an unknown namespace', { namespaces: '[databse]' }, 'unknown_namespace'],
    ['an anchor', { keys: `&a [${key}]` }, 'bad_format'],
  ] as const)('%s', async (_, changes, code) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    repository.write(path, text(changes));
    const canary = new RegExp(`CANARY|\u001b|${identity.slice(8, 30)}`);
    const found = await refused(repository, () => approve(repository), canary);
    const keyCodes = ['bad_key_reference', 'not_supported'];
    expect({ ...found, code: code === 'key' && keyCodes.includes(found.code) ? 'key' : found.code }).toEqual({
      code,
      changed: [],
      leaks: false,
    });
    repository.notices.length = 0;
    await listRecipients(await repository.open());
    expect(JSON.stringify(repository.notices)).not.toMatch(canary);
  });

  it('in the name of somebody who is there, with another key', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    repository.write('.clef/requests/alice.yaml', text({ name: 'alice' }));
    expect(await refused(repository, () => approve(repository, { name: 'alice' }))).toEqual(
      quietly('already_exists'),
    );
  });

  it('with the key of somebody who is there', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    repository.write(path, text({ keys: `[${repository.recipient}]` }));
    expect(await refused(repository, () => approve(repository))).toEqual(quietly('already_exists'));
  });

  it('a name that would lead out of the folder, and one that nobody asked under', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    expect(await refused(repository, () => approve(repository, { name: '../../x' }))).toEqual(
      quietly('bad_name'),
    );
    expect(await refused(repository, () => approve(repository))).toEqual(quietly('unknown_recipient'));
  });
});
