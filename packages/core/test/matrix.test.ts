// The matrix as files: sync makes what is missing; names come, change and go as one transaction over everything.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Axis, addName, type NameChange, removeName, renameName } from '../src/matrix/change-names.ts';
import { syncMatrix } from '../src/matrix/sync.ts';
import { addRecipient } from '../src/people/recipients.ts';
import { removeRecipient } from '../src/people/remove-recipient.ts';
import {
  no,
  quietly,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  yes,
} from './repository-with.ts';

const cell = 'database/development';
const sealKey = strangersKey().recipient;
const service = `service_identities:
  - name: api
    namespaces: [database, payments]
    environments:
      staging: { seal: ${sealKey} }
      production: { seal: ${strangersKey().recipient} }
`;

const sync = async (repository: TestRepository, request: Partial<Parameters<typeof syncMatrix>[1]> = {}) =>
  syncMatrix(await repository.open(), { confirm: yes, force: false, ...request });
const rename = async (
  repository: TestRepository,
  axis: Axis,
  from: string,
  to: string,
  change: Partial<NameChange> = {},
) => renameName(await repository.open(), { axis, from, to, confirm: no, ...change });
const remove = async (
  repository: TestRepository,
  axis: Axis,
  name: string,
  change: Partial<NameChange> = {},
) => removeName(await repository.open(), { axis, name, confirm: no, ...change });

describe('sync', () => {
  it('makes every missing cell, empty and valid, and leaves the others alone', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' }, 'payments/staging': { B: '2' } });
    const before = repository.read('secrets/database/development.enc.yaml');
    const result = await sync(repository);
    expect(result).toEqual({
      cells: ['database/staging', 'database/production', 'payments/development', 'payments/production'],
      sopsConfig: 'written',
      changed: true,
    });
    expect(repository.read('secrets/database/development.enc.yaml')).toBe(before);
    expect(await repository.values('payments/production')).toEqual({});
    await repository.set('payments/production', 'FIRST', 'x');
    expect(await repository.values('payments/production')).toEqual({ FIRST: 'x' });
    expect(await sync(repository)).toEqual({ cells: [], sopsConfig: 'unchanged', changed: false });
  });

  it('protected cells ask first; a dry run writes nothing', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    expect(await refused(repository, () => sync(repository, { confirm: no }))).toEqual(quietly('protected'));
    const before = repository.snapshot();
    expect(await sync(repository, { isDryRun: true })).toMatchObject({
      changed: false,
      sopsConfig: 'written',
    });
    expect(repository.snapshot()).toEqual(before);
  });

  it('a .sops.yaml of somebody else is left alone until it is forced', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    repository.write('.sops.yaml', 'creation_rules: []\n');
    expect((await sync(repository)).sopsConfig).toBe('foreign');
    expect(repository.read('.sops.yaml')).toBe('creation_rules: []\n');
    expect((await sync(repository, { force: true })).sopsConfig).toBe('written');
    expect(repository.read('.sops.yaml')).toMatch(/^# Written by clef from clef\.yaml/);
  });

  it('one rule for each environment, and one for each set of namespaces that others read', async () => {
    const bob = strangersKey().recipient;
    const repository = await repositoryWith(
      { [cell]: { A: '1' }, 'payments/development': { A: '1' } },
      {
        manifest: (text) =>
          text.replace('- name: production\n    protected: true', '- name: pre-development'),
      },
    );
    await addRecipient(await repository.open(), {
      person: 'bob',
      keys: [bob],
      environments: ['development'],
      namespaces: ['payments'],
      confirm: yes,
    });
    await sync(repository);
    const rule = (expression: string, ...keys: readonly string[]): string =>
      `  - path_regex: '^secrets/${expression}\\.enc\\.yaml$'\n    age: >-\n${keys.map((key) => `      ${key}`).join(',\n')}\n`;
    const alice = repository.recipient;
    expect(repository.read('.sops.yaml').split('creation_rules:\n')[1]).toBe(
      [
        rule('payments/development', alice, bob),
        rule('[a-z][a-z0-9-]*/pre-development', alice),
        rule('[a-z][a-z0-9-]*/development', alice),
        rule('[a-z][a-z0-9-]*/staging', alice),
      ].join(''),
    );
  });

  it('from then on every change of who may read keeps it true, in the same transaction', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    await sync(repository);
    const bob = strangersKey().recipient;
    await addRecipient(await repository.open(), {
      person: 'bob',
      keys: [bob],
      environments: ['development'],
      confirm: yes,
    });
    expect(repository.read('.sops.yaml')).toContain(bob);
    await removeRecipient(await repository.open(), { person: 'bob', confirm: no });
    expect(repository.read('.sops.yaml')).not.toContain(bob);
    await rename(repository, 'environment', 'staging', 'preview', { confirm: yes });
    expect(repository.read('.sops.yaml')).toContain('/preview\\.enc');
    expect(await sync(repository)).toMatchObject({ changed: false });
  });
});

