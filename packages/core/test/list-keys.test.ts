// What a list of keys says beyond their names: pending, required, missing. Never needs a key of anybody.
import { describe, expect, it } from 'vitest';
import { announceSecrets } from '../src/secrets/announce-secrets.ts';
import { listKeys } from '../src/secrets/list-keys.ts';
import { repositoryWith, type TestRepository, yes } from './repository-with.ts';

const cell = 'database/development';

async function withSchema(schema: string): Promise<TestRepository> {
  const repository = await repositoryWith({ [cell]: { DB_URL: 'x', OTHER: 'y' } });
  const text = repository.read('clef.yaml');
  repository.write(
    'clef.yaml',
    text.replace('- name: database', '- name: database\n    schema: schemas/database.yaml'),
  );
  repository.write('schemas/database.yaml', schema);
  return repository;
}

const facts = async (repository: TestRepository): Promise<readonly object[]> =>
  (await listKeys(await repository.open(), { cell })).map(({ name, pending, required, missing }) => ({
    name,
    ...(pending && { pending }),
    ...(required && { required }),
    ...(missing && { missing }),
  }));

const schema =
  'version: 1\nkeys:\n  DB_URL: { required: true }\n  TOKEN: { required: true }\n  LATER: { required: true }\n  MAYBE: {}\n';

describe('the keys of a cell under a schema', () => {
  it('required ones are told, also those that are pending or not there', async () => {
    const repository = await withSchema(schema);
    await announceSecrets(await repository.open(), {
      cell,
      keys: ['LATER'],
      createNamespace: false,
      allowedEnvironmentNames: [],
      confirm: yes,
    });
    expect(await facts(repository)).toEqual([
      { name: 'DB_URL', required: true },
      { name: 'OTHER' },
      { name: 'LATER', pending: true, required: true },
      { name: 'TOKEN', required: true, missing: true },
    ]);
  });

  it('a schema that cannot be read is a warning, and the names are listed', async () => {
    const repository = await withSchema('version: 9\n');
    expect(await facts(repository)).toEqual([{ name: 'DB_URL' }, { name: 'OTHER' }]);
    expect(repository.notices).toEqual([
      { level: 'warning', message: expect.stringContaining('schemas/database.yaml') },
    ]);
  });
});
