// The sops block: parse and write, side by side. The block is kept as it stands, so that what we do not know survives.

import { defaultRule, type EncryptionRule, ruleKinds } from './encryption-rules.ts';
import { canonicalTime, typedLeaf } from './leaf-values.ts';
import { masterKeyTypes } from './master-keys/all.ts';
import { textField } from './master-keys/fields.ts';
import { type Stanza, type StanzaList, stanzaLists } from './master-keys/master-key.ts';
import { SopsError } from './sops-error.ts';
import {
  type Entry,
  findEntry,
  type Leaf,
  type Mapping,
  mappingOf,
  stringLeaf,
  type TreeNode,
} from './tree.ts';

/** The version that new files carry; existing files keep theirs. */
export const writtenVersion = '3.12.2';

/** Any one stanza of a group opens the file, or the group's share of it. */
export type KeyGroup = readonly Stanza[];

/** The sops block, parsed. */
export type Metadata = {
  /** The mapping as it stands in the file, unknown fields included. */
  readonly block: Mapping;
  readonly keyGroups: readonly KeyGroup[];
  readonly shamirThreshold: number;
  /** The time of the last change, printed as the MAC's associated data. */
  readonly lastModified: string;
  /** The encrypted MAC, or an empty string when there is none. */
  readonly mac: string;
  readonly rule: EncryptionRule;
  readonly macOnlyEncrypted: boolean;
  readonly version: string;
};

const maxStanzas = 1000;
const decoder = new TextDecoder();

/**
 * Parses the block of an encrypted file.
 *
 * `typed`: the format has numbers and booleans (YAML, JSON); otherwise every field is text. Throws SopsError
 * 'bad_metadata' or 'limit' (spec sops-format, section 7.2). Unknown fields are kept, not judged.
 */
export function parseMetadata(block: Mapping, { typed }: { typed: boolean }): Metadata {
  const keyGroups = readKeyGroups(block);
  return {
    block,
    keyGroups,
    shamirThreshold: readThreshold(block, typed),
    lastModified: readLastModified(block),
    mac: readMac(block),
    rule: readRule(block),
    macOnlyEncrypted: readFlag(block, 'mac_only_encrypted', typed),
    version: readVersion(block),
  };
}

/** Stanzas as they are to be written, in groups; `threshold` is undefined where the file needs none. */
export type StanzaGroups = {
  readonly groups: readonly (readonly { list: StanzaList; fields: Mapping }[])[];
  readonly threshold: number | undefined;
};

/** The block of a new file, in the order of SOPS 3.12. `mac` is still to come. */
export function newMetadataBlock(
  stanzas: StanzaGroups,
  { rule, macOnlyEncrypted }: { rule: EncryptionRule | undefined; macOnlyEncrypted: boolean },
): Mapping {
  return mappingOf([
    ...keyEntries(stanzas),
    ['lastmodified', stringLeaf('')],
    ['mac', stringLeaf('')],
    ...(rule === undefined ? [] : [[rule.kind, stringLeaf(rule.text)] as const]),
    ...(macOnlyEncrypted ? [['mac_only_encrypted', typedLeaf('bool', 'True')] as const] : []),
    ['version', stringLeaf(writtenVersion)],
  ]);
}

/** The block with another MAC and time; everything else stays the same object. */
export function withMac(block: Mapping, lastModified: string, mac: string): Mapping {
  const values: Readonly<Record<string, string>> = { lastmodified: lastModified, mac };
  const items = block.items.map((item) => {
    const text = item.kind === 'entry' ? values[item.key] : undefined;
    return item.kind === 'entry' && text !== undefined ? { ...item, value: stringLeaf(text) } : item;
  });
  const missing = Object.entries(values).filter(([name]) => findEntry(block, name) === undefined);
  const added = missing.map(([key, text]): Entry => ({ kind: 'entry', key, value: stringLeaf(text) }));
  return { ...block, items: [...items, ...added] };
}

