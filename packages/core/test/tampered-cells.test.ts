// What a person without any key can do to a cell, and what chance can: every operation refuses it with the right code,
// changes nothing and shows no value.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deleteSecrets } from '../src/secrets/delete-secrets.ts';
import { execWithSecrets } from '../src/secrets/exec-with-secrets.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { listKeys } from '../src/secrets/list-keys.ts';
import { quietly, refused, repositoryWith, type TestRepository, yes } from './repository-with.ts';
import { tamperings } from './tampered-cells.ts';

const cell = 'database/development';
const path = 'secrets/database/development.enc.yaml';
const values = { ALPHA: 'CANARY alpha', BETA: 'CANARY beta', NUMBER: '42' };

const shared = repositoryWith({ [cell]: values });
const good = shared.then((repository) => repository.read(path));

/** The operations that read values, by name. */
function readers(repository: TestRepository): Record<string, () => Promise<unknown>> {
  return {
    get: () => repository.get(cell, 'ALPHA'),
    export: async () => exportSecrets(await repository.open(), { cell, format: 'sh' }),
    exec: async () =>
      execWithSecrets(await repository.open(), {
        cell,
        command: 'touch',
        args: [join(repository.root, 'pwned')],
        pristine: false,
        keepClefVariables: false,
        allowedEnvironmentNames: [],
      }),
  };
}

function writers(repository: TestRepository): Record<string, () => Promise<unknown>> {
  return {
    set: () => repository.set(cell, 'NEW', 'CANARY new'),
    delete: async () => deleteSecrets(await repository.open(), { cell, keys: ['BETA'], confirm: yes }),
  };
}

describe('a tampered cell is refused by every operation', () => {
  it.each(tamperings)('$title', async ({ change, code, list = code, set = code }) => {
    const repository = await shared;
    repository.write(path, change(await good));
    const operations = Object.entries({ ...readers(repository), ...writers(repository) });
    const expected = Object.fromEntries(
      operations.map(([name]) => [name, quietly(name === 'set' || name === 'delete' ? set : code)]),
    );
    const found: Record<string, unknown> = {};
    const startedAt = performance.now();
    for (const [name, work] of operations) found[name] = await refused(repository, work);
    expect(found).toEqual(expected);
    const listing = async (): Promise<unknown> => listKeys(await repository.open(), { cell });
    if (list === 'works') expect(JSON.stringify(await listing())).not.toContain('CANARY');
    else expect(await refused(repository, listing)).toEqual(quietly(list));
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect(existsSync(join(repository.root, 'pwned'))).toBe(false);
  });
});
