import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { processorTime } from '../../../test/processor-time.ts';
import { type JsonValue, parseJson, type StrictCode, StrictError } from '../src/index.ts';

const limits = { maxBytes: 1_048_576, maxDepth: 64 };

function faultOf(input: Uint8Array | string, given = limits): StrictError {
  try {
    parseJson(input, given);
  } catch (cause) {
    if (cause instanceof StrictError) return cause;
    throw cause;
  }
  throw new Error('It was accepted');
}

/** Objects from JSON.parse have a prototype; ours have none. */
function withoutPrototypes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPrototypes);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, item] of Object.entries(value)) copy[key] = withoutPrototypes(item);
  return copy;
}

describe('parseJson refuses', () => {
  const rows: readonly [
    title: string,
    input: string | Uint8Array,
    code: StrictCode,
    line: number,
    column: number,
  ][] = [
    ['E03: a duplicate key', '{"a":1,"a":2}', 'syntax', 1, 8],
    ['E03: a duplicate key in different spellings', '{"a":1,\n"\\u0061":2}', 'syntax', 2, 1],
    ['E03: a duplicate __proto__', '{"__proto__":1,"__proto__":2}', 'syntax', 1, 16],
    ['E03: trailing text', '{} x', 'syntax', 1, 4],
    ['E03: a second value', '1 2', 'syntax', 1, 3],
    ['E03: a byte order mark in bytes', Uint8Array.of(0xef, 0xbb, 0xbf, 0x31), 'encoding', 1, 1],
    ['E03: a byte order mark in a string', '\ufeff1', 'encoding', 1, 1],
    ['E03: UTF-16 bytes', Uint8Array.of(0x7b, 0x00, 0x7d, 0x00), 'syntax', 1, 2],
    ['E03: UTF-16 bytes with a mark', Uint8Array.of(0xff, 0xfe, 0x31, 0x00), 'encoding', 1, 1],
    ['E03: NaN', 'NaN', 'syntax', 1, 1],
    ['E03: Infinity', '[Infinity]', 'syntax', 1, 2],
    ['E03: -Infinity', '-Infinity', 'syntax', 1, 1],
    ['E03: 1e999', '1e999', 'value', 1, 1],
    ['E03: -1e999 inside', '[0,\n -1e999]', 'value', 2, 2],
    ['E03: a line comment', '1 // one', 'syntax', 1, 3],
    ['E03: a block comment', '/* */ 1', 'syntax', 1, 1],
    ['nothing', '', 'syntax', 1, 1],
    ['only space', ' \n ', 'syntax', 2, 2],
    ['invalid UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'encoding', 1, 2],
    ['UTF-8 of a surrogate', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), 'encoding', 1, 2],
    ['overlong UTF-8', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), 'encoding', 1, 2],
    ['a lone surrogate in a string', '["\ud800"]', 'encoding', 1, 3],
    ['a lone surrogate as an escape', '["\\ud800"]', 'encoding', 1, 2],
    ['a lone low surrogate as an escape', '"\\udc00x"', 'encoding', 1, 1],
    ['surrogates in the wrong order', '"\\udc00\\ud800"', 'encoding', 1, 1],
    ['a lone surrogate in a key', '{"\\ud800":1}', 'encoding', 1, 2],
    ['a raw newline in a string', '"a\nb"', 'syntax', 1, 3],
    ['a raw NUL in a string', '"\0"', 'syntax', 1, 2],
    ['the last control character in a string', '"\u001f"', 'syntax', 1, 2],
    ['an unfinished string', '"abc', 'syntax', 1, 5],
    ['an unknown escape', '"\\x41"', 'syntax', 1, 2],
    ['a short escape', '"\\u12"', 'syntax', 1, 2],
    ['an escape of foreign digits', '"\\u٠٠٠٠"', 'syntax', 1, 2],
    ['single quotes', "'a'", 'syntax', 1, 1],
    ['a key without quotes', '{a:1}', 'syntax', 1, 2],
    ['a number as key', '{1:1}', 'syntax', 1, 2],
    ['a trailing comma in an object', '{"a":1,}', 'syntax', 1, 8],
    ['a trailing comma in an array', '[1,]', 'syntax', 1, 4],
    ['a leading comma', '[,1]', 'syntax', 1, 2],
    ['a missing comma', '[1 2]', 'syntax', 1, 4],
    ['a missing colon', '{"a" 1}', 'syntax', 1, 6],
    ['an unfinished object', '{"a":1', 'syntax', 1, 7],
    ['an unfinished array', '[1', 'syntax', 1, 3],
    ['the wrong bracket', '[1}', 'syntax', 1, 3],
    ['a lone closing bracket', ']', 'syntax', 1, 1],
    ['a leading zero', '01', 'syntax', 1, 2],
    ['a plus sign', '+1', 'syntax', 1, 1],
    ['a lone minus', '-', 'syntax', 1, 1],
    ['no digits before the point', '.5', 'syntax', 1, 1],
    ['no digits after the point', '5.', 'syntax', 1, 2],
    ['an empty exponent', '1e', 'syntax', 1, 2],
    ['hexadecimal', '0x10', 'syntax', 1, 2],
    ['an underscore', '1_0', 'syntax', 1, 2],
    ['full-width digits', '１', 'syntax', 1, 1],
    ['an upper-case word', 'True', 'syntax', 1, 1],
    ['a cut word', 'tru', 'syntax', 1, 1],
    ['a longer word', 'nullx', 'syntax', 1, 5],
    ['undefined', 'undefined', 'syntax', 1, 1],
    ['a no-break space', '\u00a01', 'syntax', 1, 1],
    ['a vertical tab', '\u000b1', 'syntax', 1, 1],
    ['a line separator between values', '[1,\u20281]', 'syntax', 1, 4],
  ];
  it.each(rows)('%s', (_title, input, code, line, column) => {
    const fault = faultOf(input);
    expect(fault).toMatchObject({ code, position: { line, column } });
    expect(fault.message).not.toMatch(/[.\n]$/);
  });
});

