// Writing values: random ones, announced ones, several keys and several cells at once; all of it or nothing.
import { describe, expect, it } from 'vitest';
import { type AlphabetName, alphabets } from '../src/checks/alphabets.ts';
import { announceSecrets } from '../src/secrets/announce-secrets.ts';
import { type CopyRequest, copySecrets } from '../src/secrets/copy-secrets.ts';
import { deleteSecrets } from '../src/secrets/delete-secrets.ts';
import { generateSecrets, generateValue } from '../src/secrets/generate-secrets.ts';
import { listKeys } from '../src/secrets/list-keys.ts';
import { setSecret } from '../src/secrets/set-secret.ts';
import {
  no,
  quietly,
  refusal,
  refused,
  repositoryWith,
  type TestRepository,
  yes,
} from './repository-with.ts';

const cell = 'database/development';
const staging = 'database/staging';
const production = 'database/production';
const common = { createNamespace: false, allowedEnvironmentNames: [], confirm: yes };

it('INV-106: a cell that becomes protected while a value is typed wants a question of its own', async () => {
  const repository = await repositoryWith({ [cell]: { A: '1' } });
  const value = async (): Promise<Uint8Array> => {
    const text = repository.read('clef.yaml');
    repository.write(
      'clef.yaml',
      text.replace('- name: development', '- name: development\n    protected: true'),
    );
    return new TextEncoder().encode('CANARY');
  };
  const set = async () => setSecret(await repository.open(), { ...common, cell, key: 'A', value });
  expect(await refused(repository, set)).toEqual({
    code: 'changed_meanwhile',
    changed: ['clef.yaml'],
    leaks: false,
  });
});

describe('generated values', () => {
  it('by default: 32 letters and digits, each key its own, and no two alike', async () => {
    const repository = await repositoryWith();
    const keys = ['A', 'B'];
    expect(await generateSecrets(await repository.open(), { ...common, cell, keys })).toEqual({
      cell,
      change: 'created',
      keys,
    });
    const { A = '', B = '' } = await repository.values(cell);
    expect([A, B]).toEqual([
      expect.stringMatching(/^[A-Za-z0-9]{32}$/),
      expect.stringMatching(/^[A-Za-z0-9]{32}$/),
    ]);
    expect(A).not.toBe(B);
  });

  it.each(Object.entries(alphabets))('%s: every character is as likely as any other', (name, characters) => {
    expect(new Set(characters).size).toBe(characters.length);
    // Every byte once: without the rejection the first characters would come up more often than the last.
    const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const kept = 256 - (256 % characters.length);
    const value = generateValue({ length: kept, alphabet: name as AlphabetName }, (length) =>
      everyByte.slice(0, Math.max(length, 256)),
    );
    const counts = [...characters].map((character) => [...value].filter((each) => each === character).length);
    expect(new Set(counts)).toEqual(new Set([kept / characters.length]));
  });

  it('what is refused by the source of randomness is asked for again', () => {
    const asked: number[] = [];
    const bytes = [Uint8Array.of(255, 250, 9), Uint8Array.of(0, 1)];
    const random = (length: number) => {
      asked.push(length);
      return bytes.shift() ?? new Uint8Array(length);
    };
    expect(generateValue({ length: 3, alphabet: 'digits' }, random)).toBe('901');
    expect(asked).toEqual([3, 2]);
  });

  it.each([
    ['a length of 0', { length: 0 }, 'usage'],
    ['a length of 4,097', { length: 4097 }, 'usage'],
    ['an unknown alphabet', { alphabet: 'base65' }, 'usage'],
    ['a dangerous name (INV-93)', { keys: ['LD_PRELOAD'] }, 'dangerous_name'],
    ['an illegal name (A09)', { keys: ['A-B'] }, 'bad_name'],
  ] as const)('%s is refused', async (_, changes, code) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const work = async () =>
      generateSecrets(await repository.open(), { ...common, cell, keys: ['A'], ...changes });
    expect(await refused(repository, work)).toEqual(quietly(code));
  });

  it('a value that could be found by trying is warned of, without being shown', async () => {
    const repository = await repositoryWith();
    await generateSecrets(await repository.open(), {
      ...common,
      cell,
      keys: ['PIN'],
      length: 4,
      alphabet: 'digits',
    });
    const pin = await repository.get(cell, 'PIN');
    const told = repository.notices.map(({ message }) => message);
    expect(told).toContain('"PIN" is worth 13 bits only: it could be found by trying');
    expect(told.join()).not.toContain(pin);
  });
});

describe('announced keys', () => {
  const announce = async (repository: TestRepository, keys: readonly string[], target = cell) =>
    announceSecrets(await repository.open(), { ...common, cell: target, keys });

  it('are in the sidecar alone, also where the cell is not there yet, until they are set or deleted', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const before = repository.read('secrets/database/development.enc.yaml');
    await announce(repository, ['B', 'C']);
    expect(repository.read('secrets/database/development.enc.yaml')).toBe(before);
    expect((await listKeys(await repository.open(), { cell })).filter(({ pending }) => pending)).toEqual([
      { name: 'B', pending: true },
      { name: 'C', pending: true },
    ]);
    await repository.set(cell, 'B', '2');
    await deleteSecrets(await repository.open(), { cell, keys: ['C'], confirm: yes });
    expect(repository.read('secrets/database/development.meta.yaml')).not.toContain('pending');

    await announce(repository, ['X'], staging);
    expect(Object.keys(repository.snapshot())).not.toContain('secrets/database/staging.enc.yaml');
    await deleteSecrets(await repository.open(), { cell: staging, keys: ['X'], confirm: yes });
    expect(Object.keys(repository.snapshot())).not.toContain('secrets/database/staging.enc.yaml');
    expect(repository.read('secrets/database/staging.meta.yaml')).not.toContain('pending');
  });

  it('with a value already are refused, all or nothing', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    expect(await refused(repository, () => announce(repository, ['B', 'A']))).toEqual(
      quietly('already_exists'),
    );
  });
});

