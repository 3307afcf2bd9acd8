import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolvePlainScalar } from '../src/formats/yaml-scalars.ts';
import { dataKeyFromBytes, parseEncryptedValue } from '../src/index.ts';
import { canonicalTime, formatFloat, leafFromBytes } from '../src/leaf-values.ts';
import { encryptValue, openValue } from '../src/value-cipher.ts';
import { vectorText } from './vectors.ts';

type Values = {
  readonly data_key: string;
  readonly values: readonly {
    aad: string;
    enc: string;
    type: string;
    iv_bytes: number;
    plaintext_hex: string;
  }[];
  readonly mac: { aad: string; enc: string };
};
const published = JSON.parse(vectorText('values.json')) as Values;
const key = dataKeyFromBytes(Buffer.from(published.data_key, 'hex'));

describe('single values of the real sops', () => {
  it('are all of them', () => expect(published.values.length).toBe(9));

  it.each(published.values)(
    '$aad $type opens at its place only',
    ({ aad, enc, type, iv_bytes, plaintext_hex }) => {
      const value = parseEncryptedValue(enc);
      if (value === undefined) throw new Error('Not read as a value');
      expect({ type: value.type, iv: value.iv.length, exact: value.exact }).toEqual({
        type,
        iv: iv_bytes,
        exact: true,
      });
      expect(Buffer.from(openValue(key, value, aad) ?? []).toString('hex')).toBe(plaintext_hex);
      expect(openValue(key, value, `${aad}x`)).toBeUndefined();
      if (type !== 'comment') {
        const leaf = leafFromBytes(type as 'str', Buffer.from(plaintext_hex, 'hex'));
        expect(Buffer.from(leaf.bytes).toString('hex')).toBe(plaintext_hex);
      }
    },
  );

  it('the MAC opens with its time', () => {
    const value = parseEncryptedValue(published.mac.enc);
    expect(value !== undefined && openValue(key, value, published.mac.aad)).toHaveLength(128);
  });
});

describe('the text of a value', () => {
  it('INV-05: what is exact is spelled in one way', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 80 }),
        fc.string({ maxLength: 8 }),
        (bytes, aad) => {
          const text = encryptValue(key, bytes, { aad, type: 'str', randomBytes });
          const value = parseEncryptedValue(text);
          expect(value?.exact).toBe(true);
          expect(value && openValue(key, value, aad)).toEqual(bytes);
          expect(parseEncryptedValue(`${text}x`)?.exact).toBe(false);
        },
      ),
    );
  });

  it.each([
    ['greedy fields', 'ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str],iv:AA==,tag:AA==,type:str]'],
    ['no fields', 'ENC[AES256_GCM,data:]'],
    ['another cipher', 'ENC[AES256_CBC,data:AA==,iv:AA==,tag:AA==,type:str]'],
  ])('%s is no value', (_, text) => expect(parseEncryptedValue(text)).toBeUndefined());
});

describe('plain YAML scalars as go-yaml reads them', () => {
  const show = (text: string) => {
    const leaf = resolvePlainScalar(text);
    return leaf === 'too_large' ? leaf : `${leaf.type} ${Buffer.from(leaf.bytes).toString('utf8')}`;
  };
  it.each([
    ['', 'null '],
    ['~', 'null '],
    ['NULL', 'null '],
    ['nULL', 'str nULL'],
    ['True', 'bool True'],
    ['tRUE', 'str tRUE'],
    ['yes', 'str yes'],
    ['on', 'str on'],
    ['.NaN', 'float NaN'],
    ['-.inf', 'float -Inf'],
    ['+.Inf', 'float +Inf'],
    ['.5e3', 'float 500'],
    ['.a', 'str .a'],
    ['1.50', 'float 1.5'],
    ['1e10', 'float 10000000000'],
    ['-0.0', 'float -0'],
    ['08', 'float 8'],
    ['0777', 'int 511'],
    ['0o17', 'int 15'],
    ['0b11', 'int 3'],
    ['-0x1F', 'int -31'],
    ['1_000', 'int 1000'],
    ['+12', 'int 12'],
    ['9223372036854775807', 'int 9223372036854775807'],
    ['-9223372036854775808', 'int -9223372036854775808'],
    ['-9223372036854775809', 'float -9223372036854776000'],
    ['9223372036854775808', 'too_large'],
    ['18446744073709551616', 'float 18446744073709552000'],
    ['0x', 'str 0x'],
    ['1.2.3', 'str 1.2.3'],
    ['12:30', 'str 12:30'],
    ['2024-01-02', 'time 2024-01-02T00:00:00Z'],
    ['2024-1-2', 'time 2024-01-02T00:00:00Z'],
    ['2024-01-02t3:04:05.100+02:00', 'time 2024-01-02T03:04:05.1+02:00'],
    ['2024-01-02T03:04:05+00:00', 'time 2024-01-02T03:04:05Z'],
    ['2024-01-02 03:04:05,5', 'time 2024-01-02T03:04:05.5Z'],
    ['2024-02-30', 'str 2024-02-30'],
    ['2024-01-02T24:00:00Z', 'str 2024-01-02T24:00:00Z'],
    ['99999-01-01', 'str 99999-01-01'],
    ['<<', 'str <<'],
  ])('%s is %s', (text, expected) => expect(show(text)).toBe(expected));
});

describe('canonical forms', () => {
  it.each([
    [1e21, '1000000000000000000000'],
    [1e-7, '0.0000001'],
    [-0, '-0'],
    [0.1 + 0.2, '0.30000000000000004'],
    [123456789012345680000, '123456789012345680000'],
    [Number.POSITIVE_INFINITY, '+Inf'],
  ])('%d is %s', (value, text) => expect(formatFloat(value)).toBe(text));

  it('any double comes back from its digits', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(formatFloat(value)).toMatch(/^-?[0-9]+(?:\.[0-9]*[1-9])?$/);
        expect(Object.is(Number(formatFloat(value)), value)).toBe(true);
      }),
    );
  });

  it.each([
    '2024-01-02T03:04:05z',
    '2024-01-02t03:04:05Z',
    '2024-01-02',
    '2024-01-02T03:04:05',
    '2024-02-30T00:00:00Z',
    '2024-01-02T03:04:60Z',
    '2024-01-02T03:04:05+2:00',
  ])('%s is no time', (text) => expect(canonicalTime(text)).toBeUndefined());

  it.each([
    ['int', '12x'],
    ['int', ''],
    ['int', '9223372036854775808'],
    ['bool', 'yes'],
    ['float', '0x10'],
    ['float', '1e999'],
    ['time', '2024-01-02'],
  ] as const)('%s does not take "%s"', (type, text) => {
    expect(() => leafFromBytes(type, Buffer.from(text))).toThrowError(
      expect.objectContaining({ code: 'value_wrong_type' }) as Error,
    );
  });
});
