// Stanzas of keys that live in AWS KMS and GCP KMS. This file knows how they are written; the calls come in from outside.
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

export const awsKmsKey: MasterKeyType<AwsRecipient> = {
  list: 'kms',
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
      ...createdAndEnc(wrapped, wrapContext),
      ['aws_profile', stringLeaf(profile ?? '')],
    ]);
  },
  unwrap: unwrapInCloud,
};

export const gcpKmsKey: MasterKeyType<GcpRecipient> = {
  list: 'gcp_kms',
  readRecipient(fields) {
    const resourceId = textField(fields, 'resource_id');
    return resourceId === undefined ? undefined : { type: 'gcp_kms', resourceId };
  },
  async wrap(recipient, secret, context) {
    const wrapped = await wrapInCloud(recipient, secret, context);
    return mappingOf([['resource_id', stringLeaf(recipient.resourceId)], ...createdAndEnc(wrapped, context)]);
  },
  unwrap: unwrapInCloud,
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

async function unwrapInCloud(stanza: Stanza, { kms }: Keyring): Promise<Uint8Array | UnwrapFailure> {
  const { recipient } = stanza;
  if (recipient === undefined || recipient.type === 'age') return { reason: 'malformed' };
  const wrapped = stanza.enc.length > maxEncCharacters ? undefined : decodeEnc(stanza.enc);
  if (wrapped === undefined) return { reason: 'malformed' };
  if (kms === undefined) return { reason: 'no_match' };
  try {
    return await kms.unwrap(recipient, wrapped);
  } catch (cause) {
    return { reason: 'service', cause };
  }
}

function decodeEnc(enc: string): Uint8Array | undefined {
  try {
    return decodeBase64(enc.trim());
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

function createdAndEnc(wrapped: Uint8Array, { now }: WrapContext): [string, TreeNode][] {
  return [
    ['created_at', stringLeaf(formatTimestamp(now))],
    ['enc', stringLeaf(encodeBase64(wrapped))],
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
