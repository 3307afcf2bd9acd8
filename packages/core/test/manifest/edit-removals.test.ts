// Renames and removals in clef.yaml: every mention goes with the name, and every other character stays.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClefError } from '../../src/errors.ts';
import { referencesTo, removeFromManifest, renameInManifest } from '../../src/manifest/edit-names.ts';
import {
  addRecipientKeys,
  addToGroups,
  removeAccess,
  removeFromGroups,
  removePerson,
  removePersonKey,
} from '../../src/manifest/edit-people.ts';
import { age, awsKey, manifestText, otherAwsKey, parseText } from './manifest-text.ts';

const people = `recipients:
  # the one who is always there
  - { name: alice, keys: [${age.alice}] }

  # on leave
  - name: bob # until May
    keys:
      - ${age.bob} # laptop
      # the old one
      - ${age.carol}`;

const rules = `access:
  - { allow: [alice], namespaces: ["*"], environments: ["*"] }
  # both
  - allow: [bob, alice] # why
    namespaces: [database]
    environments: [development, staging] # not yet production
  - allow: [bob]
    namespaces: ["*"]
    environments: ["*"]`;

describe('each removal', () => {
  const rows: readonly (readonly [
    title: string,
    before: string,
    work: (text: string) => string,
    after: string,
  ])[] = [
    [
      'a person: entry, comments of his own, groups and rules',
      manifestText({
        recipients: people,
        groups: 'groups: { platform: [alice, bob], ops: [bob] }',
        access: rules,
      }),
      (text) => removePerson(text, 'bob'),
      manifestText({
        recipients: `recipients:
  # the one who is always there
  - { name: alice, keys: [${age.alice}] }`,
        groups: 'groups: { platform: [alice], ops: [] }',
        access: `access:
  - { allow: [alice], namespaces: ["*"], environments: ["*"] }
  # both
  - allow: [alice] # why
    namespaces: [database]
    environments: [development, staging] # not yet production`,
      }),
    ],
    [
      'a person who owns namespaces: the field goes with the last owner',
      manifestText({
        namespaces:
          'namespaces:\n  - name: database\n    owners: [bob] # ask him\n    description: Data\n  - { name: payments, owners: [alice, bob] }',
      }),
      (text) => removePerson(text, 'bob'),
      manifestText({
        namespaces:
          'namespaces:\n  - name: database\n    description: Data\n  - { name: payments, owners: [alice] }',
        recipients: `recipients:\n  - { name: alice, keys: [${age.alice}] }`,
      }),
    ],
    [
      'an entry behind the last comment within the one before',
      manifestText({
        namespaces:
          'namespaces:\n  - name: database\n    # more of database\n  # of payments\n  - name: payments\n    # more of payments\n  # the end',
      }),
      (text) => removeFromManifest(text, 'namespace', 'payments'),
      manifestText({
        namespaces: 'namespaces:\n  - name: database\n    # more of database\n  # the end',
      }),
    ],
    [
      'an entry directly behind a comment within the one before',
      manifestText({
        namespaces: 'namespaces:\n  - name: database\n    # more of database\n  - name: payments',
      }),
      (text) => removeFromManifest(text, 'namespace', 'payments'),
      manifestText({ namespaces: 'namespaces:\n  - name: database\n    # more of database' }),
    ],
    [
      'one key of two, with its comment',
      manifestText({ recipients: people }),
      (text) => removePersonKey(text, 'bob', age.carol),
      manifestText({ recipients: people.replace(`\n      # the old one\n      - ${age.carol}`, '') }),
    ],
    [
      'the last of a group',
      manifestText({ groups: 'groups:\n  ops: # later\n    - bob\n    # nobody else\n  platform: [alice]' }),
      (text) => removeFromGroups(text, 'bob', ['ops']),
      manifestText({ groups: 'groups:\n  ops: [] # later\n    # nobody else\n  platform: [alice]' }),
    ],
    [
      'an environment that is the whole scope of a rule',
      manifestText({
        access:
          'access:\n  - { allow: [alice], namespaces: ["*"], environments: ["*"] }\n\n  # only for tests\n  - { allow: [bob], namespaces: ["*"], environments: [staging] }',
      }),
      (text) => removeFromManifest(text, 'environment', 'staging'),
      manifestText({
        environments: 'environments:\n  - name: development\n  - name: production\n    protected: true',
        access: 'access:\n  - { allow: [alice], namespaces: ["*"], environments: ["*"] }',
      }),
    ],
    [
      'a namespace, from rules and services',
      manifestText({
        access:
          'access:\n  - { allow: [alice], namespaces: ["*"], environments: ["*"] }\n  - allow: [bob]\n    namespaces:\n      - payments # cards\n      - database # data\n    environments: [development]',
        service_identities: `service_identities:\n  - name: api\n    namespaces: [payments, database]\n    environments: { production: { seal: ${otherAwsKey} } }`,
      }),
      (text) => removeFromManifest(text, 'namespace', 'payments'),
      manifestText({
        namespaces: 'namespaces:\n  - name: database',
        access:
          'access:\n  - { allow: [alice], namespaces: ["*"], environments: ["*"] }\n  - allow: [bob]\n    namespaces:\n      - database # data\n    environments: [development]',
        service_identities: `service_identities:\n  - name: api\n    namespaces: [database]\n    environments: { production: { seal: ${otherAwsKey} } }`,
      }),
    ],
    [
      'an environment, from the map of a service in braces',
      manifestText({
        service_identities: `service_identities:\n  - name: api\n    namespaces: [database]\n    environments: { development: { seal: ${age.service} }, production: { seal: ${otherAwsKey} } }`,
      }),
      (text) => removeFromManifest(text, 'environment', 'development'),
      manifestText({
        environments: 'environments:\n  - name: staging\n  - name: production\n    protected: true',
        service_identities: `service_identities:\n  - name: api\n    namespaces: [database]\n    environments: { production: { seal: ${otherAwsKey} } }`,
      }),
    ],
    [
      'access where the rule is for nobody else: "*" becomes the others',
      manifestText({ access: `${rules}` }),
      (text) => removeAccess(text, 'bob', ['production', 'staging']),
      manifestText({
        access: `access:
  - { allow: [alice], namespaces: ["*"], environments: ["*"] }
  # both
  - allow: [alice] # why
    namespaces: [database]
    environments: [development, staging] # not yet production
  - allow: [bob]
    namespaces: ["*"]
    environments: [development]
  - allow: [bob]
    namespaces: [database]
    environments: [development]`,
      }),
    ],
    [
      'all access of somebody',
      manifestText({ access: rules }),
      (text) => removeAccess(text, 'bob', ['production', 'staging', 'development']),
      manifestText({
        access: `access:
  - { allow: [alice], namespaces: ["*"], environments: ["*"] }
  # both
  - allow: [alice] # why
    namespaces: [database]
    environments: [development, staging] # not yet production`,
      }),
    ],
    [
      'the last namespace',
      manifestText({ namespaces: 'namespaces: # none yet\n  - name: database # the only one' }),
      (text) => removeFromManifest(text, 'namespace', 'database'),
      manifestText({ namespaces: 'namespaces: [] # none yet' }),
    ],
    [
      'the first in brackets over several lines',
      manifestText({
        namespaces: 'namespaces: [\n  { name: database }, # first\n  { name: payments }, # second\n]',
      }),
      (text) => removeFromManifest(text, 'namespace', 'database'),
      manifestText({ namespaces: 'namespaces: [\n  { name: payments }, # second\n]' }),
    ],
    [
      'the last in brackets over several lines',
      manifestText({ namespaces: 'namespaces: [\n  { name: database },\n  { name: payments }\n]' }),
      (text) => removeFromManifest(text, 'namespace', 'payments'),
      manifestText({ namespaces: 'namespaces: [\n  { name: database },\n]' }),
    ],
    [
      'an entry with a text over several lines and blank lines around',
      manifestText({
        namespaces:
          'namespaces:\n  - name: payments\n    description: |\n      # no comment\n      two\n\n  - name: database\n\n',
      }),
      (text) => removeFromManifest(text, 'namespace', 'payments'),
      manifestText({ namespaces: 'namespaces:\n  - name: database\n\n' }),
    ],
  ];
  for (const [title, before, work, after] of rows) {
    it(title, () => expect(work(before)).toBe(after));
    it(`${title}: with CRLF`, () =>
      expect(work(before.replaceAll('\n', '\r\n'))).toBe(after.replaceAll('\n', '\r\n')));
    it(`${title}: after a byte order mark`, () => expect(work(`\ufeff${before}`)).toBe(`\ufeff${after}`));
  }
});

