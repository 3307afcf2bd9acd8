// Edits of clef.yaml: what is added stands in its place and style, and every other character stays.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClefError } from '../../src/errors.ts';
import { addEnvironment, addNamespace, addServiceIdentity, editManifest } from '../../src/manifest/edit.ts';
import { addAccessRule, addRecipientKeys, addToGroups } from '../../src/manifest/edit-people.ts';
import { newManifestText } from '../../src/manifest/new-manifest.ts';
import { age, awsKey, manifestText, otherAwsKey, parseText, verifyKeys } from './manifest-text.ts';

const repository = '5f0c6a3e-1b2c-4d3e-8f40-51627384a5b6';
const first = newManifestText({ repository, person: 'alice', ageRecipient: age.alice });

/** The lines that `after` has more than `before`; fails when any line of `before` is changed or moved. */
function added(before: string, after: string): string {
  const rest = before.split('\n');
  const extra = after.split('\n').filter((line) => !(rest[0] === line && rest.shift() !== undefined));
  expect(rest).toEqual([]);
  return extra.join('\n');
}

describe('the manifest of clef init', () => {
  it('is what is shown in the documentation', () => {
    expect(first).toMatchInlineSnapshot(`
      "# yaml-language-server: $schema=.clef/clef.schema.json
      version: 1
      repository: 5f0c6a3e-1b2c-4d3e-8f40-51627384a5b6 # made once; never change it
      file_pattern: secrets/{namespace}/{environment}.enc.yaml

      environments:
        - name: development
        - name: staging
        - name: production
          protected: true # writing asks first

      # A namespace appears here when its first key is set.
      namespaces: []

      # Who reads with an age key. Only public keys stand here.
      recipients:
        - name: alice
          keys:
            - age1rjsn9w0v3hr029yw272kk52ymx25l8y69wfycqyjdl3tqhhg83qsl6uvu3

      # Nobody reads anything unless a rule grants it. Rules add up.
      access:
        - allow: [alice]
          namespaces: ["*"]
          environments: ["*"]
      "
    `);
  });

  it('lets the first person read everything, and protects production', () => {
    const manifest = parseText(first);
    expect(manifest.environments.map((one) => [one.name, one.protected])).toEqual([
      ['development', false],
      ['staging', false],
      ['production', true],
    ]);
    expect(manifest.access).toEqual([{ allow: ['alice'], namespaces: '*', environments: '*' }]);
  });
});

describe('each edit', () => {
  const start = addNamespace(first, { name: 'database' });
  const rows: readonly [string, string, (text: string) => string, string][] = [
    [
      'a namespace',
      start,
      (text) => addNamespace(text, { name: 'payments', description: 'Cards: "all" #1' }),
      '  - name: payments\n    description: "Cards: \\"all\\" #1"',
    ],
    [
      'an environment',
      start,
      (text) => addEnvironment(text, { name: 'canary', protected: true, encryptTo: [awsKey] }),
      `  - name: canary\n    protected: true\n    encrypt_to: ${awsKey}`,
    ],
    [
      'a person',
      start,
      (text) => addRecipientKeys(text, 'bob', [age.bob]),
      `  - name: bob\n    keys: [${age.bob}]`,
    ],
    [
      'a second key of a person',
      start,
      (text) => addRecipientKeys(text, 'alice', [age.bob]),
      `      - ${age.bob}`,
    ],
    [
      'an environment and who may read it',
      start
        .replaceAll('["*"]', '[development, staging, production]')
        .replace('namespaces: [d', 'namespaces: ["*"] #'),
      (text) => addEnvironment(text, { name: 'canary', allow: ['alice'] }),
      '  - name: canary\n  - allow: [alice]\n    namespaces: ["*"]\n    environments: [canary]',
    ],
    [
      'a rule',
      start,
      (text) => addAccessRule(text, { allow: ['alice'], namespaces: ['database'], environments: '*' }),
      '  - allow: [alice]\n    namespaces: [database]\n    environments: ["*"]',
    ],
    [
      'a service, in a section of its own',
      start,
      (text) =>
        addServiceIdentity(text, {
          name: 'api',
          namespaces: ['database'],
          prefix: 'namespace',
          environments: { production: { seal: otherAwsKey, verify: [verifyKeys[0]] } },
        }),
      `service_identities:\n  - name: api\n    namespaces: [database]\n    prefix: namespace\n    environments:\n      production:\n        seal: ${otherAwsKey}\n        verify: [${verifyKeys[0]}]\n`,
    ],
  ];
  it('a first namespace takes the place of the empty list', () => {
    expect(start).toBe(first.replace('namespaces: []', 'namespaces:\n  - name: database'));
  });

  it('a first member takes the place of the empty list', () => {
    const text = `${start}groups:\n  platform: [] # soon\n`;
    expect(addToGroups(text, 'alice', ['platform'])).toBe(text.replace('[] # soon', '[alice] # soon'));
  });

  for (const [title, text, edit, expected] of rows) {
    it(`${title}: only its lines are new`, () => expect(added(text, edit(text))).toBe(expected));
    it(`${title}: with CRLF`, () =>
      expect(edit(text.replaceAll('\n', '\r\n'))).toBe(edit(text).replaceAll('\n', '\r\n')));
    it(`${title}: after a byte order mark`, () => expect(edit(`\ufeff${text}`)).toBe(`\ufeff${edit(text)}`));
    it(`${title}: without a last newline`, () =>
      expect(parseText(edit(text.trimEnd()))).toEqual(parseText(edit(text))));
  }
});

