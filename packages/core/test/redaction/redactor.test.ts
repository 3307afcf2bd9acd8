// exec --redact: whatever the values and wherever the chunks end, what comes out is the masking of the whole.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytePatterns } from '../../src/secrets/redaction/byte-patterns.ts';
import { mask, redactor } from '../../src/secrets/redaction/redactor.ts';
import { secretPatterns } from '../../src/secrets/redaction/secret-patterns.ts';

/** The rule, written down without any cleverness: every byte of every occurrence, and one mask for each run. */
function maskedWhole(text: Buffer, patterns: readonly Uint8Array[]): string {
  const covered = new Set<number>();
  for (const pattern of patterns) {
    for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + 1))
      for (let index = at; index < at + pattern.length; index += 1) covered.add(index);
  }
  let out = '';
  text.forEach((byte, at) => {
    if (!covered.has(at)) out += String.fromCharCode(byte);
    else if (!covered.has(at - 1)) out += mask;
  });
  return out;
}

function maskedInChunks(chunks: readonly Uint8Array[], patterns: readonly Uint8Array[]): string {
  const { push, end } = redactor(bytePatterns(patterns));
  return Buffer.concat([...chunks.map((chunk) => Buffer.from(push(chunk))), end()]).toString('latin1');
}

function split(text: Buffer, cuts: readonly number[]): readonly Uint8Array[] {
  const at = [...new Set([0, ...cuts.map((cut) => cut % (text.length + 1)), text.length])].sort(
    (a, b) => a - b,
  );
  return at.slice(1).map((end, index) => text.subarray(at[index], end));
}

// Two or three letters only: random secrets then overlap, contain and repeat each other all the time.
const bytes = (maxLength: number) =>
  fc.array(fc.constantFrom(97, 98, 99), { minLength: 1, maxLength }).map((list) => Buffer.from(list));