/** The block with its keys replaced; the other fields stay as they are, in their order. */
export function withStanzas(block: Mapping, stanzas: StanzaGroups): Mapping {
  const fresh = new Map(keyEntries(stanzas));
  // With one group a threshold has no effect, and stays where somebody wrote it.
  const isOneGroup = stanzas.groups.length === 1 && readKeyGroups(block).length === 1;
  const keepsThreshold = isOneGroup && stanzas.threshold === undefined;
  const items = block.items.flatMap((item) => {
    if (item.kind === 'comment' || !isKeyField(item.key)) return [item];
    if (item.key === 'shamir_threshold' && keepsThreshold) return [item];
    const value = fresh.get(item.key);
    fresh.delete(item.key);
    if (value !== undefined) return [{ ...item, value }];
    // Empty lists of SOPS before 3.10 stay where they are.
    return isStanzaList(item.key) && listOf(block, item.key).length === 0 ? [item] : [];
  });
  const added = Array.from(fresh, ([key, value]): Entry => ({ kind: 'entry', key, value }));
  const first = items.findIndex((item) => item.kind === 'entry');
  return {
    ...block,
    items: [...items.slice(0, Math.max(0, first)), ...added, ...items.slice(Math.max(0, first))],
  };
}

// The written order puts age before pgp, unlike the reading order (spec sops-format, section 7.1).
const writingOrder: readonly StanzaList[] = ['kms', 'gcp_kms', 'hckms', 'azure_kv', 'hc_vault', 'age', 'pgp'];

function keyEntries({ groups, threshold }: StanzaGroups): [string, TreeNode][] {
  const [only = [], ...more] = groups;
  const needed: [string, TreeNode][] =
    threshold === undefined ? [] : [['shamir_threshold', typedLeaf('int', String(threshold))]];
  if (more.length === 0) return [...needed, ...stanzaEntries(only)];
  const items = groups.map((group) => mappingOf(stanzaEntries(group, listedInGroups)));
  return [...needed, ['key_groups', { kind: 'sequence', items }]];
}

// SOPS 3.12 writes these two in each group, also when they are empty.
const listedInGroups: ReadonlySet<StanzaList> = new Set(['hc_vault', 'age']);

function stanzaEntries(
  group: readonly { list: StanzaList; fields: Mapping }[],
  listed: ReadonlySet<StanzaList> = new Set(),
): [string, TreeNode][] {
  return writingOrder.flatMap((list): [string, TreeNode][] => {
    const items = group.filter((stanza) => stanza.list === list).map((stanza) => stanza.fields);
    return items.length === 0 && !listed.has(list) ? [] : [[list, { kind: 'sequence', items }]];
  });
}

function isKeyField(name: string): boolean {
  return name === 'shamir_threshold' || name === 'key_groups' || isStanzaList(name);
}

function isStanzaList(name: string): name is StanzaList {
  return (stanzaLists as readonly string[]).includes(name);
}

function readKeyGroups(block: Mapping): KeyGroup[] {
  const top = readGroup(block);
  const groups = top.length > 0 ? [top] : readGroupList(block);
  const count = groups.reduce((sum, group) => sum + group.length, 0);
  if (count === 0) throw new SopsError('bad_metadata', 'The sops block names no master key', place(block));
  if (count > maxStanzas) {
    throw new SopsError(
      'limit',
      `The sops block has ${count} stanzas; at most ${maxStanzas} are read`,
      place(block),
    );
  }
  return groups;
}

function readGroupList(block: Mapping): KeyGroup[] {
  return listOf(block, 'key_groups').map((group) => {
    if (group.kind !== 'mapping') throw malformed('key_groups', group);
    return readGroup(group);
  });
}

function readGroup(fields: Mapping): KeyGroup {
  return stanzaLists.flatMap((list) => listOf(fields, list).map((item) => readStanza(list, item)));
}

