// `.sops.yaml`: which rule a path gets, which keys it names, and what is refused (spec sops-format, section 12).
import { describe, expect, it } from 'vitest';
import {
  creationRuleFor,
  generateAgeIdentity,
  parseRecipients,
  parseSopsConfig,
  type SopsError,
} from '../src/index.ts';

const [alice, bob] = [generateAgeIdentity().recipient, generateAgeIdentity().recipient];
const config = (text: string) => parseSopsConfig(new TextEncoder().encode(text));
const codeOf = async (work: () => unknown): Promise<string | undefined> => {
  try {
    await work();
    return undefined;
  } catch (error) {
    return (error as SopsError).code;
  }
};
const age = (recipient: string) => ({ type: 'age', recipient });

describe('which rule a path gets', () => {
  const rules = config(`
creation_rules:
  - { path_regex: "^prod/.*\\\\.yaml$", age: ${alice} }
  - { path_regex: "(?i)SECRET", age: ${bob}, encrypted_regex: "^data$", mac_only_encrypted: true }
  - { age: "${alice},${bob}" }
`);
  it.each([
    ['the first that matches', 'prod/a.yaml', [age(alice)]],
    ['RE2 flags, anywhere in the path', 'dev/my-secret.json', [age(bob)]],
    ['one without path_regex matches all', 'prod/a.json', [age(alice), age(bob)]],
  ])('%s', async (_, path, group) => {
    expect((await creationRuleFor(rules, path))?.recipients.groups).toEqual([group]);
  });

  it('with the rule of what is encrypted', async () => {
    const rule = await creationRuleFor(rules, 'secret');
    expect(rule).toMatchObject({ rule: { kind: 'encrypted_regex', text: '^data$' }, macOnlyEncrypted: true });
  });

  it('is none where there are no rules at all', async () => {
    expect(await creationRuleFor(config('stores: {}'), 'a')).toBeUndefined();
  });
});

describe('which keys a rule names', () => {
  const arn = 'arn:aws:kms:eu-west-1:111122223333:key/1234';
  const role = 'arn:aws:iam::111122223333:role/r';
  const pgp = 'A'.repeat(40);
  it('flat, each a text with commas or a list', async () => {
    const text = `creation_rules: [{ pgp: "${pgp}", kms: ["${arn}+${role}"], gcp_kms: "projects/p/locations/l/keyRings/r/cryptoKeys/k", aws_profile: dev,
      azure_keyvault: "https://v.vault.azure.net/keys/n/1", hc_vault_transit_uri: "https://vault:8200/v1/a/b/keys/k", hckms: ["r-1:2"], age: ["${alice}", "${bob}"] }]`;
    const rule = await creationRuleFor(config(text), 'x');
    expect(rule?.recipients.groups).toEqual([
      [
        age(alice),
        age(bob),
        { type: 'pgp', fingerprint: pgp },
        { type: 'kms', arn, role, profile: 'dev' },
        { type: 'gcp_kms', resourceId: 'projects/p/locations/l/keyRings/r/cryptoKeys/k' },
        { type: 'hckms', keyId: 'r-1:2' },
        { type: 'azure_kv', vaultUrl: 'https://v.vault.azure.net', name: 'n', version: '1' },
        { type: 'hc_vault', address: 'https://vault:8200', enginePath: 'a/b', keyName: 'k' },
      ],
    ]);
  });

  it('in groups, which hide the flat ones; merged groups first, duplicates once', async () => {
    const text = `creation_rules:
  - age: ${bob}
    shamir_threshold: 2
    key_groups:
      - merge: [{ age: ["${alice}"] }]
        age: ["${alice}"]
        kms: [{ arn: "${arn}", role: "${role}", context: { app: web, none: null } }]
      - hc_vault: ["http://127.0.0.1:8200/v1/transit/keys/k"]
        azure_keyvault: [{ vaultUrl: "https://v.vault.azure.net", key: n, version: "2" }]`;
    expect((await creationRuleFor(config(text), 'x'))?.recipients).toEqual({
      threshold: 2,
      groups: [
        [age(alice), { type: 'kms', arn, role, context: [['app', 'web']] }],
        [
          { type: 'azure_kv', vaultUrl: 'https://v.vault.azure.net', name: 'n', version: '2' },
          { type: 'hc_vault', address: 'http://127.0.0.1:8200', enginePath: 'transit', keyName: 'k' },
        ],
      ],
    });
  });
});

describe('what is refused', () => {
  it.each([
    ['no YAML', 'creation_rules: [', 'parse_error'],
    ['rules that are no list', 'creation_rules: { a: b }', 'parse_error'],
    ['a rule that is no map', 'creation_rules: [x]', 'parse_error'],
    ['a negative indentation for YAML', 'stores: { yaml: { indent: -1 } }', 'parse_error'],
    ['a duplicate field', 'creation_rules: []\ncreation_rules: []', 'parse_error'],
    ['no rule that matches', 'creation_rules: [{ path_regex: nope }]', 'no_recipients'],
    ['an empty list of rules', 'creation_rules: []', 'no_recipients'],
    ['a path_regex that RE2 refuses', 'creation_rules: [{ path_regex: "(?!x)" }]', 'parse_error'],
    [
      'two rule fields',
      'creation_rules: [{ encrypted_regex: a, unencrypted_suffix: b }]',
      'conflicting_rules',
    ],
    ['a bad recipient', 'creation_rules: [{ age: age1nope }]', 'bad_recipient'],
    ['a key that is a map', 'creation_rules: [{ age: { a: b } }]', 'parse_error'],
    ['a threshold that is no number', 'creation_rules: [{ shamir_threshold: x }]', 'parse_error'],
  ])('%s', async (_, text, code) => {
    expect(await codeOf(async () => creationRuleFor(config(text), 'file'))).toBe(code);
  });

  it('but a fault of a rule only where the rule is chosen', async () => {
    const text = `creation_rules: [{ path_regex: other, age: nope }, { age: ${alice} }]`;
    expect((await creationRuleFor(config(text), 'file'))?.recipients.groups).toEqual([[age(alice)]]);
  });

  it.each([
    ['kms', 'arn:aws:s3:::bucket'],
    ['gcp_kms', 'projects/p'],
    ['azure_keyvault', 'http://v/keys/n'],
    ['hc_vault_transit_uri', 'https://vault/keys/k'],
    ['pgp', 'ABCD'],
    ['hckms', 'id'],
    ['age', generateAgeIdentity().identity],
  ] as const)('a malformed %s key, without repeating it', (field, text) => {
    expect(() => parseRecipients(field, text)).toThrow(expect.objectContaining({ code: 'bad_recipient' }));
    expect(() => parseRecipients(field, text)).not.toThrow(text);
  });
});
