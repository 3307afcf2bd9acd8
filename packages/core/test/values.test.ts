// Odd values and names through set, get, export and exec: what goes in comes out, byte for byte, or is refused by name.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { execWithSecrets } from '../src/secrets/exec-with-secrets.ts';
import { maxValueBytes } from '../src/secrets/value-rules.ts';
import { oddKeys, oddValues } from './odd-values.ts';
import {
  fillCell,
  quietly,
  refused,
  repositoryWith,
  type TestRepository,
  temporaryFolder,
} from './repository-with.ts';

const cell = 'database/development';

/** The environment of a child of `clef exec`, as the child sees it. */
async function environmentOfChild(repository: TestRepository): Promise<Record<string, string>> {
  const file = join(temporaryFolder(), 'environment.json');
  const script = 'require("node:fs").writeFileSync(process.argv[1], JSON.stringify(process.env))';
  const exitCode = await execWithSecrets(await repository.open(), {
    cell,
    command: process.execPath,
    args: ['-e', script, file],
    pristine: false,
    keepClefVariables: false,
    allowedEnvironmentNames: [],
  });
  expect(exitCode).toBe(0);
  return JSON.parse(readFileSync(file, 'utf8'));
}

describe('a value comes back byte for byte (formats.md, "A cell")', () => {
  const shared = repositoryWith({ [cell]: { K: 'first' } });
  it.each(Object.entries(oddValues))('%s', async (_, value) => {
    const repository = await shared;
    expect(await repository.set(cell, 'K', value)).toMatchObject({ change: 'updated', key: 'K' });
    expect(await repository.get(cell, 'K')).toBe(value);
  });

  it('all of them in one cell, as JSON and as the environment of a child', async () => {
    const all = Object.fromEntries(Object.values(oddValues).map((value, index) => [`K${index}`, value]));
    const short = Object.fromEntries(Object.entries(all).filter(([, value]) => value.length < 100_000));
    const repository = await repositoryWith({ [cell]: short });
    expect(await repository.values(cell)).toEqual(short);
    expect(await environmentOfChild(repository)).toMatchObject(short);
  });

  it('256 KiB is the most', async () => {
    const repository = await repositoryWith();
    const most = 'x'.repeat(maxValueBytes);
    await repository.set(cell, 'K', most);
    expect((await repository.get(cell, 'K')) === most).toBe(true);
  });
});

describe('a value that no cell holds is refused, and nothing changes', () => {
  const shared = repositoryWith({ [cell]: { A: 'CANARY' } });
  it.each([
    ['A08: an empty value', '', 'empty_value'],
    ['A13: 256 KiB and one byte', 'C'.repeat(maxValueBytes + 1), 'value_too_large'],
    [
      'A13: 256 KiB counted in bytes and not in characters',
      'é'.repeat(maxValueBytes / 2 + 1),
      'value_too_large',
    ],
    ['A13: a NUL', 'CANARY\0', 'bad_format'],
    ['A13: invalid UTF-8', new Uint8Array([0x43, 0xff, 0xfe]), 'bad_format'],
    ['A13: a lone surrogate in UTF-8', new Uint8Array([0xed, 0xa0, 0x80]), 'bad_format'],
    ['A13: an overlong slash', new Uint8Array([0xc0, 0xaf]), 'bad_format'],
  ] as const)('%s', async (_, value, code) => {
    const repository = await shared;
    expect(await refused(repository, () => repository.set(cell, 'K', value))).toEqual(quietly(code));
    expect(await refused(repository, () => repository.set('payments/development', 'K', value))).toEqual(
      quietly(code),
    );
  });
});

describe('keys', () => {
  const shared = repositoryWith({ [cell]: { A: 'CANARY' } });

  it.each(oddKeys)('A10, C15: "%s" is a key like any other', async (key) => {
    const repository = await shared;
    expect(await refused(repository, () => repository.get(cell, key))).toEqual(quietly('unknown_key'));
    await repository.set(cell, key, `value of ${key}`);
    expect(await repository.get(cell, key)).toBe(`value of ${key}`);
  });

  it('A10, C15: all of them in the order of the file, and as the environment of a child', async () => {
    const values = oddKeys.map((key): [string, string] => [key, `value of ${key}`]);
    const repository = await repositoryWith();
    await fillCell(repository, cell, Object.fromEntries(values));
    expect(Object.entries(await repository.values(cell))).toEqual(values);
    expect(Object.entries(await environmentOfChild(repository))).toEqual(expect.arrayContaining(values));
  });

  it.each([
    '1ABC',
    'A-B',
    'A.B',
    'A B',
    'a:b',
    'A=B',
    '-x',
    'é',
    'A\nB',
    'A\0B',
    'a\u202eb',
    '😀',
    `A${'x'.repeat(128)}`,
  ])('A09, A11: %j is no key', async (key) => {
    const repository = await shared;
    expect(await refused(repository, () => repository.set(cell, key, 'CANARY'))).toEqual(quietly('bad_name'));
    expect(await refused(repository, () => repository.get(cell, key))).toEqual(quietly('bad_name'));
  });

  it.each(['DB_unencrypted', 'sops', '_clef_x', '_CLEF'])('INV-13: "%s" is kept from use', async (key) => {
    const repository = await shared;
    expect(await refused(repository, () => repository.set(cell, key, 'CANARY'))).toEqual(quietly('bad_name'));
  });

  it('A08: an empty key is a usage error', async () => {
    const repository = await shared;
    expect(await refused(repository, () => repository.set(cell, '', 'CANARY'))).toEqual(quietly('usage'));
  });
});
