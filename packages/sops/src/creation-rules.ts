// `.sops.yaml`: which keys and which rule a new file gets, by its path (spec sops-format, section 12), and recipients as
// that file and the options of SOPS write them. A rule is judged when it is chosen; unknown fields are not judged at all.
import { excerpt } from '@clef/strict';
import { checkAgeRecipient } from './age/age-keys.ts';
import { recipientName } from './data-key.ts';
import { chooseRule, type EncryptionRule, type RuleKind, ruleKinds } from './encryption-rules.ts';
import type { RecipientGroups } from './key-groups.ts';
import type { Recipient } from './master-keys/master-key.ts';
import { SopsError } from './sops-error.ts';
import { parsePlainTree } from './sops-file.ts';
import { findEntry, type Mapping, type TreeNode } from './tree.ts';

/** A `.sops.yaml`, parsed. `rules` is undefined where the file has no `creation_rules` at all. */
export type SopsConfig = {
  readonly rules: readonly Mapping[] | undefined;
  /** Blanks of indentation by store, as `stores` asks for: `yaml`, `json`, `json_binary`. */
  readonly indents: Readonly<Record<string, number>>;
};

/** What a new file gets. `recipients.groups` is empty where the rule names no key. */
export type CreationRule = {
  readonly recipients: RecipientGroups;
  readonly rule: EncryptionRule | undefined;
  readonly macOnlyEncrypted: boolean;
};

/** A kind of key as recipients are written: the field of a rule. */
export type RecipientField =
  | 'age'
  | 'pgp'
  | 'kms'
  | 'gcp_kms'
  | 'hckms'
  | 'azure_keyvault'
  | 'hc_vault_transit_uri';

/** What AWS keys of a list get beside their ARN. */
export type AwsSettings = {
  readonly context?: readonly (readonly [name: string, value: string])[];
  readonly profile?: string;
};

const limits = { maxBytes: 1024 * 1024, maxDepth: 32, maxAliasedNodes: 10_000 };
const maxMergeDepth = 16;
const decoder = new TextDecoder();

/**
 * Parses a `.sops.yaml`. Rules are looked at only by {@link creationRuleFor}.
 *
 * Throws SopsError 'parse_error' or 'limit' with a position.
 */
export function parseSopsConfig(bytes: Uint8Array): SopsConfig {
  const [root] = parsePlainTree(bytes, 'yaml', limits).documents;
  const rules = root === undefined ? undefined : findEntry(root, 'creation_rules')?.value;
  const stores = root === undefined ? undefined : findEntry(root, 'stores')?.value;
  return {
    rules: rules === undefined || isNull(rules) ? undefined : listOf(rules, 'creation_rules').map(ruleNode),
    indents: stores === undefined || isNull(stores) ? {} : indentsOf(stores),
  };
}

/**
 * The first rule whose `path_regex` (RE2, unanchored) matches, or that has none. `path` is the file's path below the folder
 * of the configuration file, else the absolute path.
 *
 * Throws SopsError 'no_recipients' when there are rules and none matches, 'parse_error' for a malformed rule or regular
 * expression, 'conflicting_rules', 'bad_recipient'. Returns undefined when there are no rules at all.
 */
export async function creationRuleFor(config: SopsConfig, path: string): Promise<CreationRule | undefined> {
  if (config.rules === undefined) return undefined;
  for (const rule of config.rules) if (await matchesPath(rule, path)) return readRule(rule);
  throw new SopsError('no_recipients', 'No creation rule of the configuration matches the path of the file');
}

/**
 * The recipients in a comma list, each as the options of SOPS take them: `ARN` or `ARN+ROLE_ARN` for AWS,
 * `https://VAULT/keys/NAME/VERSION` for Azure, `https://HOST/v1/ENGINE/keys/NAME` for Vault, `region:id` for Huawei.
 *
 * Throws SopsError 'bad_recipient', which quotes public names only, and never a private key.
 */
export function parseRecipients(
  field: RecipientField,
  text: string,
  aws: AwsSettings = {},
): readonly Recipient[] {
  const parts = text.split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '').map((part) => readers[field](part, aws));
}

