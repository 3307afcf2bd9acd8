// search, compare and explain: names and verdicts, never a value.
import { describe, expect, it } from 'vitest';
import { processorTime } from '../../../test/processor-time.ts';
import { compareCells, compareSecret } from '../src/secrets/compare-secrets.ts';
import { explainKey } from '../src/secrets/explain-key.ts';
import { searchKeys, searchValue } from '../src/secrets/search-secrets.ts';
import { emptyWorld, quietly, refused, repositoryWith, strangersKey } from './repository-with.ts';

const first = 'database/development';
const second = 'payments/development';
const third = 'database/staging';
const shared = repositoryWith({
  [first]: { DB_URL: 'CANARY-1', DB_PASSWORD: 'CANARY-2', api_url: 'x' },
  [second]: { API_KEY: 'CANARY-1', DB_PASSWORD: 'other' },
  [third]: { DB_URL: 'CANARY-1', DB_PASSWORD: 'CANARY-3' },
});
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The repository as somebody sees it who has no key. */
async function withoutKey() {
  const repository = await shared;
  return repository.open(emptyWorld({ cwd: repository.root }).world);
}

const places = (found: readonly { readonly cell: string; readonly key: string }[]): readonly string[] =>
  found.map(({ cell, key }) => `${cell} ${key}`);

describe('search by name needs no key', () => {
  it.each<readonly [string, string, readonly string[]]>([
    ['a part, in any case', 'uRl', [`${first} DB_URL`, `${first} api_url`, `${third} DB_URL`]],
    [
      'a glob is for the whole name',
      'DB_*',
      [
        `${first} DB_URL`,
        `${first} DB_PASSWORD`,
        `${third} DB_URL`,
        `${third} DB_PASSWORD`,
        `${second} DB_PASSWORD`,
      ],
    ],
    ['a question mark is one character', '???_URL', [`${first} api_url`]],
    [
      'stars on both sides',
      '*p*s*',
      [`${first} DB_PASSWORD`, `${third} DB_PASSWORD`, `${second} DB_PASSWORD`],
    ],
    ['signs of regular expressions are plain', '.*', []],
    ['nothing', 'NOPE', []],
  ])('%s', async (_, pattern, expected) => {
    const { found, unread } = await searchKeys(await withoutKey(), pattern);
    expect([...places(found)].sort()).toEqual([...expected].sort());
    expect(unread).toEqual([]);
  });

  it('a pattern full of stars takes no time', async () => {
    const repository = await repositoryWith({ [first]: { ['A'.repeat(128)]: 'x' } });
    const start = processorTime();
    expect((await searchKeys(await repository.open(), `${'A*'.repeat(60)}B`)).found).toEqual([]);
    expect(processorTime() - start).toBeLessThan(2000);
  });

  it('pending keys are found and marked', async () => {
    const repository = await repositoryWith({ [first]: { A: 'x' } });
    const sidecar = 'secrets/database/development.meta.yaml';
    repository.write(sidecar, `${repository.read(sidecar)}pending: [LATER]\n`);
    expect((await searchKeys(await repository.open(), 'late')).found).toEqual([
      { cell: first, key: 'LATER', pending: true },
    ]);
  });

  it('an empty pattern is refused', async () => {
    const repository = await shared;
    expect(await refused(repository, async () => searchKeys(await repository.open(), ''))).toEqual(
      quietly('usage'),
    );
  });
});