describe('namespace add, environment add', () => {
  const add = async (
    repository: TestRepository,
    added: Partial<Parameters<typeof addName>[1]> & { readonly name: string },
  ) =>
    addName(await repository.open(), {
      axis: 'namespace',
      isNearMissMeant: false,
      allow: [],
      ...added,
    } as Parameters<typeof addName>[1]);

  it('both, and cells work at once', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    await add(repository, { name: 'payments', description: 'Cards' });
    await add(repository, { axis: 'environment', name: 'preview', allow: ['alice'] });
    await repository.set('payments/preview', 'K', 'v');
    expect(repository.read('clef.yaml')).toContain('  - name: payments\n    description: Cards\n');
    expect(repository.read('clef.yaml')).toContain('environments: [preview]');
  });

  it.each([
    ['B14: a name that is there', { name: 'database' }, 'already_exists'],
    ['a near miss', { name: 'databse' }, 'not_confirmed'],
    ['B13: a name of Windows', { name: 'nul' }, 'bad_name'],
    ['B13: a name in capitals', { name: 'Payments' }, 'bad_name'],
    ['D17: a name with an escape', { name: '\u001b[31m' }, 'bad_name'],
    ['an environment that nobody could read', { axis: 'environment', name: 'preview' }, 'manifest_invalid'],
    [
      'B19: a private key',
      { axis: 'environment', name: 'preview', encryptTo: [strangersKey().identity] },
      'private_key_given',
    ],
    ['a rule for a stranger', { axis: 'environment', name: 'preview', allow: ['dave'] }, 'manifest_invalid'],
  ] as const)('%s', async (_, added, code) => {
    const repository = await repositoryWith(
      { [cell]: { A: 'CANARY' } },
      {
        manifest: (text) =>
          text.replace('environments: ["*"]', 'environments: [development, staging, production]'),
      },
    );
    expect(await refused(repository, () => add(repository, added as { name: string }))).toEqual(
      quietly(code),
    );
  });

  it('a near miss that is meant', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    await add(repository, { name: 'databases', isNearMissMeant: true });
    expect(repository.read('clef.yaml')).toContain('- name: databases');
  });
});

describe('rename', () => {
  it('INV-10 as far as SOPS goes: files keep their bytes and still open; every mention follows', async () => {
    const repository = await repositoryWith(
      { [cell]: { A: '1' }, 'database/staging': { A: '2' }, 'payments/staging': { B: '3' } },
      {
        manifest: (text) =>
          `${text}${service.replace('namespaces: [database, payments]', 'namespaces: [database]')}`.replace(
            'namespaces: []',
            'namespaces:\n  - name: database',
          ),
      },
    );
    const bytes = repository.read('secrets/database/staging.enc.yaml');
    const effect = await rename(repository, 'environment', 'staging', 'preview');
    expect(effect).toMatchObject({
      cells: [
        { cell: 'database/staging', keys: 1 },
        { cell: 'payments/staging', keys: 1 },
      ],
      services: ['api'],
      changed: true,
    });
    expect(repository.read('secrets/database/preview.enc.yaml')).toBe(bytes);
    expect(existsSync(join(repository.root, 'secrets/database/staging.enc.yaml'))).toBe(false);
    expect(existsSync(join(repository.root, 'secrets/database/staging.meta.yaml'))).toBe(false);
    expect(await repository.values('database/preview')).toEqual({ A: '2' });
    expect(repository.read('secrets/payments/preview.meta.yaml')).toContain('B: { changed');
    expect(repository.read('clef.yaml')).toContain(`preview: { seal: ${sealKey} }`);
    await rename(repository, 'namespace', 'database', 'db');
    expect(await repository.values('db/preview')).toEqual({ A: '2' });
    expect(existsSync(join(repository.root, 'secrets/database'))).toBe(false);
    expect(repository.read('clef.yaml')).toContain('namespaces: [db]');
  });

  it('INV-110: a file that clef.yaml calls a schema and that is none stays where it is', async () => {
    const repository = await repositoryWith(
      {},
      {
        manifest: (text) =>
          text.replace(
            'namespaces: []',
            'namespaces:\n  - name: database\n    schema: .env\n  - name: cards',
          ),
      },
    );
    repository.write('.env', 'version: 2\n');
    expect(await remove(repository, 'namespace', 'database')).toMatchObject({ files: [], changed: true });
    expect(repository.read('.env')).toBe('version: 2\n');
  });

  it('a schema that is named after its namespace goes with it', async () => {
    const repository = await repositoryWith(
      {},
      {
        manifest: (text) =>
          text.replace(
            'namespaces: []',
            'namespaces:\n  - name: database\n    schema: schemas/database.yaml\n  - name: cards\n    schema: schemas/all.yaml',
          ),
      },
    );
    repository.write('schemas/database.yaml', 'version: 1\n');
    repository.write('schemas/all.yaml', 'ALL');
    await rename(repository, 'namespace', 'database', 'db');
    expect(repository.read('schemas/db.yaml')).toBe('version: 1\n');
    expect(repository.read('clef.yaml')).toContain('schema: schemas/db.yaml');
    await rename(repository, 'namespace', 'cards', 'payments');
    expect(repository.read('schemas/all.yaml')).toBe('ALL');
    await remove(repository, 'namespace', 'db');
    expect(existsSync(join(repository.root, 'schemas/db.yaml'))).toBe(false);
  });

  it('needs no key, and a dry run writes nothing', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const { world } = await (await import('./repository-with.ts')).person({ cwd: repository.root });
    const before = repository.snapshot();
    await renameName(await repository.open(world), {
      axis: 'namespace',
      from: 'database',
      to: 'db',
      confirm: no,
      isDryRun: true,
    });
    expect(repository.snapshot()).toEqual(before);
    await renameName(await repository.open(world), {
      axis: 'namespace',
      from: 'database',
      to: 'db',
      confirm: no,
    });
    expect(await repository.values('db/development')).toEqual({ A: '1' });
  });

  it('protected cells ask; a file in the way and a taken name are refused', async () => {
    const repository = await repositoryWith({
      [cell]: { A: 'CANARY' },
      'database/production': { A: 'CANARY' },
    });
    expect(await refused(repository, () => rename(repository, 'namespace', 'database', 'db'))).toEqual(
      quietly('protected'),
    );
    repository.write('secrets/db/development.enc.yaml', 'of somebody');
    const work = () => rename(repository, 'namespace', 'database', 'db', { confirm: yes });
    expect(await refused(repository, work)).toEqual(quietly('already_exists'));
    const taken = () => rename(repository, 'environment', 'staging', 'production');
    expect(await refused(repository, taken)).toEqual(quietly('already_exists'));
  });
});