const readers: Readonly<Record<RecipientField, (text: string, aws: AwsSettings) => Recipient>> = {
  age: (text) => {
    checkAgeRecipient(text, { allowPlugins: true });
    return { type: 'age', recipient: text };
  },
  pgp: (text) => {
    const fingerprint = text.replaceAll(/\s/g, '').toUpperCase();
    if (!/^[0-9A-F]{40}(?:[0-9A-F]{24})?$/.test(fingerprint)) {
      throw badRecipient('A PGP recipient is a fingerprint of 40 hexadecimal digits');
    }
    return { type: 'pgp', fingerprint };
  },
  kms: readAwsKey,
  gcp_kms: (text) => {
    if (!/^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/.test(text)) {
      throw badRecipient('A GCP KMS key is projects/…/locations/…/keyRings/…/cryptoKeys/…');
    }
    return { type: 'gcp_kms', resourceId: text };
  },
  hckms: (text) => {
    if (!/^[a-z0-9-]+:[0-9A-Za-z-]+$/.test(text)) throw badRecipient('A key of Huawei Cloud is REGION:ID');
    return { type: 'hckms', keyId: text };
  },
  azure_keyvault: (text) => {
    const match = /^(https:\/\/[^/]+)\/keys\/([^/]+)(?:\/([^/]*))?$/.exec(text);
    if (match === null) throw badRecipient('An Azure key is https://VAULT.vault.azure.net/keys/NAME/VERSION');
    return { type: 'azure_kv', vaultUrl: match[1] ?? '', name: match[2] ?? '', version: match[3] ?? '' };
  },
  hc_vault_transit_uri: (text) => {
    const match = /^(https?:\/\/[^/]+)\/v1\/(.+)\/keys\/([^/]+)\/?$/.exec(text);
    if (match === null) throw badRecipient('A Vault key is https://HOST:PORT/v1/ENGINE/keys/NAME');
    return { type: 'hc_vault', address: match[1] ?? '', enginePath: match[2] ?? '', keyName: match[3] ?? '' };
  },
};

function readAwsKey(text: string, { context = [], profile = '' }: AwsSettings): Recipient {
  const [arn = '', role = ''] = text.replaceAll(' ', '').split('+');
  if (!/^arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]+:(?:key|alias)\/.+$/.test(arn)) {
    throw badRecipient('An AWS KMS key is named by the ARN of the key or of an alias');
  }
  return {
    type: 'kms',
    arn,
    ...(role === '' ? {} : { role }),
    ...(context.length === 0 ? {} : { context }),
    ...(profile === '' ? {} : { profile }),
  };
}

async function matchesPath(rule: Mapping, path: string): Promise<boolean> {
  const source = textOf(rule, 'path_regex');
  if (source === '') return true;
  const { RE2JS } = await import('re2js');
  try {
    return RE2JS.compile(source).matcher(path).find();
  } catch (cause) {
    const message = 'A "path_regex" of the configuration is not a valid RE2 expression';
    throw new SopsError('parse_error', message, { cause, ...placeOf(findEntry(rule, 'path_regex')?.value) });
  }
}

function readRule(rule: Mapping): CreationRule {
  const texts = ruleKinds.map((kind): [RuleKind, string] => [kind, textOf(rule, kind)]);
  const threshold = Number(textOf(rule, 'shamir_threshold') || '0');
  if (!Number.isInteger(threshold)) throw malformed('shamir_threshold', rule);
  return {
    recipients: { groups: groupsOf(rule), threshold },
    rule: chooseRule(Object.fromEntries(texts)),
    macOnlyEncrypted: textOf(rule, 'mac_only_encrypted') === 'True',
  };
}

// With key_groups the flat fields of a rule are ignored, as in SOPS.
function groupsOf(rule: Mapping): readonly (readonly Recipient[])[] {
  const nested = findEntry(rule, 'key_groups')?.value;
  const groups = nested === undefined || isNull(nested) ? [] : listOf(nested, 'key_groups');
  if (groups.length > 0) return groups.map((group) => withoutDuplicates(readGroup(group, 0)));
  const profile = textOf(rule, 'aws_profile');
  const flat = flatFields.flatMap((field) =>
    parseRecipients(field, textsOf(rule, field).join(','), { profile }),
  );
  return flat.length === 0 ? [] : [flat];
}

const flatFields: readonly RecipientField[] = [
  'age',
  'pgp',
  'kms',
  'gcp_kms',
  'hckms',
  'azure_keyvault',
  'hc_vault_transit_uri',
];