it('3,000 random sets of secrets, texts and cuts: the same as masking the whole', () => {
  fc.assert(
    fc.property(
      fc.array(bytes(7), { minLength: 1, maxLength: 6 }),
      fc.array(fc.oneof(bytes(12), bytes(3)), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (patterns, parts, cuts) => {
        const text = Buffer.concat([...parts, ...patterns.slice(0, 2), ...parts]);
        expect(maskedInChunks(split(text, cuts), patterns)).toBe(maskedWhole(text, patterns));
      },
    ),
    { numRuns: 3000 },
  );
});

it('realistic secrets in realistic output, cut anywhere', () => {
  const secret = fc
    .string({ unit: 'grapheme', minLength: 4, maxLength: 24 })
    .filter((text) => [...text.trim()].length >= 4);
  fc.assert(
    fc.property(
      fc.array(secret, { minLength: 1, maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      (list, cuts) => {
        const values = new Map(list.map((text, index) => [`K${index}`, text]));
        const { patterns } = secretPatterns(values);
        const text = Buffer.from(
          list.map((value) => `token=${value};\n${JSON.stringify(value)}\n`).join('log: '),
        );
        const out = maskedInChunks(split(text, cuts), patterns);
        expect(out).toBe(maskedWhole(text, patterns));
        for (const value of list) expect(out).not.toContain(Buffer.from(value.trim()).toString('latin1'));
      },
    ),
    { numRuns: 500 },
  );
});

describe('nothing is held back longer than it must be', () => {
  const shown = (pushed: readonly string[], secrets: readonly string[]): readonly string[] => {
    const { push, end } = redactor(bytePatterns(secrets.map((text) => Buffer.from(text))));
    return [
      ...pushed.map((text) => Buffer.from(push(Buffer.from(text))).toString()),
      Buffer.from(end()).toString(),
    ];
  };
  it.each<readonly [string, readonly string[], readonly string[], readonly string[]]>([
    ['a prompt is shown at once', ['Password: '], ['hunter22'], ['Password: ', '']],
    ['only what may begin a secret waits', ['say hunt', 'ing'], ['hunter22'], ['say ', 'hunting', '']],
    [
      'a secret is masked as soon as it is whole',
      ['a hunter22', ' b'],
      ['hunter22'],
      ['a [redacted]', ' b', ''],
    ],
    ['one mask for a secret in two halves', ['hunt', 'er22'], ['hunter22'], ['', '[redacted]', '']],
    ['a longer one that goes on', ['hunter22', 'xyz!'], ['hunter22', 'hunter22xyz'], ['[redacted]', '!', '']],
    [
      'a longer one that does not',
      ['hunter22', 'xy!'],
      ['hunter22', 'hunter22xyz'],
      ['[redacted]', 'xy!', ''],
    ],
    ['the end lets go what waited', ['hunt'], ['hunter22'], ['', 'hunt']],
    ['overlapping: both are covered', ['abcdef'], ['abcd', 'cdef'], ['[redacted]', '']],
  ])('%s', (_, pushed, secrets, expected) => {
    expect(shown(pushed, secrets)).toEqual(expected);
  });

  it('memory: what is held is shorter than the longest secret', () => {
    const secret = Buffer.from('x'.repeat(1000));
    const { push } = redactor(bytePatterns([secret]));
    const out = Buffer.from(push(Buffer.from(`${'y'.repeat(100_000)}${'x'.repeat(999)}`)));
    expect(out.length).toBe(100_000);
  });
});

describe('the forms of a value', () => {
  const formsOf = (value: string): readonly string[] =>
    secretPatterns(new Map([['K', value]])).patterns.map((pattern) => Buffer.from(pattern).toString());

  it.each<readonly [string, string, string]>([
    ['in JSON', 'a "quoted" value', 'a \\"quoted\\" value'],
    ['in a URL', 'p@ss word/é', 'p%40ss%20word%2F%C3%A9'],
    ['in a form', 'p@ss word', 'p%40ss+word'],
    ['in base64', 'hunter22', Buffer.from('hunter22').toString('base64').replace(/=+$/, '')],
    ['with its line end in base64', 'hunter22\n', Buffer.from('hunter22\n').toString('base64')],
    ['each long line', '-----BEGIN KEY-----\nAAAABBBBCCCC\nx\n', 'AAAABBBBCCCC'],
    ['with the line ends of a terminal', 'line one\nline two', 'line one\r\nline two'],
  ])('%s', (_, value, form) => {
    expect(formsOf(value)).toContain(form);
  });

  it('inside the base64 of something longer, wherever it begins', () => {
    for (const before of ['', 'u', 'us', 'user:']) {
      const text = Buffer.from(Buffer.from(`${before}correct-horse-battery and more`).toString('base64'));
      const { patterns } = secretPatterns(new Map([['K', 'correct-horse-battery']]));
      const left = maskedWhole(text, patterns)
        .replace(mask, '\0')
        .split('\0')
        .map((part) => Buffer.from(part, 'base64').toString());
      expect(left.join(' ')).not.toMatch(/orrect|horse|batter/);
    }
  });

  it('a value shorter than 4 characters is not masked, and is named', () => {
    const short = new Map([
      ['A', 'abc'],
      ['B', ' \n\n\n '],
      ['C', 'abcd'],
    ]);
    expect(secretPatterns(short).unmasked).toEqual(['A', 'B']);
    expect(formsOf('abc')).toEqual([]);
  });

  it('a short line of a long value is not masked by itself', () => {
    expect(formsOf('if\nthe line is long\nfi')).not.toContain('if');
  });
});

it('a megabyte of secrets and ten megabytes of output take seconds at most', () => {
  const values = new Map(
    Array.from({ length: 1000 }, (_, index) => [`K${index}`, `${index}-${'v'.repeat(100)}${index}`]),
  );
  const { push } = redactor(bytePatterns(secretPatterns(values).patterns));
  const chunk = Buffer.from(`${'a line of log with 12-vvv in it\n'.repeat(2000)}`);
  const start = performance.now();
  for (let index = 0; index < 160; index += 1) push(chunk);
  expect(performance.now() - start).toBeLessThan(10_000);
});