function readStanza(list: StanzaList, node: TreeNode): Stanza {
  if (node.kind !== 'mapping') throw malformed(list, node);
  const recipient = masterKeyTypes[list].readRecipient(node);
  const enc = textField(node, 'enc');
  if (enc === undefined || recipient === undefined) throw malformed(list, node);
  return { list, fields: node, enc, recipient };
}

// Null and empty lists were written by SOPS before 3.10 for every unused kind of key.
function listOf(fields: Mapping, name: string): readonly TreeNode[] {
  const node = findEntry(fields, name)?.value;
  if (node === undefined || (node.kind === 'leaf' && node.type === 'null')) return [];
  if (node.kind !== 'sequence') throw malformed(name, node);
  return node.items.filter((item): item is TreeNode => item.kind !== 'comment');
}

function readRule(block: Mapping): EncryptionRule {
  const found = ruleKinds.flatMap((kind): EncryptionRule[] => {
    const text = optionalText(block, kind);
    return text === '' ? [] : [{ kind, text }];
  });
  if (found.length > 1)
    throw new SopsError('bad_metadata', 'The sops block has more than one rule', place(block));
  return found[0] ?? defaultRule;
}

function readLastModified(block: Mapping): string {
  const value = findEntry(block, 'lastmodified')?.value;
  // SOPS 3.12 also reads an unquoted YAML timestamp, which is a time by then.
  const isText = value?.kind === 'leaf' && (value.type === 'str' || value.type === 'time');
  const time = isText ? canonicalTime(decoder.decode((value as Leaf).bytes)) : undefined;
  if (time === undefined) {
    throw new SopsError(
      'bad_metadata',
      'The field "lastmodified" is not an RFC 3339 time',
      place(value ?? block),
    );
  }
  return time.replace(/\.[0-9]+/, '');
}

function readMac(block: Mapping): string {
  return optionalText(block, 'mac');
}

function readVersion(block: Mapping): string {
  const version = optionalText(block, 'version');
  if (!/^v?[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]*)?$/.test(version) && !version.startsWith('1.')) {
    const at = place(findEntry(block, 'version')?.value ?? block);
    throw new SopsError('bad_metadata', 'The field "version" is not a version such as "3.12.2"', at);
  }
  return version;
}

function readThreshold(block: Mapping, typed: boolean): number {
  const value = findEntry(block, 'shamir_threshold')?.value;
  if (value === undefined || (value.kind === 'leaf' && value.type === 'null')) return 0;
  const text =
    value.kind === 'leaf' && value.type === (typed ? 'int' : 'str') ? decoder.decode(value.bytes) : '';
  const match = /^([0-9]{1,4})(?:\.0*)?$/.exec(text);
  if (match === null) throw malformed('shamir_threshold', value);
  return Number(match[1]);
}

function readFlag(block: Mapping, name: string, typed: boolean): boolean {
  const value = findEntry(block, name)?.value;
  if (value === undefined || (value.kind === 'leaf' && value.type === 'null')) return false;
  if (value.kind !== 'leaf' || value.type !== (typed ? 'bool' : 'str')) throw malformed(name, value);
  return decoder.decode(value.bytes) === (typed ? 'True' : 'true');
}

// Absent and null are an empty string; anything that is not text is refused.
function optionalText(block: Mapping, name: string): string {
  const value = findEntry(block, name)?.value;
  if (value === undefined || (value.kind === 'leaf' && value.type === 'null')) return '';
  if (value.kind !== 'leaf' || value.type !== 'str') throw malformed(name, value);
  return decoder.decode(value.bytes);
}

function malformed(name: string, node: TreeNode): SopsError {
  return new SopsError(
    'bad_metadata',
    `The field "${name}" of the sops block is not of the right form`,
    place(node),
  );
}

function place(node: TreeNode): { position?: { line: number; column: number } } {
  return node.at === undefined ? {} : { position: node.at };
}
