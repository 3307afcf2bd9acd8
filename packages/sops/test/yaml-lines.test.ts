// The quick reader of plain YAML beside the YAML parser: what it reads it reads exactly alike, with every place, and
// what it is not sure of it leaves to the parser. Neither may ever read what the other refuses.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultLimits } from '../src/formats/format.ts';
import { readPlainLines } from '../src/formats/yaml-lines.ts';
import { parseText } from '../src/formats/yaml-read.ts';
import { manifest, vectorText } from './vectors.ts';

function quick(text: string) {
  return readPlainLines(Buffer.from(text), text, defaultLimits);
}

/** The same form from both readers: bytes as hexadecimal, members in one order. */
function shown(roots: readonly unknown[], features: readonly unknown[]): string {
  const ordered = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
    if (Array.isArray(value)) return value.map(ordered);
    if (typeof value !== 'object' || value === null) return value;
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return Object.fromEntries(members.sort().map(([name, member]) => [name, ordered(member)]));
  };
  return JSON.stringify([ordered(roots), ordered(features)]);
}

/** Compares the readers; true where the quick one read the text. */
function agree(text: string): boolean {
  const plain = quick(text);
  if (plain === undefined) return false;
  const { roots, features } = parseText(Buffer.from(text), text, defaultLimits);
  expect(shown([plain.root], plain.features), JSON.stringify(text)).toBe(shown(roots, features));
  return true;
}

const shapes = [
  'a: x\nb:\n    c: "q r"\n    d:\n        - r: s\n          e: |\n            LINE\n             L2\n        - r: t\n          e: |\n            X\n    z: 1\nk: v w\n',
  'l:\n    - a\n    - "b"\n    - k: v\n      m: n\n    - 1\nt: 2024-01-02\nf: 1_000.5\n',
  'a:\n  b:\n    c:\n      - d: |\n          x\n        e: f\nz: ENC[AES256_GCM,data:aGk=,iv:AA==,tag:AA==,type:str]\n',
  'sops:\n    age:\n        - recipient: age1x\n          enc: |\n            -----BEGIN-----\n    version: 3.12.2\n',
];
const files = manifest.cases
  .filter(({ format, file }) => format === 'yaml' && file !== undefined)
  .map(({ file = '' }) => vectorText(file));

const words = fc.constantFrom(
  ...[
    '\n',
    ' ',
    '  ',
    '    ',
    ': ',
    ':',
    '- ',
    '- a\n',
    '|',
    '|\n',
    '|-\n',
    '>\n',
    '"',
    "'",
    '#',
    ' #',
    '{',
    '}',
  ],
  ...[
    '[',
    ']',
    '&a ',
    '*a',
    '!x ',
    '---\n',
    '...\n',
    '%',
    '? ',
    '~',
    'null',
    'true',
    '0x1f',
    '08',
    '.5',
    '-1',
    '\t',
  ],
  ...[
    '<<',
    '@',
    '`',
    ',',
    '\r\n',
    'é',
    '\u2028',
    '\n\n',
    '=',
    'sops:\n',
    'key: v\n',
    'key:\n    - ',
    '\\',
    'y',
    ' : ',
  ],
);
/** A text with a few words put in, taken out or doubled. */
const damaged = fc
  .tuple(
    fc.constantFrom(...shapes, ...files.filter((text) => text.length < 1500)),
    fc.array(fc.tuple(fc.nat(), fc.nat(3), words), { minLength: 1, maxLength: 3 }),
  )
  .map(([text, changes]) =>
    changes.reduce((so, [place, cut, word]) => {
      const at = place % (so.length + 1);
      return so.slice(0, at) + word + so.slice(at + cut);
    }, text),
  );

describe('plain YAML, line by line', () => {
  it('the vectors: the same as the parser, and more than half of the valid ones', () => {
    const valid = manifest.cases.filter(
      ({ format, file, expect }) => format === 'yaml' && file !== undefined && expect === 'ok',
    );
    for (const text of files) if (quick(text) !== undefined) agree(text);
    const read = valid.filter(({ file = '' }) => quick(vectorText(file)) !== undefined);
    expect(read.length / valid.length).toBeGreaterThan(0.3);
  });

  it('every shape that it is meant for', () => {
    for (const text of shapes) expect(agree(text), text).toBe(true);
  });

  it('damaged texts: read alike, or left to the parser', () => {
    fc.assert(
      fc.property(damaged, (text) => {
        agree(text);
      }),
      { numRuns: 4000 },
    );
  });

  const left: readonly (readonly [title: string, text: string])[] = [
    ['a key twice', 'a: x\na: y\n'],
    ['a comment', 'a: x # y\n'],
    ['a value over two lines', 'a: x\n  y\n'],
    ['an escape', 'a: "\\n"\n'],
    ['an empty value', 'a:\nb: x\n'],
    ['an empty line', 'a: x\n\nb: y\n'],
    ['no newline at the end', 'a: x'],
    ['Windows line ends', 'a: x\r\n'],
    ['a byte order mark', '\ufeffa: x\n'],
    ['a mapping in a line', 'a: b: c\n'],
    ['a key that is no string', 'true: x\n'],
    ['an integer beyond 64 bits', 'a: 18446744073709551615\n'],
    ['a document marker', '---\na: x\n'],
    ['deeper than it counts', Array.from({ length: 20 }, (_, level) => `${' '.repeat(level)}a:\n`).join('')],
    ['nothing', '\n'],
  ];
  it.each(left)('leaves to the parser: %s', (_title, text) => {
    expect(quick(text)).toBeUndefined();
  });

  it('what it read does not change with the bytes it was read from', () => {
    const bytes = Buffer.from('a: secret\n');
    const read = readPlainLines(bytes, bytes.toString(), defaultLimits);
    const before = shown([read?.root], []);
    bytes.fill(0x78);
    expect(shown([read?.root], [])).toBe(before);
  });
});
