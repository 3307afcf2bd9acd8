// The strict profile of a cell: one document, one flat map, string leaves that are all ciphertext, SOPS's default selector,
// one key group. What stock sops would accept beyond it is refused, with every fault (formats.md, "A cell").
import { isUtf8 } from 'node:buffer';
import {
  type Entry,
  entriesOf,
  type Feature,
  type Leaf,
  parseEncryptedValue,
  type SopsFile,
  type SourceSpan,
  type Tree,
  type TreeNode,
} from '@clef/sops';
import { ClefError, type ErrorCode, type ErrorFault } from '../errors.ts';
import { keyNameFault, quoteName, safeName, shellWord } from '../manifest/names.ts';
import type { Cell } from './cell.ts';

type Fault = ErrorFault & { readonly code: ErrorCode; readonly key?: string };

const mostFaults = 100;

/**
 * The keys of a cell in the order of its file, once the file is known to be within the profile.
 * @throws {ClefError} `cell_plaintext` or `cell_tampered` where a leaf is no ciphertext or the selector was changed, else
 * `cell_type` for leaves of another type, else `cell_profile`; with every fault and its place.
 */
export function checkProfile(cell: Cell, file: SopsFile): readonly string[] {
  const entries = file.tree.documents.flatMap((document) => entriesOf(document));
  const faults = [...shapeFaults(file.features), ...metadataFaults(file), ...entries.flatMap(entryFaults)];
  if (faults.length > 0) throw profileError(cell, faults);
  return entries.map(({ key }) => key);
}

/**
 * The values of a decrypted cell as text, in the order of the file.
 * @throws {ClefError} `bad_format` for a value that is no UTF-8 or has a NUL: no variable could hold it (C22).
 */
export function checkValues(cell: Cell, tree: Tree): ReadonlyMap<string, string> {
  const entries = tree.documents.flatMap((document) => entriesOf(document));
  return new Map(entries.map((entry) => [entry.key, textOf(cell, entry)]));
}

function textOf(cell: Cell, { key, value }: Entry): string {
  if (value.kind === 'leaf' && isUtf8(value.bytes) && !value.bytes.includes(0)) {
    return Buffer.from(value.bytes).toString('utf8');
  }
  throw new ClefError({
    code: 'bad_format',
    message: `The value of "${key}" in "${cell.label}" is not UTF-8 text without NUL`,
    hint: 'store it again, binary data as base64',
    location: { file: cell.path, key },
  });
}

/** What a file may not have, in words; comments and flow style are harmless, and the marker of one document too. */
const refusedFeatures: Partial<Record<Feature['kind'], string>> = {
  directive: 'a YAML directive',
  document: 'a second YAML document',
  anchor: 'an anchor',
  alias: 'an alias',
  tag: 'a tag',
  merge_key: 'a merge key',
  mapping: 'a nested map',
  sequence: 'a list',
};

function shapeFaults(features: readonly Feature[]): readonly Fault[] {
  return features.flatMap(({ kind, at }) => {
    const what = refusedFeatures[kind];
    // Nesting is a shape that stock sops makes; the others only ever come from an editor (catalogue INV-12).
    const code = kind === 'mapping' || kind === 'sequence' ? 'cell_profile' : 'cell_tampered';
    return what === undefined
      ? []
      : [{ code, message: `${what}, which a cell may not have`, line: at.line, column: at.column } as const];
  });
}

/** Of the kinds of keys that SOPS knows, those that a cell may be encrypted to. */
const listsOfCells: ReadonlySet<string> = new Set(['age', 'kms', 'gcp_kms', 'azure_kv', 'hc_vault']);

function metadataFaults({ metadata }: SopsFile): readonly Fault[] {
  const faults: Fault[] = [];
  const { rule, macOnlyEncrypted, keyGroups } = metadata;
  if (rule.kind !== 'unencrypted_suffix' || rule.text !== '_unencrypted') {
    faults.push({ code: 'cell_tampered', message: 'the rule for what is encrypted is not the default one' });
  }
  if (macOnlyEncrypted) faults.push({ code: 'cell_tampered', message: '"mac_only_encrypted" is set' });
  if (keyGroups.length !== 1)
    faults.push({ code: 'cell_profile', message: 'there is more than one key group' });
  for (const { list, recipient } of keyGroups.flat()) {
    if (!listsOfCells.has(list))
      faults.push({ code: 'cell_profile', message: `there is a recipient of the kind "${list}"` });
    const isSteered =
      recipient.type === 'kms' && (recipient.role ?? recipient.profile ?? recipient.context) !== undefined;
    // A repository may not choose a role or a profile (formats.md, "Key references").
    if (isSteered)
      faults.push({ code: 'cell_profile', message: 'a KMS recipient names a role, a profile or a context' });
  }
  return faults;
}

