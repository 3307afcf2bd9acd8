// Schemas: what their file may say, what they refuse, and what a pattern may cost.
import { describe, expect, it } from 'vitest';
import { processorTime } from '../../../test/processor-time.ts';
import { checkValuesAgainstSchema, missingKeys } from '../src/checks/schema.ts';
import { parseSchema } from '../src/checks/schema-file.ts';
import { announceSecrets } from '../src/secrets/announce-secrets.ts';
import { generateSecrets } from '../src/secrets/generate-secrets.ts';
import {
  quietly,
  refusal,
  refused,
  repositoryWith,
  setting,
  type TestRepository,
  yes,
} from './repository-with.ts';

const cell = 'database/development';
const file = 'schemas/database.yaml';

const read = (text: string) => parseSchema(Buffer.from(text), file);
const withKey = (rule: string, key = 'K') => `version: 1\nkeys:\n  ${key}: ${rule}\n`;

/** A repository whose namespace `database` has this schema; without a text the file is missing. */
async function withSchema(text?: string | Uint8Array): Promise<TestRepository> {
  const repository = await repositoryWith(
    {},
    {
      manifest: (manifest) =>
        manifest.replace('namespaces: []', `namespaces:\n  - { name: database, schema: ${file} }`),
    },
  );
  if (text !== undefined) repository.write(file, text);
  return repository;
}

describe('the values that a rule takes, and those that it refuses', () => {
  const pem = '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n';
  const rows: readonly (readonly [rule: string, good: readonly string[], bad: readonly string[]])[] = [
    ['{}', ['anything', ' ', 'ü'], []],
    [
      '{ type: integer }',
      ['0', '-5', '5432', '12345678901234567890'],
      ['05', '+5', '1.0', '1e3', ' 5', '5\n', '0x10', '１０'],
    ],
    ['{ type: integer, min: 1, max: 65535 }', ['1', '65535'], ['0', '65536', '-1']],
    [
      '{ type: number, min: -1.5 }',
      ['-1.5', '1e3', '0.25'],
      ['-1.6', '.5', 'NaN', 'Infinity', '1e999', '0777'],
    ],
    ['{ type: boolean }', ['true', 'false'], ['yes', 'True', '1', 'true\n']],
    [
      '{ type: url }',
      ['postgres://u:p@h:5432/d?x=1', 'https://h'],
      ['h:5432', 'https://', 'http:// h', 'https://h/a b', 'https://h\n', '//h'],
    ],
    [
      '{ type: email }',
      ['a.b+c@example.test'],
      ['a', 'a@b', '@b.c', 'a@b@c.d', 'a b@c.d', `a@${'.'.repeat(300)}`, 'a@b..c'],
    ],
    ['{ type: json }', ['{"a":1}', '5', '"x"'], ['{"a":1,"a":2}', '{', "{'a':1}"]],
    ['{ type: base64 }', ['QUJD', 'QQ=='], ['QQ', 'Q-__', 'QUJD\n', 'QR==']],
    ['{ type: hex }', ['00ff', 'AB'], ['0', 'zz', '0xff']],
    [
      '{ type: uuid }',
      ['5f0c6a3e-0000-4000-8000-000000000000'],
      ['5f0c6a3e', '{5f0c6a3e-0000-4000-8000-000000000000}'],
    ],
    [
      '{ type: pem }',
      [pem, pem + pem],
      ['MIIB', pem.slice(0, -30), `x\n${pem}`, pem.replace('END PRIVATE', 'END PUBLIC')],
    ],
    ['{ type: enum, values: [a, "1", true] }', ['a', '1', 'true'], ['A', 'b', '']],
    ['{ values: [a] }', ['a'], ['b']],
    ['{ min_length: 2, max_length: 3 }', ['ab', '😀😀😀'], ['a', 'abcd', '😀']],
    ["{ pattern: '^[a-z]+$' }", ['abc'], ['ABC', 'abc1']],
    ['{ pattern: b }', ['abc'], ['ac']],
  ];
  it.each(rows)('%s', async (rule, good, bad) => {
    const schema = await read(withKey(rule));
    const verdict = (value: string) => checkValuesAgainstSchema(schema, [['K', value]]).length > 0;
    expect(good.filter(verdict)).toEqual([]);
    expect(bad.filter((value) => !verdict(value))).toEqual([]);
  });

  it('what is not listed passes an open schema alone; required keys can be told apart', async () => {
    const open = await read('version: 1\nkeys: { DB_URL: { required: true }, B: }\n');
    const closed = await read('version: 1\nkeys: { DB_URL: { required: true }, B: }\nopen: false\n');
    expect(checkValuesAgainstSchema(open, [['OTHER', '1']])).toEqual([]);
    expect(checkValuesAgainstSchema(closed, [['DB_ULR', '1']])).toEqual([
      {
        key: 'DB_ULR',
        rule: 'open',
        message: 'is not listed, and the schema is closed (did you mean "DB_URL"?)',
      },
    ]);
    expect(missingKeys(closed, new Set(['B'])).map(({ key }) => key)).toEqual(['DB_URL']);
  });

  it('__proto__ is a key like any other', async () => {
    const schema = await read(withKey('{ type: integer }', '__proto__'));
    expect(checkValuesAgainstSchema(schema, [['__proto__', 'x']])).toMatchObject([{ rule: 'type' }]);
  });
});

