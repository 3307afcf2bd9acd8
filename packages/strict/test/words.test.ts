import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  escapeControl,
  excerpt,
  formatTimestamp,
  parseDuration,
  parseInteger,
  parseTimestamp,
  StrictError,
  suggest,
} from '../src/index.ts';

describe('parseInteger', () => {
  it.each([
    ['0', 0],
    ['7', 7],
    ['65535', 65_535],
  ])('reads %s', (text, value) => {
    expect(parseInteger(text, { min: 0, max: 65_535 })).toBe(value);
  });

  it('reads a minus only when the range has one', () => {
    expect(parseInteger('-5', { min: -5, max: 5 })).toBe(-5);
    expect(() => parseInteger('-5', { min: 0, max: 5 })).toThrow(StrictError);
    expect(() => parseInteger('-0', { min: -5, max: 5 })).toThrow(StrictError);
  });

  it.each([
    '',
    ' 1',
    '1 ',
    '1\n',
    '+1',
    '01',
    '1.0',
    '1e3',
    '0x10',
    '１０',
    '٣',
    '1_000',
    '1,000',
    'NaN',
    'Infinity',
    '65536',
  ])('A15, A16, H01: refuses %j', (text) => {
    expect(() => parseInteger(text, { min: 0, max: 65_535 })).toThrow(StrictError);
  });

  it('refuses what a double cannot hold', () => {
    const all = { min: 0, max: Number.MAX_VALUE };
    expect(parseInteger('9007199254740991', all)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => parseInteger('9007199254740992', all)).toThrow(StrictError);
  });

  it('says what it wanted and, shortly, what it found', () => {
    expect(() => parseInteger('7779x', { min: 1, max: 65_535 })).toThrow(
      'Expected a whole number from 1 to 65535, found "7779x"',
    );
    expect(() => parseInteger('9'.repeat(1_000), { min: 1, max: 2 })).toThrow(/^.{0,120}$/);
  });
});

describe('parseDuration', () => {
  it.each([
    ['0', 0],
    ['1s', 1],
    ['30s', 30],
    ['5m', 300],
    ['24h', 86_400],
    ['30d', 2_592_000],
  ])('reads %s as %i seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each([
    '',
    's',
    '5',
    '0s',
    '05m',
    '-5m',
    '+5m',
    '5M',
    '5 m',
    '5m ',
    '1h30m',
    '10m30',
    '1.5h',
    '1e9s',
    '5ms',
    '1w',
    '1y',
    '５m',
    'NaN',
    '0x10s',
  ])('A15, H02: refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(StrictError);
  });

  it('keeps its range and says it in the same words', () => {
    const range = { minSeconds: 60, maxSeconds: 30 * 86_400 };
    expect(parseDuration('1m', range)).toBe(60);
    expect(parseDuration('30d', range)).toBe(2_592_000);
    expect(() => parseDuration('59s', range)).toThrow('Expected a duration from 1m to 30d, found "59s"');
    expect(() => parseDuration('0', range)).toThrow(StrictError);
    expect(() => parseDuration('31d', range)).toThrow(StrictError);
    expect(() => parseDuration('9999999999d')).toThrow(StrictError);
  });
});