describe('delete', () => {
  const remove = async (repository: TestRepository, keys: readonly string[]) =>
    deleteSecrets(await repository.open(), { cell, keys, confirm: yes });

  it('takes several keys, and none where one is not there', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: 'CANARY', C: '3' } });
    expect(await refused(repository, () => remove(repository, ['A', 'NOPE']))).toEqual(
      quietly('unknown_key'),
    );
    expect(await remove(repository, ['A', 'C'])).toEqual({ cell, change: 'updated', keys: ['A', 'C'] });
    expect(await repository.values(cell)).toEqual({ B: 'CANARY' });
    expect(repository.read('secrets/database/development.meta.yaml')).not.toMatch(/ [AC]:/);
  });
});

describe('copy', () => {
  const copying =
    (repository: TestRepository, changes: Partial<CopyRequest> = {}) =>
    async () =>
      copySecrets(await repository.open(), {
        ...common,
        from: cell,
        to: [staging],
        overwrite: false,
        isDryRun: false,
        ...changes,
      });

  it('every key, or those that are named; equal values keep their ciphertext', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: '2' }, [staging]: { A: '1', Z: '9' } });
    const before = repository.read('secrets/database/staging.enc.yaml').split('\n');
    expect(await copying(repository)()).toEqual([
      { cell: staging, change: 'updated', added: ['B'], changed: [], equal: ['A'] },
    ]);
    expect(await repository.values(staging)).toEqual({ A: '1', Z: '9', B: '2' });
    expect(repository.read('secrets/database/staging.enc.yaml')).toContain(before[0]);
    await copying(repository, { to: ['payments/staging'], keys: ['B'] })();
    expect(await repository.values('payments/staging')).toEqual({ B: '2' });
  });

  it('other values are refused by name without --overwrite; a dry run says the same and writes nothing (J19)', async () => {
    const repository = await repositoryWith({
      [cell]: { A: 'CANARY1', B: 'CANARY2' },
      [staging]: { A: 'x', B: 'y' },
    });
    expect(await refused(repository, copying(repository))).toEqual(quietly('already_exists'));
    expect(await refused(repository, copying(repository, { isDryRun: true }))).toEqual(
      quietly('already_exists'),
    );
    expect((await refusal(copying(repository)())).message).toBe(
      '"database/staging" has other values for "A", "B"',
    );
    const before = repository.snapshot();
    const planned = await copying(repository, { overwrite: true, isDryRun: true })();
    expect(repository.snapshot()).toEqual(before);
    expect(await copying(repository, { overwrite: true })()).toEqual(planned);
    expect(await repository.values(staging)).toEqual({ A: 'CANARY1', B: 'CANARY2' });
  });

  it('several targets change together or not at all', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' }, [production]: { A: 'CANARY' } });
    const both = { to: [staging, production] };
    expect(await refused(repository, copying(repository, both))).toEqual(quietly('already_exists'));
    const done = await copying(repository, { ...both, overwrite: true })();
    expect(done.map(({ cell: name, change }) => [name, change])).toEqual([
      [staging, 'created'],
      [production, 'updated'],
    ]);
    expect([await repository.values(staging), await repository.values(production)]).toEqual([
      { A: '1' },
      { A: '1' },
    ]);
  });

  it.each([
    ['A26: into a protected cell without a yes', { to: [production], confirm: no }, 'protected'],
    [
      'A26: also where only one of the targets is protected',
      { to: [staging, production], confirm: no },
      'protected',
    ],
    ['onto itself', { to: [cell] }, 'usage'],
    ['a key that is not there', { keys: ['NOPE'] }, 'unknown_key'],
    ['an illegal key', { keys: ['A-B'] }, 'bad_name'],
    ['from a cell that is not there', { from: 'database/production', to: [staging] }, 'missing_cell'],
    ['from a namespace that is not there', { from: 'nope/development' }, 'unknown_namespace'],
    ['into an environment that is not there', { to: ['database/stagin'] }, 'unknown_environment'],
  ] as const)('%s', async (_, changes, code) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    expect(await refused(repository, copying(repository, changes))).toEqual(quietly(code));
  });

  it('INV-93: a dangerous name is not spread', async () => {
    const repository = await repositoryWith({ [cell]: { NODE_OPTIONS: 'CANARY' } });
    expect(await refused(repository, copying(repository))).toEqual(quietly('dangerous_name'));
    await copying(repository, { allowedEnvironmentNames: ['NODE_OPTIONS'] })();
  });

  it("the target's schema counts", async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    repository.write(
      'clef.yaml',
      repository
        .read('clef.yaml')
        .replace('- name: database', '- name: database\n  - name: strict\n    schema: s.yaml'),
    );
    repository.write('s.yaml', 'version: 1\nkeys: { A: { type: integer } }\n');
    expect(await refused(repository, copying(repository, { to: [staging, 'strict/staging'] }))).toEqual(
      quietly('schema_violation'),
    );
    await copying(repository)();
  });
});