describe('B26: a schema that cannot be used', () => {
  const rows: readonly (readonly [title: string, text: string, code: string, message: RegExp])[] = [
    [
      'an invalid pattern',
      withKey("{ pattern: '(a' }"),
      'schema_invalid',
      /line 3: The pattern is not one of RE2/,
    ],
    ['lookahead', withKey("{ pattern: '(?=a)' }"), 'schema_invalid', /not one of RE2/],
    ['lookbehind', withKey("{ pattern: '(?<=a)b' }"), 'schema_invalid', /not one of RE2/],
    ['a backreference', withKey("{ pattern: '(a)\\1' }"), 'schema_invalid', /not one of RE2/],
    [
      'INV-25: a pattern of 513 characters',
      withKey(`{ pattern: '${'a'.repeat(513)}' }`),
      'limit',
      /more than 512/,
    ],
    [
      'INV-25: repeats of repeats',
      withKey("{ pattern: '((a{0,20}){0,20}){0,2}' }"),
      'limit',
      /repeats too much/,
    ],
    [
      'an unknown type',
      withKey('{ type: intger }'),
      'schema_invalid',
      /wants one of .*Did you mean "integer"/,
    ],
    [
      'an unknown field',
      withKey('{ patern: a }'),
      'schema_invalid',
      /no field "patern" here.*Did you mean "pattern"/,
    ],
    [
      'a reference in a circle: there are no references',
      withKey('{ $ref: "#" }'),
      'schema_invalid',
      /no field "\$ref"/,
    ],
    ['an anchor', 'version: 1\nkeys: &a { K: *a }\n', 'bad_format', /anchors|Anchors|faults/],
    ['an illegal name', withKey('{}', 'A-B'), 'bad_name', /The key name "A-B"/],
    ['a duplicate key', 'version: 1\nkeys:\n  K:\n  K:\n', 'bad_format', /"K" is there twice/],
    ['no version', 'keys: {}\n', 'schema_invalid', /"version" wants the number 1/],
    ['an empty file', '', 'schema_invalid', /faults|version/],
    ['min above max', withKey('{ type: integer, min: 2, max: 1 }'), 'schema_invalid', /"min" is larger/],
    ['min on text', withKey('{ min: 2 }'), 'schema_invalid', /for integers and numbers/],
    ['an enum without values', withKey('{ type: enum }'), 'schema_invalid', /belong together/],
    ['values of another type', withKey('{ type: url, values: [a] }'), 'schema_invalid', /belong together/],
    [
      'a generated value that is too short',
      withKey('{ min_length: 9, generate: { length: 8 } }'),
      'schema_invalid',
      /break "min_length"/,
    ],
    [
      'a generated value of another type',
      withKey('{ type: uuid, generate: { length: 8 } }'),
      'schema_invalid',
      /does not make values/,
    ],
    [
      'hex of letters',
      withKey('{ type: hex, generate: { length: 8 } }'),
      'schema_invalid',
      /does not make values/,
    ],
    [
      'an unknown alphabet',
      withKey('{ generate: { length: 8, alphabet: base65 } }'),
      'schema_invalid',
      /wants one of/,
    ],
    ['min_length as a word', withKey('{ min_length: long }'), 'schema_invalid', /whole number/],
    ['required as text', withKey('{ required: "true" }'), 'schema_invalid', /true or false/],
  ];
  it.each(rows)('%s', async (_, text, code, message) => {
    const error = await refusal(read(text));
    expect(error.code).toBe(code);
    expect([error.message, ...error.faults.map((fault) => fault.message)].join('\n')).toMatch(message);
    expect(error.location?.file).toBe(file);
  });

  it('every fault is told at once, with line and column', async () => {
    const error = await refusal(read('version: 2\nkeys:\n  A: { type: x }\n  B: { foo: 1 }\nopen: 5\n'));
    expect(error.faults.map(({ line, column, path }) => [line, column, path])).toEqual([
      [1, 1, 'version'],
      [3, 8, 'keys.A.type'],
      [4, 8, 'keys.B.foo'],
      [5, 1, 'open'],
    ]);
  });

  it.each([
    ['missing', undefined, 'missing_schema'],
    ['5 MB', 'a'.repeat(5_000_000), 'limit'],
    ['not UTF-8', new Uint8Array([0xff]), 'bad_format'],
  ] as const)('B25: a schema that is %s', async (_, text, code) => {
    const repository = await withSchema(text);
    expect(await refused(repository, () => repository.set(cell, 'K', 'CANARY'))).toEqual(quietly(code));
  });

  it('B25: a schema that is a folder', async () => {
    const repository = await withSchema();
    repository.write(`${file}/x`, '');
    expect(await refused(repository, () => repository.set(cell, 'K', 'CANARY'))).toEqual(quietly('bad_path'));
  });
});