function entryFaults({ key, value, at }: Entry): readonly Fault[] {
  const nameFault = keyNameFault(key);
  const faults = nodeFaults(key, value, at);
  if (nameFault === undefined) return faults;
  return [
    ...faults,
    { code: 'cell_profile', message: `the key ${quoteName(key)} ${nameFault}`, ...placeOf(at) },
  ];
}

/** Also of what is nested, so that a plaintext is called one wherever it stands (catalogue INV-02). */
function nodeFaults(key: string, value: TreeNode, at: SourceSpan | undefined): readonly Fault[] {
  const fault = (code: ErrorCode, what: string): Fault => ({
    code,
    message: `the value of ${quoteName(key)} ${what}`,
    key: safeName(key),
    ...placeOf(at),
  });
  if (value.kind === 'leaf') return leafFaults(value, fault);
  const children = value.items.filter((item) => item.kind !== 'comment');
  if (children.length === 0) return [fault('cell_plaintext', 'is not encrypted')];
  return children.flatMap((item) =>
    item.kind === 'entry' ? nodeFaults(item.key, item.value, item.at) : nodeFaults(key, item, item.at ?? at),
  );
}

function leafFaults(leaf: Leaf, fault: (code: ErrorCode, what: string) => Fault): readonly Fault[] {
  const text = leaf.type === 'str' ? Buffer.from(leaf.bytes).toString('utf8') : '';
  const sealed = parseEncryptedValue(text);
  if (sealed?.exact !== true) {
    return /^\s*ENC\[/i.test(text)
      ? [fault('cell_tampered', 'is not exactly what an encryption gives')]
      : [fault('cell_plaintext', 'is not encrypted')];
  }
  return sealed.type === 'str' ? [] : [fault('cell_type', `is of type "${sealed.type}"`)];
}

function placeOf(at: SourceSpan | undefined): { readonly line?: number; readonly column?: number } {
  return at === undefined ? {} : { line: at.line, column: at.column };
}

const bySeverity: readonly { readonly code: ErrorCode; readonly hint: string }[] = [
  {
    code: 'cell_plaintext',
    hint: 'treat the value as leaked: look at who changed the file with "git log -p", and set a new value',
  },
  {
    code: 'cell_tampered',
    hint: 'look at who changed the file with "git log -p", and restore the last good version',
  },
  { code: 'cell_type', hint: 'store it as text with the program that wrote it' },
  {
    code: 'cell_profile',
    hint: 'keep such files outside the matrix, and bring their values in with "clef set"',
  },
];

function profileError(cell: Cell, faults: readonly Fault[]): ClefError {
  const worst = bySeverity.find(({ code }) => faults.some((fault) => fault.code === code)) ?? bySeverity[0];
  const [first, ...more] = faults.filter((fault) => fault.code === worst?.code);
  const place = first?.line === undefined ? `"${cell.path}"` : `"${cell.path}" line ${first.line}`;
  const count = more.length === 0 ? '' : ` (and ${more.length} more)`;
  return new ClefError({
    code: worst?.code ?? 'cell_profile',
    message: `Cannot use ${place}: ${first?.message ?? 'it is outside the profile of a cell'}${count}`,
    hint: worst?.code === 'cell_type' ? storeAsText(cell, first) : (worst?.hint ?? ''),
    location: { file: cell.path, ...pick(first), ...(first?.key !== undefined && { key: first.key }) },
    faults: faults.slice(0, mostFaults).map((fault) => ({ message: fault.message, ...pick(fault) })),
  });
}

/** No operation on cells changes one that it cannot read, so the way out is the SOPS command. */
function storeAsText(cell: Cell, fault: Fault | undefined): string {
  const { key = '' } = fault ?? {};
  const name = keyNameFault(key) === undefined ? key : 'KEY';
  return `store it as text: clef sops set ${shellWord(cell.path)} '["${name}"]' '"…"'`;
}

function pick(fault: Partial<Fault> | undefined): { readonly line?: number; readonly column?: number } {
  const { line, column } = fault ?? {};
  return { ...(line !== undefined && { line }), ...(column !== undefined && { column }) };
}