describe('layouts that people write', () => {
  const rows: readonly [string, string, string][] = [
    [
      'a list in brackets',
      'namespaces: [{ name: a }, { name: b }]',
      'namespaces: [{ name: a }, { name: b }, { name: new }]',
    ],
    [
      'a list in brackets over several lines',
      'namespaces: [\n  { name: a }, # first\n  { name: b }, # second\n]',
      'namespaces: [\n  { name: a }, # first\n  { name: b }, { name: new }, # second\n]',
    ],
    ['an empty list with a comment', 'namespaces: [] # none yet', 'namespaces: # none yet\n  - name: new'],
    ['a list without indentation', 'namespaces:\n- name: a', 'namespaces:\n- name: a\n- name: new'],
    ['a deep indentation', 'namespaces:\n      - name: a', 'namespaces:\n      - name: a\n      - name: new'],
    [
      'entries in braces',
      'namespaces:\n  - { name: a } # why',
      'namespaces:\n  - { name: a } # why\n  - name: new',
    ],
    [
      'a comment after the last entry',
      'namespaces:\n  - name: a\n  # the end\n',
      'namespaces:\n  - name: a\n  - name: new\n  # the end\n',
    ],
    [
      'blank lines and a comment of the next section',
      'namespaces:\n  - name: a\n\n\n# people\n',
      'namespaces:\n  - name: a\n  - name: new\n\n\n# people\n',
    ],
    [
      'a text over several lines',
      'namespaces:\n  - name: a\n    description: |\n      one\n      two\n',
      'namespaces:\n  - name: a\n    description: |\n      one\n      two\n  - name: new\n',
    ],
    [
      'a dash on a line of its own',
      'namespaces:\n  -\n    name: a',
      'namespaces:\n  -\n    name: a\n  - name: new',
    ],
  ];
  for (const [title, before, after] of rows) {
    it(title, () => {
      const text = manifestText({ namespaces: before });
      expect(addNamespace(text, { name: 'new' })).toBe(manifestText({ namespaces: after }));
    });
  }

  it('no such section yet', () => {
    expect(addNamespace(manifestText({ namespaces: '' }), { name: 'new' })).toBe(
      `${manifestText({ namespaces: '' })}\nnamespaces:\n  - name: new\n`,
    );
  });

  it('any description and any list of names read back as they were', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.boolean(), (description, inBrackets) => {
        const text = manifestText({
          namespaces: inBrackets ? 'namespaces: [{ name: a }]' : 'namespaces:\n  - name: a',
        });
        const [, last] = parseText(addNamespace(text, { name: 'new', description })).namespaces;
        expect(last).toEqual({ name: 'new', description });
      }),
    );
  });
});

