// Who may read which cell, as properties: deny by default, rules add up, their order is of no account.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allCells, cellRecipients, readableCells } from '../../src/manifest/access.ts';
import type { AccessRule, Manifest } from '../../src/manifest/manifest.ts';
import { age, awsKey, manifestText, parseText } from './manifest-text.ts';

const base = parseText(manifestText());
const people = ['alice', 'bob', 'carol'];
const namespaces = ['database', 'payments'];
const environments = ['development', 'staging', 'production'];
const groups = new Map([
  ['platform', ['alice', 'carol']],
  ['nobody', []],
]);
const keysOf = (text: string) => ({ kind: 'age', text, hybrid: false }) as const;

function manifestWith(access: readonly AccessRule[]): Manifest {
  const recipients = people.map((name) => ({
    name,
    keys: [keysOf(age[name as 'alice']), keysOf(`${name}-2`)],
  }));
  return { ...base, recipients, groups, access };
}

const scope = (names: readonly string[]) =>
  fc.oneof(fc.constant('*' as const), fc.subarray([...names], { minLength: 1 }));
const rule: fc.Arbitrary<AccessRule> = fc.record({
  allow: fc.subarray([...people, ...groups.keys()], { minLength: 1 }),
  namespaces: scope(namespaces),
  environments: scope(environments),
});
const cell = fc.record({
  namespace: fc.constantFrom(...namespaces, 'new'),
  environment: fc.constantFrom(...environments),
});
const readers = (access: readonly AccessRule[], of: { namespace: string; environment: string }) =>
  cellRecipients(manifestWith(access), of).people.map(({ person, key }) => `${person} ${key.text}`);

describe('cellRecipients', () => {
  it('deny by default: a person reads only what a rule grants by name or group', () => {
    fc.assert(
      fc.property(fc.array(rule), cell, (access, wanted) => {
        const expected = people.filter((person) =>
          access.some(
            ({ allow, namespaces: inNamespaces, environments: inEnvironments }) =>
              (allow.includes(person) || allow.some((name) => groups.get(name)?.includes(person) === true)) &&
              (inNamespaces === '*' || inNamespaces.includes(wanted.namespace)) &&
              (inEnvironments === '*' || inEnvironments.includes(wanted.environment)),
          ),
        );
        const found = readers(access, wanted);
        expect(found).toEqual(
          expected.flatMap((person) => [`${person} ${age[person as 'alice']}`, `${person} ${person}-2`]),
        );
      }),
    );
  });

  it('one rule more never takes a reader away', () => {
    fc.assert(
      fc.property(fc.array(rule), rule, cell, (access, more, wanted) => {
        expect(readers([...access, more], wanted)).toEqual(expect.arrayContaining(readers(access, wanted)));
      }),
    );
  });

  it('the order of the rules, and rules that are there twice, change nothing, not even the order of the readers', () => {
    fc.assert(
      fc.property(fc.array(rule), fc.array(fc.nat()), cell, (access, seed, wanted) => {
        const shuffled = [...access, ...access].map((one, index) => ({
          one,
          at: seed[index % Math.max(seed.length, 1)] ?? 0,
        }));
        shuffled.sort((a, b) => a.at - b.at);
        expect(
          readers(
            shuffled.map(({ one }) => one),
            wanted,
          ),
        ).toEqual(readers(access, wanted));
      }),
    );
  });

  it('no rule, no reader', () => {
    expect(readers([], { namespace: 'database', environment: 'development' })).toEqual([]);
  });

  it('an unknown environment has neither people nor keys', () => {
    const all: AccessRule = { allow: people, namespaces: '*', environments: '*' };
    expect(cellRecipients(manifestWith([all]), { namespace: 'database', environment: 'prod' })).toEqual({
      people: [],
      encryptTo: [],
    });
  });

  it('a namespace that is yet to come is granted by the star only', () => {
    expect(
      readers([{ allow: ['bob'], namespaces: ['database'], environments: '*' }], {
        namespace: 'new',
        environment: 'staging',
      }),
    ).toEqual([]);
    expect(
      readers([{ allow: ['bob'], namespaces: '*', environments: '*' }], {
        namespace: 'new',
        environment: 'staging',
      }),
    ).toHaveLength(2);
  });

  it('the environment brings its own keys, whoever may read', () => {
    const manifest = parseText(
      manifestText({
        access: '',
        environments: `environments:\n  - { name: production, encrypt_to: ["${awsKey}"] }`,
      }),
    );
    const { people: readersThere, encryptTo } = cellRecipients(manifest, {
      namespace: 'database',
      environment: 'production',
    });
    expect([readersThere, encryptTo.map(({ text }) => text)]).toEqual([[], [awsKey]]);
  });

  it('names of the prototype are ordinary unknown names', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(
        readers([{ allow: [name], namespaces: [name], environments: [name] }], {
          namespace: name,
          environment: 'production',
        }),
      ).toEqual([]);
    }
  });
});

describe('readableCells', () => {
  it('is the inverse of cellRecipients', () => {
    fc.assert(
      fc.property(fc.array(rule), fc.constantFrom(...people), (access, person) => {
        const manifest = manifestWith(access);
        const expected = allCells(manifest).filter((one) =>
          cellRecipients(manifest, one).people.some((reader) => reader.person === person),
        );
        expect(readableCells(manifest, person)).toEqual(expected);
      }),
    );
  });
});
