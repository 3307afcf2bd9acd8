// The quick check of clef.yaml's shape against the schema made from the same description: they never disagree.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { manifestShape } from '../../src/manifest/manifest.ts';
import { isMap, parseStrictYaml, type YamlValue } from '../../src/manifest/strict-yaml.ts';
import { age, awsKey, manifestText, verifyKeys } from './manifest-text.ts';

const whole = manifestText({
  environments: `environments:\n  - { name: production, protected: true, encrypt_to: [${awsKey}], description: x }`,
  namespaces: 'namespaces:\n  - { name: database, schema: schemas/database.yaml, owners: [alice] }',
  service_identities: `service_identities:\n  - name: api\n    namespaces: [database]\n    prefix: namespace\n    environments:\n      production: { seal: ${age.service}, sign: ${awsKey}, verify: [${verifyKeys[0]}] }`,
});

/** Every place of a value, as the steps to it. */
function placesIn(value: YamlValue, path: readonly string[] = []): readonly (readonly string[])[] {
  const inner = value !== null && typeof value === 'object' ? Object.entries(value) : [];
  return [path, ...inner.flatMap(([step, entry]) => placesIn(entry as YamlValue, [...path, step]))];
}

/** The value with another in one place; undefined takes the place out. */
function changed(
  value: YamlValue,
  [step, ...more]: readonly string[],
  other: YamlValue | undefined,
): unknown {
  if (step === undefined) return other;
  const copy = (Array.isArray(value) ? [...value] : Object.assign(Object.create(null), value)) as Record<
    string,
    unknown
  >;
  const next = changed((copy[step] ?? null) as YamlValue, more, other);
  if (next === undefined && Array.isArray(copy)) copy.splice(Number(step), 1);
  else if (next === undefined) delete copy[step];
  else copy[step] = next;
  return copy;
}

function read(text: string): YamlValue {
  const yaml = parseStrictYaml(new TextEncoder().encode(text));
  return 'faults' in yaml ? expect.fail('no YAML') : yaml.value;
}

it('accepts a whole manifest at once, and so does the schema', () => {
  const value = read(whole);
  expect(isMap(value) && manifestShape.fits(value)).toBe(true);
  expect(manifestShape.schema().safeParse(value).success).toBe(true);
});

it('agrees with the schema on every manifest with one to three places changed', () => {
  const value = read(whole);
  const places = placesIn(value);
  const other = fc.oneof(
    fc.constantFrom<YamlValue | undefined>(
      undefined,
      null,
      true,
      0,
      1,
      2,
      '',
      '*',
      'namespace',
      'Bad name',
      'ok',
      [],
    ),
    fc.constant(read('name: ok')),
    fc.constant(read('[ok, ok]')),
    fc.constant(Array.from({ length: 100 }, () => 'ok')),
  );
  const step = fc.tuple(fc.constantFrom(...places), fc.constantFrom([], ['unknown'], ['name'], ['0']), other);
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 3 }), (steps) => {
      const result = steps.reduce(
        (current, [path, more, replacement]) =>
          changed(current as YamlValue, [...path, ...more], replacement),
        value as unknown,
      );
      expect(manifestShape.fits(result)).toBe(manifestShape.schema().safeParse(result).success);
    }),
    { numRuns: 3000 },
  );
});

it('takes no map that inherits, such as one whose fields stand in its prototype', () => {
  expect(manifestShape.fits({ ...(read(whole) as object) })).toBe(false);
});