function readGroup(node: TreeNode, depth: number): Recipient[] {
  if (node.kind !== 'mapping' || depth > maxMergeDepth) throw malformed('key_groups', node);
  const list = (name: string): readonly TreeNode[] => {
    const value = findEntry(node, name)?.value;
    return value === undefined || isNull(value) ? [] : listOf(value, name);
  };
  return [
    ...list('merge').flatMap((group) => readGroup(group, depth + 1)),
    ...list('age').flatMap((item) => parseRecipients('age', leafText(item, 'age'))),
    ...list('pgp').flatMap((item) => parseRecipients('pgp', leafText(item, 'pgp'))),
    ...list('kms').map(readAwsEntry),
    ...list('gcp_kms').flatMap((item) => parseRecipients('gcp_kms', textOf(mapping(item), 'resource_id'))),
    ...list('hckms').flatMap((item) => parseRecipients('hckms', textOf(mapping(item), 'key_id'))),
    ...list('azure_keyvault').map(readAzureEntry),
    ...list('hc_vault').flatMap((item) =>
      parseRecipients('hc_vault_transit_uri', leafText(item, 'hc_vault')),
    ),
  ];
}

function readAwsEntry(node: TreeNode): Recipient {
  const fields = mapping(node);
  const context = findEntry(fields, 'context')?.value;
  const pairs =
    context === undefined || isNull(context)
      ? []
      : mapping(context).items.flatMap((item): [string, string][] =>
          item.kind === 'comment' || isNull(item.value) ? [] : [[item.key, leafText(item.value, 'context')]],
        );
  const role = textOf(fields, 'role');
  const text = role === '' ? textOf(fields, 'arn') : `${textOf(fields, 'arn')}+${role}`;
  return readAwsKey(text, { context: pairs, profile: textOf(fields, 'aws_profile') });
}

function readAzureEntry(node: TreeNode): Recipient {
  const fields = mapping(node);
  const url = `${textOf(fields, 'vaultUrl').replace(/\/$/, '')}/keys/${textOf(fields, 'key')}`;
  return readers.azure_keyvault(`${url}/${textOf(fields, 'version')}`, {});
}

function withoutDuplicates(group: readonly Recipient[]): readonly Recipient[] {
  return [...new Map(group.map((recipient) => [recipientName(recipient), recipient])).values()];
}

function indentsOf(stores: TreeNode): Readonly<Record<string, number>> {
  const found = mapping(stores).items.flatMap((item): [string, number][] => {
    if (item.kind === 'comment' || isNull(item.value)) return [];
    const indent = textOf(mapping(item.value), 'indent');
    if (indent === '') return [];
    if (!/^-?[0-9]{1,2}$/.test(indent) || (item.key === 'yaml' && indent.startsWith('-'))) {
      throw malformed('indent', item.value);
    }
    return [[item.key, Number(indent)]];
  });
  return Object.fromEntries(found);
}

function ruleNode(node: TreeNode): Mapping {
  if (node.kind !== 'mapping') throw malformed('creation_rules', node);
  return node;
}

function mapping(node: TreeNode): Mapping {
  if (node.kind !== 'mapping') throw malformed('key_groups', node);
  return node;
}

function listOf(node: TreeNode, name: string): readonly TreeNode[] {
  if (node.kind !== 'sequence') throw malformed(name, node);
  return node.items.filter((item): item is TreeNode => item.kind !== 'comment');
}

function isNull(node: TreeNode): boolean {
  return node.kind === 'leaf' && node.type === 'null';
}

/** The canonical text of a field; absent and null are empty. */
function textOf(fields: Mapping, name: string): string {
  const value = findEntry(fields, name)?.value;
  return value === undefined || isNull(value) ? '' : leafText(value, name);
}

/** A field that is one text or a list of texts. */
function textsOf(fields: Mapping, name: string): readonly string[] {
  const value = findEntry(fields, name)?.value;
  if (value === undefined || isNull(value)) return [];
  return value.kind === 'sequence'
    ? listOf(value, name).map((item) => leafText(item, name))
    : [leafText(value, name)];
}

function leafText(node: TreeNode, name: string): string {
  if (node.kind !== 'leaf') throw malformed(name, node);
  return decoder.decode(node.bytes);
}

function malformed(name: string, node: TreeNode): SopsError {
  const message = `The field "${excerpt(name)}" of the configuration is not of the right form`;
  return new SopsError('parse_error', message, placeOf(node));
}

function placeOf(node: TreeNode | undefined): { position?: { line: number; column: number } } {
  return node?.at === undefined ? {} : { position: node.at };
}

function badRecipient(message: string): SopsError {
  return new SopsError('bad_recipient', message);
}