describe('a new entry of a map', () => {
  const rows: readonly (readonly [title: string, before: string, after: string])[] = [
    [
      'in block style',
      'groups:\n  platform: [alice] # why\n  # the end',
      'groups:\n  platform: [alice] # why\n  ops: [bob]\n  # the end',
    ],
    [
      'behind a list over several lines',
      'groups:\n    platform:\n      - alice',
      'groups:\n    platform:\n      - alice\n    ops: [bob]',
    ],
    ['in braces', 'groups: { platform: [alice] } # why', 'groups: { platform: [alice], ops: [bob] } # why'],
    ['of an empty map', 'groups: {} # none', 'groups: # none\n  ops: [bob]'],
  ];
  const put = (text: string): string =>
    editManifest(text, () => [{ op: 'put', path: ['groups', 'ops'], value: ['bob'] }]);
  const access = 'access: [{ allow: [alice], namespaces: ["*"], environments: ["*"] }]';
  for (const [title, before, after] of rows) {
    it(title, () =>
      expect(put(manifestText({ groups: before, access }))).toBe(manifestText({ groups: after, access })),
    );
  }

  it('where there is no such map yet', () => {
    const text = manifestText({ groups: '', access });
    expect(put(text)).toBe(`${text}\ngroups:\n  ops: [bob]\n`);
  });

  it('of a map within an entry of a list', () => {
    const service = (environments: string): string =>
      manifestText({
        service_identities: `service_identities:\n  - name: api\n    namespaces: [database]\n    environments:\n${environments}`,
      });
    const value = { seal: otherAwsKey, verify: [verifyKeys[0]] };
    const path = ['service_identities', 0, 'environments', 'production'];
    const before = `      staging: { seal: ${age.service} } # first`;
    expect(editManifest(service(before), () => [{ op: 'put', path, value }])).toBe(
      service(
        `${before}\n      production:\n        seal: ${otherAwsKey}\n        verify: [${verifyKeys[0]}]`,
      ),
    );
  });
});

describe('what an edit refuses', () => {
  const code = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      return (error as ClefError).code;
    }
    return 'accepted';
  };
  const text = manifestText();
  const rows: readonly [string, string, () => unknown][] = [
    ['a namespace that is there', 'already_exists', () => addNamespace(text, { name: 'database' })],
    ['an illegal name', 'bad_name', () => addNamespace(text, { name: '../x' })],
    [
      'an environment that nobody would read',
      'manifest_invalid',
      () =>
        addEnvironment(
          manifestText({
            access:
              'access:\n  - { allow: [alice], namespaces: ["*"], environments: [development, staging, production] }',
          }),
          { name: 'canary' },
        ),
    ],
    ['B20: a key of somebody else', 'manifest_invalid', () => addRecipientKeys(text, 'carol', [age.alice])],
    [
      'B19: a private key',
      'private_key_given',
      () => addRecipientKeys(text, 'carol', [`AGE-SECRET-KEY-1${'Q'.repeat(58)}`]),
    ],
    ['a person named as a group', 'manifest_invalid', () => addRecipientKeys(text, 'platform', [age.carol])],
    [
      'a rule for a stranger',
      'manifest_invalid',
      () => addAccessRule(text, { allow: ['dave'], namespaces: '*', environments: '*' }),
    ],
    ['D17: a name with a newline', 'bad_name', () => addRecipientKeys(text, 'a\nb', [age.carol])],
    ['D17: a name with an escape', 'bad_name', () => addRecipientKeys(text, '\u001b[31m', [age.carol])],
    ['D17: a name of 1 KB', 'bad_name', () => addRecipientKeys(text, 'a'.repeat(1024), [age.carol])],
    [
      'a manifest that is wrong already',
      'manifest_invalid',
      () => addNamespace(text.replace('version: 1', 'version: 2'), { name: 'x' }),
    ],
  ];
  for (const [title, expected, work] of rows) it(title, () => expect(code(work)).toBe(expected));

  it('D16: adding what is there already changes nothing', () => {
    expect(addRecipientKeys(text, 'alice', [age.alice])).toBe(text);
    expect(addAccessRule(text, { allow: ['platform'], namespaces: '*', environments: '*' })).toBe(text);
  });
});