describe('each rename', () => {
  const before = manifestText({
    environments: `environments:\n  - name: development # daily\n  - name: 'staging'\n  - { name: "production", protected: true, encrypt_to: ${awsKey} }`,
    access:
      'access:\n  - { allow: [alice], namespaces: ["*"], environments: ["*"] }\n  - allow: [bob]\n    namespaces: [payments, database]\n    environments:\n      - staging # why\n      - "production"',
    service_identities: `service_identities:\n  - name: api\n    description: staging\n    namespaces: [database, payments]\n    environments:\n      staging: # one\n        seal: ${age.service}\n      production: { seal: ${otherAwsKey} }`,
  });

  it('an environment: entry, rules and services, quotes and comments as they were', () => {
    expect(renameInManifest(before, 'environment', 'staging', 'preview')).toBe(
      before.replaceAll('staging', 'preview').replace('description: preview', 'description: staging'),
    );
    expect(renameInManifest(before, 'environment', 'production', 'live')).toBe(
      before.replaceAll('production', 'live'),
    );
  });

  it('a namespace, and back again', () => {
    const after = renameInManifest(before, 'namespace', 'database', 'db');
    expect(after).toBe(before.replaceAll('database', 'db'));
    expect(renameInManifest(after, 'namespace', 'db', 'database')).toBe(before);
  });

  it('what refers to a name', () => {
    expect(referencesTo(parseText(before), 'environment', 'staging')).toEqual({
      rules: [1],
      services: ['api'],
    });
    expect(referencesTo(parseText(before), 'environment', 'development')).toEqual({
      rules: [],
      services: [],
    });
  });
});

