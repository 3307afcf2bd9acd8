// What may be written and run: protected environments, near misses, dangerous names, and what a child gets to see.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openRepository } from '../src/repository.ts';
import { deleteSecrets } from '../src/secrets/delete-secrets.ts';
import { type ExecRequest, execWithSecrets } from '../src/secrets/exec-with-secrets.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import { setSecret } from '../src/secrets/set-secret.ts';
import {
  fillCell,
  no,
  quietly,
  refused,
  repositoryWith,
  setting,
  type TestRepository,
  temporaryFolder,
  withVariables,
  yes,
} from './repository-with.ts';

const cell = 'database/development';

describe('protected environments', () => {
  it('A26: what is not confirmed is not written, and the value is not even asked for', async () => {
    const repository = await repositoryWith({ 'database/production': { A: 'CANARY' } });
    const request = {
      ...setting('database/production', 'B', 'CANARY'),
      confirm: no,
      value: () => Promise.reject(new Error('Asked for the value')),
    };
    expect(await refused(repository, async () => setSecret(await repository.open(), request))).toEqual(
      quietly('protected'),
    );
    const remove = async () =>
      deleteSecrets(await repository.open(), { cell: 'database/production', keys: ['A'], confirm: no });
    expect(await refused(repository, remove)).toEqual(quietly('protected'));
  });

  it('reading never asks, and other environments do not ask', async () => {
    const repository = await repositoryWith({ 'database/production': { A: '1' }, [cell]: { A: '1' } });
    expect(await repository.get('database/production', 'A')).toBe('1');
    const request = { ...setting(cell, 'B', '2'), confirm: () => Promise.reject(new Error('Asked')) };
    await setSecret(await repository.open(), request);
  });
});

describe('namespaces and environments', () => {
  it.each([
    ['databse/development', 'unknown_namespace'],
    ['databases/development', 'unknown_namespace'],
    ['A07: Database/development', 'unknown_namespace'],
    ['A07: database/Development', 'unknown_environment'],
    ['database/developmet', 'unknown_environment'],
    ['payments/developmet', 'unknown_environment'],
    ['A04: payments', 'usage'],
    ['A04: payments/', 'usage'],
    ['A04: /production', 'usage'],
    ['A04: a/b/c', 'usage'],
    ['A04: ', 'usage'],
    ['A05: ../x/production', 'bad_name'],
    ['A05: payments/../../etc', 'bad_name'],
    ['A05: ../development', 'bad_name'],
    ['A05: con/development', 'bad_name'],
    ['A06: a\0b/development', 'bad_name'],
    ['A06: a\nb/development', 'bad_name'],
    ['A06: a\tb/development', 'bad_name'],
    ['A06: a\u202eb/development', 'bad_name'],
    ['A06: 😀/development', 'bad_name'],
    ['INV-26: a_b/development', 'bad_name'],
    ['INV-26: .git/development', 'bad_name'],
    [`INV-26: ${'a'.repeat(64)}/development`, 'bad_name'],
    ['INV-26: AGE-SECRET-KEY-1CANARY/development', 'bad_name'],
  ] as const)('set %j', async (title, code) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const target = title.replace(/^(A\d\d|INV-\d\d): /, '');
    const found = await refused(repository, () => repository.set(target, 'B', 'CANARY'));
    expect(found).toEqual(quietly(code));
    const get = await refused(repository, () => repository.get(target, 'B'));
    expect(get.changed).toEqual([]);
  });

  it('a near miss is created where the person insists', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const request = { ...setting('databases/development', 'A', '2'), createNamespace: true };
    expect(await setSecret(await repository.open(), request)).toMatchObject({ change: 'created' });
    expect(await repository.get('databases/development', 'A')).toBe('2');
    expect(repository.notices).toEqual([
      { level: 'note', message: 'Created the namespace "databases" in clef.yaml' },
    ]);
  });

  it('a new namespace leaves the rest of clef.yaml as it was, byte order mark and comments included', async () => {
    const repository = await repositoryWith();
    repository.write('clef.yaml', `\ufeff${repository.read('clef.yaml')}# the end\n`);
    const before = repository.read('clef.yaml');
    await repository.set(cell, 'A', '1');
    const after = repository.read('clef.yaml');
    expect(after.startsWith('\ufeff')).toBe(true);
    expect(after).toContain('- name: database');
    const kept = before.replace('namespaces: []\n', '').split('\n');
    expect(after.split('\n')).toEqual(expect.arrayContaining(kept));
  });

  it('a key that is not there, and a cell that is not there', async () => {
    const repository = await repositoryWith({ [cell]: { DB_URL: 'CANARY' } });
    expect(await refused(repository, () => repository.get(cell, 'DB_ULR'))).toEqual(quietly('unknown_key'));
    await expect(repository.get(cell, 'DB_ULR')).rejects.toThrow('Did you mean "DB_URL"?');
    expect(await refused(repository, () => repository.get('database/staging', 'A'))).toEqual(
      quietly('missing_cell'),
    );
    const remove = async (key: string, target = cell) =>
      deleteSecrets(await repository.open(), { cell: target, keys: [key], confirm: yes });
    expect(await refused(repository, () => remove('NOPE'))).toEqual(quietly('unknown_key'));
    expect(await refused(repository, () => remove('A', 'database/staging'))).toEqual(quietly('missing_cell'));
    expect(await refused(repository, () => remove('A', 'nope/staging'))).toEqual(
      quietly('unknown_namespace'),
    );
  });

  it('A17: a folder that does not exist, is a file, or is no repository', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const open = (folder: string) => () => openRepository(repository.world, folder);
    expect(await refused(repository, open('missing'))).toEqual(quietly('bad_path'));
    expect(await refused(repository, open('clef.yaml'))).toEqual(quietly('bad_path'));
    expect(await refused(repository, open(''))).toEqual(quietly('bad_path'));
    expect(await refused(repository, open('a\0b'))).toEqual(quietly('bad_path'));
    expect(await refused(repository, open(temporaryFolder()))).toEqual(quietly('no_repository'));
    expect((await openRepository(repository.world, 'secrets/database')).root).toBe(repository.root);
  });
});