describe('parseTimestamp', () => {
  it.each([
    ['1970-01-01T00:00:00Z', 0],
    ['2026-01-31T12:34:56Z', 1_769_862_896_000],
    ['2026-01-31T12:34:56.5Z', 1_769_862_896_500],
    ['2026-01-31T12:34:56.123456789Z', 1_769_862_896_123],
    ['2024-02-29T23:59:59Z', 1_709_251_199_000],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
    ['9999-12-31T23:59:59Z', 253_402_300_799_000],
  ])('reads %s', (text, milliseconds) => {
    expect(parseTimestamp(text)).toBe(milliseconds);
  });

  it.each([
    '2026-01-31',
    '2026-01-31T12:34Z',
    '2026-01-31T12:34:56',
    '2026-01-31T12:34:56z',
    '2026-01-31t12:34:56Z',
    '2026-01-31 12:34:56Z',
    '2026-01-31T12:34:56+00:00',
    '2026-01-31T12:34:56.Z',
    '2026-01-31T12:34:56.1234567890Z',
    '2026-01-31T12:34:56,5Z',
    '2026-1-31T12:34:56Z',
    '2026-02-29T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T23:60:00Z',
    '2016-12-31T23:59:60Z',
    '+02026-01-31T12:34:56Z',
    '-2026-01-31T12:34:56Z',
    '12026-01-31T12:34:56Z',
    '２026-01-31T12:34:56Z',
    ' 2026-01-31T12:34:56Z',
    '2026-01-31T12:34:56Z\n',
    'Sat, 31 Jan 2026 12:34:56 GMT',
    '1769862896',
    '',
  ])('refuses %j', (text) => {
    expect(() => parseTimestamp(text)).toThrow(StrictError);
  });

  it('is undone by formatTimestamp, to the second', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }), (milliseconds) => {
        expect(parseTimestamp(formatTimestamp(milliseconds))).toBe(Math.floor(milliseconds / 1000) * 1000);
      }),
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 253_402_300_800_000, -62_167_219_200_001])(
    'formatTimestamp refuses %d',
    (milliseconds) => {
      expect(() => formatTimestamp(milliseconds)).toThrow(StrictError);
    },
  );
});

describe('suggest', () => {
  const names = ['production', 'staging', 'development'];
  it.each([
    ['Production', 'production'],
    ['prodution', 'production'],
    ['prdouction', 'production'],
    ['stagin', 'staging'],
    ['prod', 'production'],
    ['dev', 'development'],
    ['DEV', 'development'],
    ['xyz', undefined],
    ['st', undefined],
    ['', undefined],
    ['production', undefined],
    ['p'.repeat(10_000), undefined],
  ])('%s: %s', (word, expected) => {
    expect(suggest(word, names)).toBe(expected);
  });

  it('does not choose between two names that begin alike, but takes the nearer of two misspelt ones', () => {
    expect(suggest('pro', ['production', 'prototype'])).toBeUndefined();
    expect(suggest('recipient', ['recipients', 'recipe'])).toBe('recipients');
  });

  it('counts two swapped letters as one slip', () => {
    expect(suggest('tset', ['test'])).toBe('test');
    expect(suggest('tXXt', ['test'])).toBeUndefined();
  });

  it('takes any iterable', () => {
    expect(suggest('stagin', new Set(names))).toBe('staging');
  });
});

describe('escapeControl', () => {
  it.each([
    ['\x1b[31m', '\\x1b[31m'],
    ['\0', '\\x00'],
    ['\x7f', '\\x7f'],
    ['\x9b', '\\x9b'],
    ['a\nb\tc\r', 'a\\nb\\tc\\r'],
    ['\u202e', '\\u202e'],
    ['\u2066\u2069', '\\u2066\\u2069'],
    ['\u200b\u200d', '\\u200b\\u200d'],
    ['\u2028', '\\u2028'],
    ['\ufeff', '\\ufeff'],
    ['\ud800', '\\ud800'],
    ['\u{e0041}', '\\u{e0041}'],
    ['é 😀 漢字 \\', 'é 😀 漢字 \\'],
  ])('%j becomes %j', (text, shown) => {
    expect(escapeControl(text)).toBe(shown);
  });

  it('keeps newline and tab if asked to, never a carriage return', () => {
    expect(escapeControl('a\n\tb\r\x1b', { keepNewlines: true })).toBe('a\n\tb\\r\\x1b');
  });

  it('leaves nothing that a terminal acts on', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(escapeControl(text)).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Surrogate}]/u);
      }),
    );
  });
});

describe('excerpt', () => {
  it('leaves a short text whole', () => {
    expect(excerpt('database/production')).toBe('database/production');
    expect(excerpt('x'.repeat(64))).toBe('x'.repeat(64));
  });

  it('cuts, escapes included, and never in the middle of one', () => {
    expect(excerpt('x'.repeat(65))).toBe(`${'x'.repeat(63)}…`);
    expect(excerpt('\x1b'.repeat(100), 10)).toBe('\\x1b\\x1b…');
    expect(excerpt('a😀😀😀', 4)).toBe('a😀…');
  });

  it('is never longer than asked for', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.integer({ min: 1, max: 80 }),
        (text, max) => {
          expect(excerpt(text, max).length).toBeLessThanOrEqual(max);
        },
      ),
    );
  });
});