describe('parseJson keeps its limits', () => {
  it('counts bytes, not characters, before anything else', () => {
    expect(parseJson('"é"', { ...limits, maxBytes: 4 })).toBe('é');
    expect(faultOf('"é"', { ...limits, maxBytes: 3 }).code).toBe('limit');
    expect(faultOf(new Uint8Array(5).fill(0xff), { ...limits, maxBytes: 4 }).code).toBe('limit');
  });

  it('counts depth', () => {
    expect(parseJson('[[1]]', { ...limits, maxDepth: 2 })).toEqual([[1]]);
    expect(faultOf('[[[1]]]', { ...limits, maxDepth: 2 })).toMatchObject({
      code: 'limit',
      position: { line: 1, column: 3 },
    });
    expect(faultOf('{"a":{"b":{}}}', { ...limits, maxDepth: 2 }).code).toBe('limit');
    expect(parseJson('[[],[],[]]', { ...limits, maxDepth: 2 })).toEqual([[], [], []]);
  });

  it.each(['[', '{"a":', '[{"a":'])('does not exhaust the stack on 100,000 times %s', (opening) => {
    const fault = faultOf(opening.repeat(100_000), {
      maxBytes: 10_000_000,
      maxDepth: Number.POSITIVE_INFINITY,
    });
    expect(fault.code).toBe('limit');
  });

  it('counts values', () => {
    const three = { ...limits, maxNodes: 3 };
    expect(parseJson('[1,2]', three)).toEqual([1, 2]);
    expect(faultOf('[1,2,3]', three).code).toBe('limit');
    expect(faultOf('{"a":[{}, 1]}', three).code).toBe('limit');
  });

  it('holds no more than a short excerpt of the input in a message', () => {
    const key = 'k'.repeat(10_000);
    expect(faultOf(`{"${key}":1,"${key}":2}`).message.length).toBeLessThan(120);
    expect(faultOf('["\u202e" \u001b]').message).not.toContain('\u001b');
  });
});