const dangerous = [
  ...[
    'LD_PRELOAD',
    'DYLD_INSERT_LIBRARIES',
    'GCONV_PATH',
    'PATH',
    'HOME',
    'IFS',
    'ENV',
    'BASH_ENV',
    'SHELLOPTS',
  ],
  ...[
    'PS4',
    'PROMPT_COMMAND',
    'NODE_OPTIONS',
    'NODE_PATH',
    'NODE_EXTRA_CA_CERTS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
  ],
  ...['PYTHONPATH', 'PYTHONSTARTUP', 'PERL5OPT', 'PERL5LIB', 'RUBYOPT', 'RUBYLIB', 'JAVA_TOOL_OPTIONS'],
  ...['_JAVA_OPTIONS', 'CLASSPATH', 'GIT_SSH_COMMAND', 'EDITOR', 'VISUAL', 'PAGER', 'BROWSER', 'HTTPS_PROXY'],
  ...[
    'http_proxy',
    'AWS_ENDPOINT_URL',
    'AWS_ENDPOINT_URL_KMS',
    'SSL_CERT_FILE',
    'CLEF_AGE_KEY',
    'SOPS_AGE_KEY',
  ],
];

describe('INV-93: names that change how programs run', () => {
  const shared = repositoryWith({ [cell]: { A: 'CANARY' } });

  it.each(dangerous)('%s is not stored', async (key) => {
    const repository = await shared;
    expect(await refused(repository, () => repository.set(cell, key, 'CANARY'))).toEqual(
      quietly('dangerous_name'),
    );
  });

  it('is stored, exported and run where the person allows that very name', async () => {
    const repository = await repositoryWith();
    const set = (allowed: string) => async () =>
      setSecret(await repository.open(), {
        ...setting(cell, 'NODE_PATH', 'x'),
        allowedEnvironmentNames: [allowed],
      });
    expect(await refused(repository, set('NODE_OPTIONS'))).toEqual(quietly('dangerous_name'));
    await set('NODE_PATH')();
    expect(await repository.get(cell, 'NODE_PATH')).toBe('x');
    for (const format of ['sh', 'dotenv'] as const) {
      const request = { cell, format };
      const refuse = async () => exportSecrets(await repository.open(), request);
      expect(await refused(repository, refuse)).toEqual(quietly('dangerous_name'));
      const allowed = { ...request, allowedEnvironmentNames: ['NODE_PATH'] };
      expect(await exportSecrets(await repository.open(), allowed)).toContain('NODE_PATH=');
    }
    expect(await repository.values(cell)).toEqual({ NODE_PATH: 'x' });
    expect(await refused(repository, () => childOf(repository))).toEqual(quietly('dangerous_name'));
    expect(
      (await childOf(repository, { allowedEnvironmentNames: ['NODE_PATH'] })).environment['NODE_PATH'],
    ).toBe('x');
  });
});

type Child = {
  readonly environment: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly folder: string;
};

/** Runs a child and returns what it saw. */
async function childOf(
  repository: TestRepository,
  request: Partial<ExecRequest> = {},
  variables: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const file = join(temporaryFolder(), 'child.json');
  const script = `require('node:fs').writeFileSync(process.argv[1], JSON.stringify({ environment: process.env, args: process.argv.slice(2), folder: process.cwd() }))`;
  const opened = await openRepository(withVariables(repository.world, variables), repository.root);
  const exitCode = await execWithSecrets(opened, {
    cell,
    command: process.execPath,
    pristine: false,
    keepClefVariables: false,
    allowedEnvironmentNames: [],
    ...request,
    args: ['-e', script, file, ...(request.args ?? [])],
  });
  expect(exitCode).toBe(0);
  return JSON.parse(readFileSync(file, 'utf8'));
}