describe('search by value', () => {
  it('names every key that has it, in the order of the matrix, and never the value', async () => {
    const repository = await shared;
    const steps: number[] = [];
    const opened = await repository.open({ progress: ({ done }) => steps.push(done) });
    const result = await searchValue(opened, bytes('CANARY-1'));
    expect(places(result.found)).toEqual([`${first} DB_URL`, `${third} DB_URL`, `${second} API_KEY`]);
    expect(JSON.stringify([result, repository.notices])).not.toContain('CANARY');
    expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('a part of a value is not the value', async () => {
    for (const text of ['CANARY', 'CANARY-11', 'canary-1'])
      expect((await searchValue(await (await shared).open(), bytes(text))).found).toEqual([]);
  });

  it('says which cells could not be read, and searches the others', async () => {
    const repository = await repositoryWith({
      [first]: { A: 'CANARY' },
      [third]: { A: 'CANARY' },
      [second]: { A: 'CANARY' },
    });
    repository.write('secrets/database/staging.enc.yaml', 'A: plain\n');
    const { found, unread } = await searchValue(await repository.open(), bytes('CANARY'));
    expect(places(found)).toEqual([`${first} A`, `${second} A`]);
    expect(unread).toEqual([{ cell: third, reason: expect.stringMatching(/./) }]);
    const nobody = await searchValue(await withoutKey(), bytes('CANARY-1'));
    expect(nobody.found).toEqual([]);
    expect(nobody.unread.map(({ cell }) => cell)).toEqual([first, third, second]);
    expect(nobody.unread[0]?.reason).toContain('no age key of yours');
  });
});

describe('compare', () => {
  it.each<
    readonly [string, Parameters<typeof compareSecret>[1], Parameters<typeof compareSecret>[2], boolean]
  >([
    ['the same key of two cells', { cell: first, key: 'DB_URL' }, { cell: third, key: 'DB_URL' }, true],
    ['two keys', { cell: first, key: 'DB_URL' }, { cell: second, key: 'API_KEY' }, true],
    ['different values', { cell: first, key: 'DB_PASSWORD' }, { cell: third, key: 'DB_PASSWORD' }, false],
    ['a given value', { cell: first, key: 'DB_URL' }, async () => bytes('CANARY-1'), true],
    ['another given value', { cell: first, key: 'DB_URL' }, async () => bytes('CANARY-1\n'), false],
    ['an empty given value', { cell: first, key: 'DB_URL' }, async () => bytes(''), false],
  ])('%s', async (_, one, other, expected) => {
    expect(await compareSecret(await (await shared).open(), one, other)).toBe(expected);
  });

  it('all keys of two cells', async () => {
    const compared = await compareCells(await (await shared).open(), first, second);
    expect(compared).toEqual([
      { key: 'DB_URL', comparison: 'only_first' },
      { key: 'DB_PASSWORD', comparison: 'different' },
      { key: 'api_url', comparison: 'only_first' },
      { key: 'API_KEY', comparison: 'only_second' },
    ]);
    const equal = await compareCells(await (await shared).open(), first, third);
    expect(equal[0]).toEqual({ key: 'DB_URL', comparison: 'equal' });
  });

  it.each<readonly [string, () => Promise<unknown>, Parameters<typeof quietly>[0]]>([
    [
      'a key that is not there',
      async () =>
        compareSecret(
          await (await shared).open(),
          { cell: first, key: 'NOPE' },
          { cell: third, key: 'DB_URL' },
        ),
      'unknown_key',
    ],
    ['a cell with itself', async () => compareCells(await (await shared).open(), first, first), 'usage'],
    [
      'a cell that is not there',
      async () => compareCells(await (await shared).open(), first, 'payments/staging'),
      'missing_cell',
    ],
    ['without a key of one’s own', async () => compareCells(await withoutKey(), first, second), 'no_age_key'],
  ])('%s is refused', async (_, work, code) => {
    expect(await refused(await shared, work)).toEqual(quietly(code));
  });
});

describe('explain needs no key', () => {
  it('where a key is, who reads it, who changed it and which service identities carry it', async () => {
    const stranger = strangersKey().recipient;
    const repository = await repositoryWith(
      { 'user-data/development': { DB_URL: 'CANARY' } },
      {
        manifest: (text) =>
          `${text.replace(/^namespaces:.*$/m, '')}\nnamespaces: [{ name: user-data }]\nservice_identities:\n` +
          `  - { name: api, namespaces: [user-data], prefix: namespace, environments: { development: { seal: ${stranger} } } }\n` +
          `  - { name: worker, namespaces: [user-data], environments: { development: { seal: ${stranger} }, staging: { seal: ${stranger} } } }\n` +
          `  - { name: other, namespaces: [user-data], environments: { staging: { seal: ${stranger} } } }\n`,
      },
    );
    const sidecar = 'secrets/user-data/staging.meta.yaml';
    repository.write(sidecar, 'version: 1\npending: [DB_URL]\n');
    const opened = await repository.open(emptyWorld({ cwd: repository.root }).world);
    expect(await explainKey(opened, { key: 'DB_URL' })).toEqual({
      key: 'DB_URL',
      isDangerous: false,
      cells: [
        {
          cell: 'user-data/development',
          path: 'secrets/user-data/development.enc.yaml',
          pending: false,
          changedAt: '2026-01-31T12:00:00Z',
          by: 'alice',
          people: ['alice'],
          encryptTo: [],
          services: [
            { service: 'api', name: 'user_data__DB_URL' },
            { service: 'worker', name: 'DB_URL' },
          ],
        },
        expect.objectContaining({ cell: 'user-data/staging', pending: true }),
      ],
      rules: [],
      absent: ['user-data/production'],
    });
    const one = await explainKey(opened, { key: 'DB_URL', cell: 'user-data/development' });
    expect(one).toMatchObject({ cells: [{ cell: 'user-data/development' }], absent: [] });
  });

  it('what the schema of its namespace says, also of a key that is in no cell yet', async () => {
    const repository = await repositoryWith(
      { [first]: { PORT: '80', OTHER: 'x' } },
      {
        manifest: (text) =>
          text.replace('namespaces: []', 'namespaces: [{ name: database, schema: schema.yaml }]'),
      },
    );
    repository.write(
      'schema.yaml',
      'version: 1\nopen: false\nkeys:\n  PORT: { type: integer, min: 1, max: 65535, required: true, description: Where it listens }\n  LATER: { type: enum, pattern: "^x", values: [xa, xb] }\n',
    );
    const opened = await repository.open();
    const rulesOf = async (key: string) => (await explainKey(opened, { key })).rules;
    const file = { namespace: 'database', file: 'schema.yaml' };
    const port = { type: 'integer', required: true, description: 'Where it listens', min: 1, max: 65_535 };
    expect(await rulesOf('PORT')).toEqual([{ ...file, rule: port }]);
    expect(await rulesOf('OTHER')).toEqual([{ ...file, closed: true }]);
    expect(await explainKey(opened, { key: 'LATER' })).toMatchObject({
      cells: [],
      rules: [{ ...file, rule: { type: 'enum', pattern: '^x', values: ['xa', 'xb'] } }],
      absent: [first, third, 'database/production'],
    });
  });

  it('a name that changes how programs run is marked', async () => {
    const repository = await repositoryWith({ [first]: { NODE_OPTIONS: 'x' } });
    expect(await explainKey(await repository.open(), { key: 'NODE_OPTIONS' })).toMatchObject({
      isDangerous: true,
    });
  });

  it('a key that is nowhere is an error that offers the nearest name', async () => {
    const repository = await shared;
    expect(await refused(repository, async () => explainKey(await withoutKey(), { key: 'DB_ULR' }))).toEqual(
      quietly('unknown_key'),
    );
    await expect(explainKey(await withoutKey(), { key: 'DB_ULR' })).rejects.toThrow(/Did you mean "DB_URL"/);
  });
});
