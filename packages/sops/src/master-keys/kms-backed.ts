// Stanzas of keys that live in a cloud's KMS or in a Vault (spec sops-format, section 9). This file knows how they are written; the calls come in from outside.
import { decodeBase64, encodeBase64, formatTimestamp, StrictError } from '@clef/strict';
import { SopsError } from '../sops-error.ts';
import { findEntry, type Mapping, mappingOf, stringLeaf, type TreeNode } from '../tree.ts';
import { textField } from './fields.ts';
import type {
  CloudRecipient,
  Keyring,
  MasterKeyType,
  Recipient,
  Stanza,
  UnwrapFailure,
  WrapContext,
} from './master-key.ts';

const decoder = new TextDecoder();
const maxEncCharacters = 64 * 1024;

type AwsRecipient = Extract<Recipient, { type: 'kms' }>;
type GcpRecipient = Extract<Recipient, { type: 'gcp_kms' }>;
type AzureRecipient = Extract<Recipient, { type: 'azure_kv' }>;
type VaultRecipient = Extract<Recipient, { type: 'hc_vault' }>;
type HuaweiRecipient = Extract<Recipient, { type: 'hckms' }>;

/** How a service's bytes are written as `enc`. */
type EncText = {
  readonly format: (wrapped: Uint8Array) => string;
  readonly parse: (enc: string) => Uint8Array | undefined;
};

const base64: EncText = { format: encodeBase64, parse: decodeOrUndefined };

const urlSafeBase64: EncText = {
  format: (wrapped) => Buffer.from(wrapped).toString('base64url'),
  parse: (enc) => (/^[A-Za-z0-9_-]*$/.test(enc) ? decodeOrUndefined(padded(enc)) : undefined),
};

// What Vault gives out is a text already: the version of its key, then base64.
const vaultText: EncText = {
  format: (wrapped) => decoder.decode(wrapped),
  parse: (enc) =>
    /^vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/=]+$/.test(enc) ? Buffer.from(enc, 'latin1') : undefined,
};

export const awsKmsKey: MasterKeyType<AwsRecipient> = {
  list: 'kms',
  nameOf: ({ arn, role, context, profile }) =>
    [arn, role ?? '', JSON.stringify(context ?? []), profile ?? ''].join(' ').replace(/ {2}\[\] $/, ''),
  readRecipient(fields) {
    const arn = textField(fields, 'arn');
    const context = readContext(fields);
    if (arn === undefined || context === 'malformed') return undefined;
    const [role, profile] = [textField(fields, 'role') ?? '', textField(fields, 'aws_profile') ?? ''];
    return {
      type: 'kms',
      arn,
      ...(role === '' ? {} : { role }),
      ...(context === undefined ? {} : { context }),
      ...(profile === '' ? {} : { profile }),
    };
  },
  async wrap(recipient, secret, wrapContext) {
    const wrapped = await wrapInCloud(recipient, secret, wrapContext);
    const { arn, role, context, profile } = recipient;
    const contextNode = mappingOf((context ?? []).map(([name, value]) => [name, stringLeaf(value)] as const));
    return mappingOf([
      ['arn', stringLeaf(arn)],
      ...optional('role', role === undefined ? undefined : stringLeaf(role)),
      ...optional('context', contextNode.items.length === 0 ? undefined : contextNode),
      ...createdAndEnc(base64.format(wrapped), wrapContext),
      ['aws_profile', stringLeaf(profile ?? '')],
    ]);
  },
  unwrap: unwrapInCloud(base64),
};

export const gcpKmsKey: MasterKeyType<GcpRecipient> = {
  list: 'gcp_kms',
  nameOf: ({ resourceId }) => resourceId,
  readRecipient(fields) {
    const resourceId = textField(fields, 'resource_id');
    return resourceId === undefined ? undefined : { type: 'gcp_kms', resourceId };
  },
  async wrap(recipient, secret, context) {
    const enc = base64.format(await wrapInCloud(recipient, secret, context));
    return mappingOf([['resource_id', stringLeaf(recipient.resourceId)], ...createdAndEnc(enc, context)]);
  },
  unwrap: unwrapInCloud(base64),
};

export const azureKey: MasterKeyType<AzureRecipient> = {
  list: 'azure_kv',
  nameOf: ({ vaultUrl, name, version }) => `${vaultUrl}/keys/${name}/${version}`,
  readRecipient(fields) {
    const texts = textFields(fields, ['vault_url', 'name', 'version']);
    return texts && { type: 'azure_kv', vaultUrl: texts[0], name: texts[1], version: texts[2] };
  },
  async wrap(recipient, secret, context) {
    if (recipient.version === '') {
      throw new SopsError('bad_recipient', 'An Azure key is named with its version, of which there is none');
    }
    const enc = urlSafeBase64.format(await wrapInCloud(recipient, secret, context));
    return mappingOf([
      ['vault_url', stringLeaf(recipient.vaultUrl)],
      ['name', stringLeaf(recipient.name)],
      ['version', stringLeaf(recipient.version)],
      ...createdAndEnc(enc, context),
    ]);
  },
  unwrap: unwrapInCloud(urlSafeBase64),
};