describe('exec', () => {
  const shared = repositoryWith({ [cell]: { A: 'one', B: 'two' } });

  it('INV-94: variables that open secrets are not passed on', async () => {
    const repository = await shared;
    const secrets = {
      CLEF_AGE_KEY: repository.identity,
      CLEF_SIGNING_KEY_FILE: '/x',
      CLEF_AGENT_TOKEN: 'token',
      SOPS_AGE_KEY: repository.identity,
      SOPS_AGE_KEY_FILE: '/x',
      SOPS_AGE_KEY_CMD: 'x',
      OTHER: 'kept',
      A: 'hidden by the cell',
    };
    const { environment } = await childOf(repository, {}, secrets);
    expect(environment).toMatchObject({ A: 'one', B: 'two', OTHER: 'kept' });
    expect(Object.keys(environment).filter((name) => /^(CLEF_A|CLEF_S|SOPS_)/.test(name))).toEqual([]);
    const kept = await childOf(repository, { keepClefVariables: true }, secrets);
    expect(kept.environment).toMatchObject({ CLEF_AGE_KEY: repository.identity, SOPS_AGE_KEY_CMD: 'x' });
  });

  it('pristine: only PATH, HOME and the values', async () => {
    const { environment } = await childOf(await shared, { pristine: true }, { OTHER: 'dropped' });
    expect(Object.keys(environment).sort()).toEqual(['A', 'B', 'HOME', 'PATH']);
  });

  it('A20: only some keys', async () => {
    const repository = await shared;
    const { environment } = await childOf(repository, { only: ['B'] });
    expect([environment['A'], environment['B']]).toEqual([undefined, 'two']);
    expect(await refused(repository, () => childOf(repository, { only: ['A', 'NOPE'] }))).toEqual(
      quietly('unknown_key'),
    );
    expect(await refused(repository, () => childOf(repository, { only: ['A=B'] }))).toEqual(
      quietly('bad_name'),
    );
  });

  it('INV-95: arguments arrive byte for byte, and the folder is that of the person', async () => {
    const args = [
      '',
      ' ',
      '--',
      '-x',
      '--json',
      '$HOME',
      '`id`',
      'a"b\'c',
      '*',
      '~',
      '\\',
      'é😀',
      'a\nb',
      '--=\t',
    ];
    const repository = await shared;
    const child = await childOf(repository, { args });
    expect(child).toMatchObject({ args, folder: repository.root });
  });

  it('INV-97: a value at the limit of the system passes, one byte more is refused by name', async () => {
    const repository = await repositoryWith();
    await fillCell(repository, cell, { K: 'x'.repeat(131_069) });
    expect((await childOf(repository)).environment['K']).toHaveLength(131_069);
    await fillCell(repository, cell, { K: 'x'.repeat(131_070) });
    expect(await refused(repository, () => childOf(repository), 'xxxxx')).toEqual(quietly('limit'));
    await expect(childOf(repository)).rejects.toThrow(/"K"/);
    await fillCell(repository, cell, { K: 'é'.repeat(65_536) });
    expect(await refused(repository, () => childOf(repository), 'ééééé')).toEqual(quietly('limit'));
  });

  it.each([
    ['A19: a command that does not exist', 'no-such-command-anywhere', 'command_not_found'],
    ['A19: a path that does not exist', './nope', 'command_not_found'],
    ['A19: a folder', '.', 'command_not_executable'],
    ['A19: a file that is not executable', './clef.yaml', 'command_not_executable'],
  ] as const)('%s', async (_, command, code) => {
    const repository = await shared;
    expect(await refused(repository, () => childOf(repository, { command }))).toEqual(quietly(code));
  });

  it('a pending key is warned of, unless it is not among the chosen', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'one' } });
    repository.write(
      'secrets/database/development.meta.yaml',
      `${repository.read('secrets/database/development.meta.yaml')}pending: [LATER]\n`,
    );
    await childOf(repository, { only: ['A'] });
    expect(repository.notices).toEqual([]);
    await childOf(repository);
    expect(repository.notices).toEqual([
      { level: 'warning', message: '"LATER" in "database/development" is pending: it has no value yet' },
    ]);
  });
});

it('a key that is pending stops being so when the value that it has is set again', async () => {
  const repository = await repositoryWith({ [cell]: { A: 'one' } });
  const sidecar = 'secrets/database/development.meta.yaml';
  repository.write(sidecar, `${repository.read(sidecar)}pending: [A]\n`);
  expect(await repository.set(cell, 'A', 'one')).toMatchObject({ change: 'unchanged' });
  expect(repository.read(sidecar)).not.toContain('pending');
  expect(await getSecret(await repository.open(), { cell, key: 'A' })).toBe('one');
});