describe('parseJson reads', () => {
  it('keys of prototypes as data', () => {
    const text = '{"__proto__":{"isAdmin":true},"constructor":1,"toString":2,"hasOwnProperty":3}';
    const value = parseJson(text, limits) as Record<string, JsonValue>;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'toString', 'hasOwnProperty']);
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(value['isAdmin']).toBeUndefined();
    expect(JSON.stringify(value)).toBe(text);
  });

  it.each([
    '1e3',
    '-0',
    '0.1',
    '1E+2',
    '12345678901234567890',
    '5e-324',
    '""',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"',
    '"\u2028\u2029\u007f"',
    ' \t\r\n[ ] ',
    '{ "a" : [ 1 , { } ] }',
    'true',
    'null',
  ])('%s as JSON.parse does', (text) => {
    expect(parseJson(text, limits)).toEqual(withoutPrototypes(JSON.parse(text)));
  });

  it('what JSON.stringify wrote, unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.boolean(), (value, isIndented) => {
        fc.pre(isWellFormed(JSON.stringify(value)));
        const text = JSON.stringify(value, null, isIndented ? 2 : 0);
        const expected = withoutPrototypes(JSON.parse(text));
        expect(parseJson(text, limits)).toEqual(expected);
        expect(parseJson(new TextEncoder().encode(text), limits)).toEqual(expected);
        expect(JSON.stringify(parseJson(text, limits))).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 300 },
    );
  });

  it('nothing that JSON.parse refuses, and what both accept as the same value', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"b"',
      '\\',
      '\\u0041',
      '1',
      '-',
      '0',
      '.5',
      'e1',
      'true',
      'null',
      ' ',
      '\n',
      '\u00e9',
    ];
    const token = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...pieces) }, fc.string({ maxLength: 2 }));
    fc.assert(
      fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
        const text = tokens.join('');
        const ours = attempt(() => parseJson(text, limits));
        const theirs = attempt(() => JSON.parse(text) as unknown);
        if (ours === undefined) return;
        expect(theirs).toBeDefined();
        expect(ours.value).toEqual(withoutPrototypes(theirs?.value));
      }),
      { numRuns: 5_000 },
    );
  });

  it('a document of one fault less wherever one character is changed', () => {
    const text = '{"version":1,"list":[true,null,-2.5e3],"text":"\\u00e9\\n","nested":{"__proto__":{}}}';
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...'{}[],:"\\0e.- x\u0000'), (at, character) => {
        const changed = text.slice(0, at) + character + text.slice(at + 1);
        const ours = attempt(() => parseJson(changed, limits));
        const theirs = attempt(() => JSON.parse(changed) as unknown);
        expect(ours === undefined ? undefined : ours.value).toEqual(
          ours === undefined ? undefined : withoutPrototypes(theirs?.value),
        );
        // Nothing in this text is a duplicate, a surrogate or an overflow, so the two must agree on refusing as well.
        if (!/"(version|list|text|nested)".*"\1"/.test(changed))
          expect(ours === undefined).toBe(theirs === undefined);
      }),
      { numRuns: 1_000 },
    );
  });

  it('a text of 1 MiB in well under a second', () => {
    const text = JSON.stringify(
      Object.fromEntries(Array.from({ length: 8_000 }, (_, n) => [`KEY_${n}`, 'v'.repeat(110)])),
    );
    const started = processorTime();
    parseJson(new TextEncoder().encode(text), limits);
    expect(processorTime() - started).toBeLessThan(500);
  });
});

function attempt<T>(work: () => T): { value: T } | undefined {
  try {
    return { value: work() };
  } catch (cause) {
    if (cause instanceof StrictError || cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}|\\u[dD][89a-fA-F]/u.test(text);
}