it('INV-25: ^(a+)+$ against 100 KB, and the dearest pattern against the longest text it is tried on, take no time', async () => {
  const schema = await read(withKey("{ pattern: '^(a+)+$' }"));
  const { matches } = schema.keys.get('K')?.pattern ?? { matches: () => true };
  matches('a');
  const start = processorTime();
  expect(matches(`${'a'.repeat(100_000)}!`)).toBe(false);
  // 20 ms on a quiet machine; a backtracking engine would not come back.
  expect(processorTime() - start).toBeLessThan(1000);
  expect(checkValuesAgainstSchema(schema, [['K', `${'a'.repeat(100_000)}!`]])).toMatchObject([
    { rule: 'pattern', message: expect.stringContaining('is longer than the 65536 characters') },
  ]);
});

describe('set keeps to the schema', () => {
  const text =
    'version: 1\nkeys:\n  PORT: { type: integer, max: 9 }\n  TOKEN: { min_length: 40, generate: { length: 41, alphabet: hex } }\n  T2: { min_length: 40 }\nopen: false\n';

  it('a value that breaks it is refused by key and rule, and nothing is written', async () => {
    const repository = await withSchema(text);
    expect(await refused(repository, () => repository.set(cell, 'PORT', 'CANARY'))).toEqual(
      quietly('schema_violation'),
    );
    const error = await refusal(repository.set(cell, 'PORT', '10'));
    expect(error).toMatchObject({
      message: '"PORT" breaks the schema of "database/development": it wants 9 or less',
      location: { file, key: 'PORT' },
      faults: [{ path: 'PORT.max' }],
      errorClass: 'schema',
    });
    expect(await refused(repository, () => repository.set(cell, 'PROT', 'CANARY'))).toEqual(
      quietly('schema_violation'),
    );
    await repository.set(cell, 'PORT', '9');
    expect(await repository.values(cell)).toEqual({ PORT: '9' });
  });

  it('a new namespace, and another one, has no schema to keep to', async () => {
    const repository = await withSchema(text);
    await repository.set('payments/development', 'PORT', 'x');
  });

  it('--generate follows its rule, and is refused where it cannot', async () => {
    const repository = await withSchema(text);
    const common = { ...setting(cell, 'X', ''), cell };
    await generateSecrets(await repository.open(), { ...common, keys: ['TOKEN'] });
    expect(await repository.get(cell, 'TOKEN')).toMatch(/^[0-9a-f]{41}$/);
    await generateSecrets(await repository.open(), { ...common, keys: ['TOKEN'], length: 50 });
    expect(await repository.get(cell, 'TOKEN')).toMatch(/^[0-9a-f]{50}$/);
    const tooShort = async () => generateSecrets(await repository.open(), { ...common, keys: ['T2'] });
    expect(await refused(repository, tooShort)).toEqual(quietly('schema_violation'));
  });

  it('--pending refuses a name that a closed schema does not list', async () => {
    const repository = await withSchema(text);
    const announce = async (key: string) =>
      announceSecrets(await repository.open(), {
        cell,
        keys: [key],
        createNamespace: false,
        allowedEnvironmentNames: [],
        confirm: yes,
      });
    expect(await refused(repository, () => announce('NOPE'))).toEqual(quietly('schema_violation'));
    expect(await announce('PORT')).toMatchObject({ change: 'updated' });
  });
});