describe('what a rename or a removal refuses', () => {
  const service = `service_identities:\n  - name: api\n    namespaces: [database]\n    environments: { production: { seal: ${otherAwsKey} } }`;
  const code = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      return (error as ClefError).code;
    }
    return 'accepted';
  };
  const text = manifestText({ service_identities: service });
  it.each([
    ['an unknown name', 'unknown_namespace', () => renameInManifest(text, 'namespace', 'databse', 'x')],
    [
      'a name that is taken',
      'already_exists',
      () => renameInManifest(text, 'environment', 'staging', 'production'),
    ],
    ['itself', 'already_exists', () => renameInManifest(text, 'namespace', 'database', 'database')],
    ['a name of Windows', 'bad_name', () => renameInManifest(text, 'namespace', 'database', 'nul')],
    ['the only namespace of a service', 'in_use', () => removeFromManifest(text, 'namespace', 'database')],
    [
      'the only environment of a service',
      'in_use',
      () => removeFromManifest(text, 'environment', 'production'),
    ],
    [
      'the only environment',
      'in_use',
      () =>
        removeFromManifest(
          manifestText({ environments: 'environments: [{ name: development }]' }),
          'environment',
          'development',
        ),
    ],
    [
      'B21: an environment that nobody reads any more',
      'manifest_invalid',
      () =>
        removePerson(
          manifestText({
            groups: '',
            access: 'access:\n  - { allow: [alice], namespaces: ["*"], environments: ["*"] }',
          }),
          'alice',
        ),
    ],
    ['an unknown person', 'unknown_recipient', () => removePerson(text, 'carol')],
    ['an unknown group', 'unknown_recipient', () => addToGroups(text, 'alice', ['plattform'])],
    [
      'a layout that gives the entry no place of its own: a comment behind the comma',
      'manifest_invalid',
      () =>
        removePersonKey(
          manifestText({
            recipients: `recipients:\n  - keys: [${age.alice}, # a\n      ${age.carol}, ${age.bob}]\n    name: alice`,
          }),
          'alice',
          age.alice,
        ),
    ],
  ] as const)('%s', (_, expected, work) => expect(code(work)).toBe(expected));
});

describe('any layout', () => {
  const names = ['bob', 'carol', 'dave', 'erin'] as const;
  const layout = fc.record({
    flowEntry: fc.boolean(),
    flowKeys: fc.boolean(),
    above: fc.boolean(),
    beside: fc.boolean(),
    blank: fc.boolean(),
  });

  it('adding and removing people in any order keeps every comment of everybody else, and reads as meant', () => {
    fc.assert(
      fc.property(
        fc.array(layout, { minLength: 3, maxLength: 3 }),
        fc.constantFrom(...names.slice(0, 3)),
        fc.boolean(),
        (layouts, leaver, crlf) => {
          const entries = layouts.map((style, index) => personText(names[index] ?? '', style));
          const recipients = `recipients:\n${personText('alice', layouts[0] as Style)}${entries.join('')}# end`;
          const plain = manifestText({ recipients, groups: 'groups:\n  platform: [alice, bob, carol]' });
          const text = crlf ? plain.replaceAll('\n', '\r\n') : plain;
          const after = removePerson(text, leaver);
          const comments = (of: string): readonly string[] => of.match(/#[^\r\n]*/g) ?? [];
          expect(comments(after)).toEqual(
            comments(text).filter((comment) => !comment.includes(` ${leaver}`)),
          );
          const back = addRecipientKeys(after, leaver, [keyOf(leaver)]);
          expect(back).not.toBe(after);
          expect(removePerson(back, leaver).trimEnd()).toBe(after.trimEnd());
          expect(parseText(after).recipients.map(({ name }) => name)).not.toContain(leaver);
        },
      ),
      { numRuns: 50 },
    );
  });

  type Style = { flowEntry: boolean; flowKeys: boolean; above: boolean; beside: boolean; blank: boolean };

  function keyOf(name: string): string {
    return { alice: age.alice, bob: age.bob, carol: age.carol, dave: age.service }[name] ?? age.service;
  }

  function personText(name: string, style: Style): string {
    const key = keyOf(name);
    const beside = style.beside ? ` # beside ${name}` : '';
    const above = style.above ? `  # above ${name}\n` : '';
    const blank = style.blank ? '\n' : '';
    if (style.flowEntry) return `${above}  - { name: ${name}, keys: [${key}] }${beside}\n${blank}`;
    const keys = style.flowKeys ? `keys: [${key}]` : `keys:\n      # of ${name}\n      - ${key}${beside}`;
    return `${above}  - name: ${name}${beside}\n    ${keys}\n${blank}`;
  }
});
