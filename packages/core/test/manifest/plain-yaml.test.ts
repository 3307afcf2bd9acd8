// What is read line by line is what the parser reads: whatever the quick reader takes, it takes in the same way.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPlainYaml } from '../../src/manifest/plain-yaml.ts';
import { parseStrictYaml, parseWholeYaml, type YamlValue } from '../../src/manifest/strict-yaml.ts';

const plain = `# yaml-language-server: $schema=.clef/clef.schema.json
version: 1
repository: 0dc2afca-60fe-48ac-bf09-2cc0ae32e270 # made once; never change it
file_pattern: secrets/{namespace}/{environment}.enc.yaml

environments:
  - name: development
  - name: production
    protected: true # schützt
    encrypt_to:
      - awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab

namespaces:
- name: database
  description: "what it's for"

access:
  - allow: [root, 'other']
    namespaces: ["*"]
    environments: []
  - { allow: [root], namespaces: ["*"], changed: 2026-11-26T10:35:59Z }
`;
const fragments = [
  ...`a: 1 · b: · a: x # c · b: "x" · c: '*' · c: [a, "b c"] · d: [] · e: { f: g, h: [i] } · { a: b } · a:b`.split(
    ' · ',
  ),
  ...`[a,b] · { · } · , · - a · - a: 1 · - · - - a · # c · # · "x · : · [ · ] · {} · | · > · &a · *a · !t`.split(
    ' · ',
  ),
  ...`<<: x · --- · ... · % · null · ~ · true · 012 · 1.0 · é · ' · '' · \\n · ? · @`.split(' · '),
  ...[' ', ': ', '`', '\t', '\r', '\u2028', '\u0085', '\u00a0'],
];
const line = fc
  .tuple(
    fc.nat(5),
    fc.array(fc.constantFrom(...fragments), { minLength: 1, maxLength: 3 }),
    fc.constantFrom('', ' '),
  )
  .map(([indent, parts, glue]) => ' '.repeat(indent) + parts.join(glue));
const ordinaryLine = fc.constantFrom(
  'a: 1',
  'b:',
  '  c: x',
  '  d:',
  '    e: y',
  '  - f',
  '  - g: z',
  '    h: w',
  '- i',
  '',
);
const value = fc
  .tuple(fc.array(fc.constantFrom(...fragments), { minLength: 1, maxLength: 3 }), fc.constantFrom('', ' '))
  .map(([parts, glue]) => parts.join(glue));
/** Few lines, of which one may be anything; a good text with something else in it; one value, which may be anything. */
const texts = fc.oneof(
  fc.array(fc.oneof(line, ordinaryLine, ordinaryLine), { maxLength: 8 }).map((lines) => lines.join('\n')),
  fc
    .tuple(fc.nat(plain.length), fc.nat(12), fc.oneof(line, fc.constantFrom(...fragments, '\n')))
    .map(([at, length, text]) => plain.slice(0, at) + text + plain.slice(at + length)),
  fc
    .tuple(
      fc.constantFrom('a: ', 'a:\n  - ', 'a: [', 'a: { b: ', 'a:\n- b: '),
      value,
      fc.constantFrom('', ']', ' }', '\nb: 1'),
    )
    .map((parts) => parts.join('')),
);

describe('YAML read line by line', () => {
  it('what "clef init" and people write is read without the parser, and places are known', () => {
    expect(readPlainYaml(plain)).toEqual(valueToTheParser(plain));
    expect(readPlainYaml(plain)).toBeDefined();
    const read = parseStrictYaml(new TextEncoder().encode(plain));
    expect('value' in read && read.positionOf(['environments', 1, 'protected'])).toEqual({
      line: 9,
      column: 16,
    });
  });

  it('any text that it takes is without fault to the parser, and has the same value', () => {
    let taken = 0;
    const holds = (text: string): void => {
      const value = readPlainYaml(text);
      if (value === undefined) return;
      taken += 1;
      expect(valueToTheParser(text)).toEqual(value);
    };
    fc.assert(fc.property(texts, holds), { numRuns: 4000 });
    expect(taken).toBeGreaterThan(100);
  });
});

function valueToTheParser(text: string): YamlValue {
  const yaml = parseWholeYaml(text);
  return 'faults' in yaml ? expect.fail(`${JSON.stringify(text)}: ${yaml.faults[0]?.message}`) : yaml.value;
}
