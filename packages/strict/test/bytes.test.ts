import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeBase64,
  decodeHex,
  decodeUtf8,
  encodeBase64,
  encodeHex,
  positionAt,
  StrictError,
} from '../src/index.ts';

describe('decodeBase64', () => {
  it.each([
    ['', []],
    ['AA==', [0]],
    ['AAA=', [0, 0]],
    ['+/+/', [0xfb, 0xff, 0xbf]],
  ])('reads %j', (text, bytes) => {
    expect(decodeBase64(text)).toEqual(Uint8Array.from(bytes));
  });

  it.each([
    ['the URL-safe alphabet', '-_-_'],
    ['missing padding', 'AA'],
    ['half of the padding', 'AA='],
    ['too much padding', 'AAA=='],
    ['padding alone', '===='],
    ['padding in the middle', 'AA==AAAA'],
    ['trailing bits that are not zero (two)', 'AB=='],
    ['trailing bits that are not zero (one)', 'AAB='],
    ['a space', 'AA AA'],
    ['a leading space', ' AAA='],
    ['a newline at the end', 'AAA=\n'],
    ['line breaks', 'AAAA\r\nAAAA'],
    ['one letter', 'A'],
    ['five letters', 'AAAAA'],
    ['a letter outside of ASCII', 'ＡAAA'],
    ['a lone surrogate', 'AAA\ud800'],
    ['NUL', 'AAA\0'],
    ['percent signs', 'AA%3D'],
  ])('refuses %s', (_title, text) => {
    expect(() => decodeBase64(text)).toThrow(StrictError);
  });

  it('is undone by encodeBase64, and accepts one spelling only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.base64String(), fc.nat(), fc.string({ maxLength: 1 }), (text, at, character) => {
        const changed =
          text.slice(0, at % (text.length + 1)) + character + text.slice((at % (text.length + 1)) + 1);
        const bytes = attempt(() => decodeBase64(changed));
        if (bytes !== undefined) expect(encodeBase64(bytes)).toBe(changed);
      }),
    );
  });

  it('does not share memory with anything', () => {
    expect(decodeBase64('AAA=').buffer.byteLength).toBe(2);
  });
});

describe('decodeHex', () => {
  it('reads lower case and is undone by encodeHex', () => {
    expect(decodeHex('00ff')).toEqual(Uint8Array.of(0, 255));
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => void expect(decodeHex(encodeHex(bytes))).toEqual(bytes)),
    );
  });

  it.each(['0', 'FF', '0x00', ' 00', '00\n', 'zz', '０0', '0\u{1d7d8}'])('refuses %j', (text) => {
    expect(() => decodeHex(text)).toThrow(StrictError);
  });
});

describe('decodeUtf8', () => {
  it('keeps everything that is text', () => {
    const text = 'a\0é\u2028😀\r\n';
    expect(decodeUtf8(new TextEncoder().encode(text))).toBe(text);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (any) => {
        fc.pre(!any.startsWith('\ufeff'));
        expect(decodeUtf8(new TextEncoder().encode(any))).toBe(any);
      }),
    );
  });

  it('decodes the view it is given, not the memory around it', () => {
    expect(decodeUtf8(new Uint8Array([0xff, 0x61, 0xff]).subarray(1, 2))).toBe('a');
  });

  it('refuses a byte order mark, or leaves it out if that is allowed', () => {
    const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0x61);
    expect(() => decodeUtf8(bytes)).toThrow(/byte order mark/);
    expect(decodeUtf8(bytes, { allowBom: true })).toBe('a');
  });

  it.each([
    ['a stray continuation byte', [0x61, 0x0a, 0x80], 2, 1],
    ['a cut sequence', [0xc3, 0xa9, 0xc3], 1, 2],
    ['an overlong form', [0xc0, 0x80], 1, 1],
    ['a surrogate', [0x61, 0xed, 0xa0, 0x80], 1, 2],
    ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80], 1, 1],
    ['after a real U+FFFD', [0xef, 0xbf, 0xbd, 0xff], 1, 2],
  ])('refuses %s and says where', (_title, bytes, line, column) => {
    expect(faultOf(() => decodeUtf8(Uint8Array.from(bytes)))).toMatchObject({
      code: 'encoding',
      position: { line, column },
    });
  });
});

describe('positionAt', () => {
  it.each([
    ['', 0, 1, 1],
    ['abc', 2, 1, 3],
    ['a\nb', 1, 1, 2],
    ['a\nb', 2, 2, 1],
    ['a\r\n\nb', 4, 3, 1],
    ['a\nb', 99, 2, 2],
  ])('%j at %i is line %i, column %i', (text, offset, line, column) => {
    expect(positionAt(text, offset)).toEqual({ line, column });
  });
});

function faultOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (cause) {
    return cause;
  }
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof StrictError) return undefined;
    throw cause;
  }
}
