// Exports give back the exact values, or refuse one by name (INV-96). The shells of this file are those that every machine
// has; bash, zsh and fish by name are in the peer tests.
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ClefError } from '../src/errors.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { cell, evaluated, exported, manyValues } from './exports.ts';
import { oddKeys, oddValues } from './odd-values.ts';
import { fillCell, quietly, refused, repositoryWith } from './repository-with.ts';

const odd = Object.fromEntries(Object.values(oddValues).map((value, index) => [`K${index}`, value]));

describe('sh', () => {
  it.each([
    ['odd values', odd],
    ...manyValues.map((values, index) => [`random values ${index}`, values] as const),
  ] as const)('%s', async (_, values) => {
    expect(await evaluated('sh', await exported(values, 'sh'))).toEqual(values);
  });

  it('nothing is run', async () => {
    expect(
      await evaluated('sh', await exported({ K0: `'; exit 3; '`, K1: '$(exit 3)', K2: '`exit 3`' }, 'sh')),
    ).toEqual({ K0: `'; exit 3; '`, K1: '$(exit 3)', K2: '`exit 3`' });
  });
});

describe('JSON', () => {
  it.each([
    ['odd values', odd],
    ...manyValues.map((values, index) => [`random values ${index}`, values] as const),
  ] as const)('%s', async (_, values) => {
    expect(JSON.parse(await exported(values, 'json'))).toEqual(values);
  });

  it('keys keep their order and their names, __proto__ too', async () => {
    const values = Object.fromEntries(oddKeys.map((key) => [key, 'x']));
    expect(Object.keys(JSON.parse(await exported(values, 'json')))).toEqual(oddKeys);
  });

  it('a cell without keys', async () => {
    expect(await exported({ K0: 'x' }, 'json')).toBe('{\n  "K0": "x"\n}\n');
  });
});

/** Reads a dotenv file as readers do that let a backslash hide the quote after it. */
function readWithHiddenQuotes(text: string): Record<string, string> {
  const line =
    /^\s*(?:export\s+)?([\w.-]+)\s*=\s*('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$/gm;
  return Object.fromEntries(
    [...text.matchAll(line)].map(([, key = '', raw = '']) => {
      const inner = raw.trim().replace(/^(['"`])([\s\S]*)\1$/, '$2');
      return [
        key,
        raw.trim().startsWith('"') ? inner.replaceAll('\\n', '\n').replaceAll('\\r', '\r') : inner,
      ];
    }),
  );
}

describe('dotenv', () => {
  /** The text of one value, or `undefined` where it is refused. */
  async function lineOf(value: string): Promise<string | undefined> {
    const repository = await shared;
    await fillCell(repository, cell, { K: value });
    try {
      return await exportSecrets(await repository.open(), { cell, format: 'dotenv' });
    } catch (error) {
      if (error instanceof ClefError && error.code === 'environment_value') return undefined;
      throw error;
    }
  }
  const shared = repositoryWith();
  const values = [...Object.values(oddValues), ...Object.values(manyValues[0] ?? {}).slice(0, 100)];

  it('what it holds is exact for node and for readers that let a backslash hide a quote', async () => {
    const lines: string[] = [];
    const expected: Record<string, string> = {};
    for (const [index, value] of values.entries()) {
      const line = await lineOf(value);
      if (line === undefined) expect(value).toMatch(/\r|\\$|['"`]/);
      else {
        lines.push(line.replace(/^K=/, `K${index}=`));
        expected[`K${index}`] = value;
      }
    }
    expect(lines.length).toBeGreaterThan(values.length / 2);
    expect({ ...parseEnv(lines.join('')) }).toEqual(expected);
    expect(readWithHiddenQuotes(lines.join(''))).toEqual(expected);
  });

  it.each([
    ['a carriage return', 'a\rb'],
    ['all three quotes', `'"\``],
    ['a backslash at the end of what needs quotes', 'C:\\my files\\'],
  ])('%s is refused by name', async (_, value) => {
    const repository = await repositoryWith({ [cell]: { K: value } });
    const work = async () => exportSecrets(await repository.open(), { cell, format: 'dotenv' });
    expect(await refused(repository, work)).toEqual(quietly('environment_value'));
  });
});