describe('remove', () => {
  const cells = {
    [cell]: { A: 'CANARY', B: 'CANARY' },
    'database/staging': { A: 'CANARY' },
    'payments/staging': { B: '3' },
  };

  it('names the number of keys and what refers to it, and needs a yes', async () => {
    const repository = await repositoryWith(cells);
    repository.write('clef.yaml', `${repository.read('clef.yaml')}${service}`);
    const questions: string[] = [];
    const confirm = async (question: string): Promise<boolean> => {
      questions.push(question);
      return false;
    };
    const work = () => remove(repository, 'namespace', 'database', { confirm });
    expect(await refused(repository, work)).toEqual(quietly('not_confirmed'));
    expect(questions).toEqual([
      'Remove the namespace database? 3 keys in 2 cells would be lost. It is mentioned by the service identity "api"',
    ]);
    await remove(repository, 'namespace', 'database', { confirm: yes });
    expect(existsSync(join(repository.root, 'secrets/database'))).toBe(false);
    expect(repository.read('clef.yaml')).toContain('namespaces: [payments]');
    expect(await repository.values('payments/staging')).toEqual({ B: '3' });
  });

  it('a value that is stored while a person thinks is not lost', async () => {
    const repository = await repositoryWith(cells);
    const confirm = async (): Promise<boolean> => {
      await repository.set('database/production', 'NEW', 'x');
      return true;
    };
    const work = () => remove(repository, 'namespace', 'database', { confirm });
    expect((await refused(repository, work)).code).toBe('changed_meanwhile');
    expect(await repository.values('database/production')).toEqual({ NEW: 'x' });
  });

  it('an environment that is protected', async () => {
    const repository = await repositoryWith({ ...cells, 'database/production': { A: 'CANARY' } });
    const work = () => remove(repository, 'environment', 'production');
    expect((await refused(repository, work)).code).toBe('not_confirmed');
    await remove(repository, 'environment', 'production', { confirm: yes });
    expect(repository.read('clef.yaml')).not.toContain('production');
  });

  it('one that has no cell and that nothing mentions goes without a question', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    expect(await remove(repository, 'environment', 'staging')).toMatchObject({ cells: [], changed: true });
  });

  it('a file that is no cell does not keep it', async () => {
    const repository = await repositoryWith({ ...cells });
    repository.write('secrets/payments/staging.enc.yaml', 'rubbish');
    expect(await remove(repository, 'namespace', 'payments', { isDryRun: true })).toMatchObject({
      cells: [{ cell: 'payments/staging', keys: undefined }],
    });
    await remove(repository, 'namespace', 'payments', { confirm: yes });
    expect(existsSync(join(repository.root, 'secrets/payments'))).toBe(false);
  });

  it('the last environment, and the only one of a service', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    repository.write(
      'clef.yaml',
      `${repository.read('clef.yaml')}${service.replace(/ {6}staging.*\n/, '').replace(', payments', '')}`,
    );
    expect(await refused(repository, () => remove(repository, 'namespace', 'database'))).toEqual(
      quietly('in_use'),
    );
    expect(await refused(repository, () => remove(repository, 'environment', 'production'))).toEqual(
      quietly('in_use'),
    );
  });
});
