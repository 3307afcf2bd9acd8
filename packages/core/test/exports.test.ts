// Exports give back the exact values, or refuse one by name (INV-96). The shells of this file are those that every machine
// has; bash, zsh and fish by name are in the peer tests.
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import {
  cell,
  evaluatedValues,
  exported,
  heldBy,
  manyValues,
  tenThousandValues,
  written,
} from './exports.ts';
import { oddKeys, oddValues } from './odd-values.ts';
import { quietly, refused, repositoryWith } from './repository-with.ts';

const odd: Record<string, string> = Object.fromEntries(
  Object.values(oddValues).map((value, index) => [`K${index}`, value]),
);

describe('sh', () => {
  it.each([
    ['odd values', odd],
    ...manyValues.map((values, index) => [`random values ${index}`, values] as const),
  ] as const)('%s', async (_, values) => {
    expect(await evaluatedValues('sh', await exported(values, 'sh'))).toEqual(values);
  });

  it('nothing is run', async () => {
    expect(
      await evaluatedValues(
        'sh',
        await exported({ K0: `'; exit 3; '`, K1: '$(exit 3)', K2: '`exit 3`' }, 'sh'),
      ),
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
  const values = { ...odd, ...tenThousandValues };

  it('what it holds is exact for node and for readers that let a backslash hide a quote', async () => {
    const { held, refusedKeys } = heldBy('dotenv', values);
    for (const key of refusedKeys) expect(values[key]).toMatch(/\r|\\$|['"`]/);
    expect(Object.keys(held).length).toBeGreaterThan(5_000);
    const text = written('dotenv', held);
    expect({ ...parseEnv(text) }).toEqual(held);
    expect(readWithHiddenQuotes(text)).toEqual(held);
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