export const vaultKey: MasterKeyType<VaultRecipient> = {
  list: 'hc_vault',
  nameOf: ({ address, enginePath, keyName }) => `${address}/v1/${enginePath}/keys/${keyName}`,
  readRecipient(fields) {
    const texts = textFields(fields, ['vault_address', 'engine_path', 'key_name']);
    return texts && { type: 'hc_vault', address: texts[0], enginePath: texts[1], keyName: texts[2] };
  },
  async wrap(recipient, secret, context) {
    const enc = vaultText.format(await wrapInCloud(recipient, secret, context));
    return mappingOf([
      ['vault_address', stringLeaf(recipient.address)],
      ['engine_path', stringLeaf(recipient.enginePath)],
      ['key_name', stringLeaf(recipient.keyName)],
      ...createdAndEnc(enc, context),
    ]);
  },
  unwrap: unwrapInCloud(vaultText),
};

export const huaweiKey: MasterKeyType<HuaweiRecipient> = {
  list: 'hckms',
  nameOf: ({ keyId }) => keyId,
  readRecipient(fields) {
    const keyId = textField(fields, 'key_id');
    return keyId === undefined ? undefined : { type: 'hckms', keyId };
  },
  async wrap(recipient, secret, context) {
    const enc = base64.format(await wrapInCloud(recipient, secret, context));
    return mappingOf([['key_id', stringLeaf(recipient.keyId)], ...createdAndEnc(enc, context)]);
  },
  unwrap: unwrapInCloud(base64),
};

async function wrapInCloud(
  recipient: CloudRecipient,
  secret: Uint8Array,
  { keyring }: WrapContext,
): Promise<Uint8Array> {
  if (keyring.kms === undefined) {
    throw new SopsError('key_service', 'Cannot wrap the data key: no key service is at hand for a cloud key');
  }
  try {
    return await keyring.kms.wrap(recipient, secret);
  } catch (cause) {
    throw new SopsError('key_service', 'The key service did not wrap the data key', { cause });
  }
}

function unwrapInCloud(text: EncText): MasterKeyType['unwrap'] {
  return async ({ recipient, enc }: Stanza, { kms }: Keyring): Promise<Uint8Array | UnwrapFailure> => {
    const wrapped = enc.length > maxEncCharacters ? undefined : text.parse(enc.trim());
    if (wrapped === undefined || recipient.type === 'age' || recipient.type === 'pgp') {
      return { reason: 'malformed' };
    }
    if (kms === undefined) return { reason: 'no_match' };
    try {
      return await kms.unwrap(recipient, wrapped);
    } catch (cause) {
      return { reason: 'service', cause };
    }
  };
}

function decodeOrUndefined(text: string): Uint8Array | undefined {
  try {
    return decodeBase64(text);
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

function padded(urlSafe: string): string {
  const standard = urlSafe.replaceAll('-', '+').replaceAll('_', '/');
  return standard + '='.repeat((4 - (standard.length % 4)) % 4);
}

function textFields<N extends readonly string[]>(
  fields: Mapping,
  names: readonly [...N],
): { [K in keyof N]: string } | undefined {
  const texts = names.map((name) => textField(fields, name));
  return texts.every((text) => text !== undefined) ? (texts as { [K in keyof N]: string }) : undefined;
}

function createdAndEnc(enc: string, { now }: WrapContext): [string, TreeNode][] {
  return [
    ['created_at', stringLeaf(formatTimestamp(now))],
    ['enc', stringLeaf(enc)],
  ];
}

function optional(name: string, value: TreeNode | undefined): [string, TreeNode][] {
  return value === undefined ? [] : [[name, value]];
}

// Null entries are skipped, as SOPS does; the map goes to the service unchanged.
function readContext(fields: Mapping): AwsRecipient['context'] | 'malformed' {
  const node = findEntry(fields, 'context')?.value;
  if (node === undefined || (node.kind === 'leaf' && node.type === 'null')) return undefined;
  if (node.kind !== 'mapping') return 'malformed';
  const pairs: [string, string][] = [];
  for (const item of node.items) {
    if (item.kind === 'comment') continue;
    if (item.value.kind !== 'leaf') return 'malformed';
    if (item.value.type === 'null') continue;
    if (item.value.type !== 'str') return 'malformed';
    pairs.push([item.key, decoder.decode(item.value.bytes)]);
  }
  return pairs.length === 0 ? undefined : pairs;
}
