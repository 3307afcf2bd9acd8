// What a person without any key can do to a cell, and what chance can: every operation refuses it with the right code,
// changes nothing and shows no value.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packService } from '../src/delivery/pack.ts';
import { rotateCells } from '../src/people/rotate.ts';
import { createService } from '../src/people/services.ts';
import { copySecrets } from '../src/secrets/copy-secrets.ts';
import { deleteSecrets } from '../src/secrets/delete-secrets.ts';
import { execWithSecrets } from '../src/secrets/exec-with-secrets.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { importSecrets } from '../src/secrets/import-secrets.ts';
import { listKeys } from '../src/secrets/list-keys.ts';
import {
  quietly,
  refusal,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  yes,
} from './repository-with.ts';
import { tamperings } from './tampered-cells.ts';

const cell = 'database/development';
const path = 'secrets/database/development.enc.yaml';
const values = { ALPHA: 'CANARY alpha', BETA: 'CANARY beta', NUMBER: '42' };

const staging = 'database/staging';

async function tamperable(): Promise<TestRepository> {
  const repository = await repositoryWith({ [cell]: values, [staging]: { OWN: 'CANARY own' } });
  await createService(await repository.open(), {
    name: 'api',
    namespaces: ['database'],
    seal: [['development', strangersKey().recipient]],
    verify: [],
  });
  return repository;
}

const shared = tamperable();
const good = shared.then((repository) => repository.read(path));
const copying = { keys: undefined, overwrite: true, isDryRun: false, createNamespace: true } as const;

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
    pack: async () =>
      packService(await repository.open(), {
        service: 'api',
        environment: 'development',
        destination: 'api.json',
        allowDirty: false,
      }),
    copy: async () =>
      copySecrets(await repository.open(), {
        ...copying,
        from: cell,
        to: [staging],
        confirm: yes,
        allowedEnvironmentNames: [],
      }),
  };
}

function writers(repository: TestRepository): Record<string, () => Promise<unknown>> {
  return {
    set: () => repository.set(cell, 'NEW', 'CANARY new'),
    delete: async () => deleteSecrets(await repository.open(), { cell, keys: ['BETA'], confirm: yes }),
    import: async () =>
      importSecrets(await repository.open(), {
        cell,
        bytes: Buffer.from('NEW=CANARY new'),
        name: 'x.env',
        overwrite: true,
        skipEmpty: false,
        lastWins: false,
        isDryRun: false,
        createNamespace: false,
        allowedEnvironmentNames: [],
        confirm: yes,
      }),
    'copy into it': async () =>
      copySecrets(await repository.open(), {
        ...copying,
        from: staging,
        to: [cell],
        confirm: yes,
        allowedEnvironmentNames: [],
      }),
    rotate: async () =>
      rotateCells(await repository.open(), { targets: [cell], isDryRun: false, confirm: yes }),
  };
}

describe('INV-02, INV-06, INV-17: a tampered cell is refused by every operation, which changes nothing and shows no value', () => {
  it.each(tamperings)('$title', async ({ change, code, list = code, set = code }) => {
    const repository = await shared;
    repository.write(path, change(await good));
    const operations = Object.entries({ ...readers(repository), ...writers(repository) });
    const expected = Object.fromEntries(
      operations.map(([name]) => [name, quietly(name in writers(repository) ? set : code)]),
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

describe('the command of a hint, pasted into a shell', () => {
  const hostile = {
    manifest: (text: string) =>
      text.replace(
        /^file_pattern: .*/m,
        `file_pattern: "s $(touch pwned)';touch pwned;'/{namespace}/{environment}.enc.yaml"`,
      ),
  };
  const odd = "s $(touch pwned)';touch pwned;'/database/development";

  it.each([
    ['a path of clef.yaml', `${odd}.meta.yaml`, () => 'version: 9\n', /restore it with "(.*)", or delete/],
    ['a path of clef.yaml', `${odd}.enc.yaml`, asInteger, /store it as text: (.*)$/],
    [
      'the name of a key',
      `${odd}.enc.yaml`,
      (text: string) => asInteger(text).replace(/^ALPHA/m, `"'$(touch pwned)'"`),
      /store it as text: (.*)$/,
    ],
  ])('INV-110: runs nothing that %s holds: %s', async (_, file, change, command) => {
    const repository = await repositoryWith({ [cell]: { ALPHA: 'a' } }, hostile);
    repository.write(file, change(repository.read(file)));
    const { hint } = await refusal(repository.open().then((opened) => listKeys(opened, { cell })));
    const line = command.exec(hint)?.[1];
    expect(line).toMatch(/^(git|clef) /);
    execFileSync('sh', ['-c', `clef() { :; }; git() { :; }; ${line}`], { cwd: repository.root });
    expect(existsSync(join(repository.root, 'pwned'))).toBe(false);
  });
});

function asInteger(text: string): string {
  return text.replace(/^(ALPHA: .*)type:str/m, '$1type:int');
}
