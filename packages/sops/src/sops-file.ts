// The verbs on a SOPS file: parse, decrypt, encrypt, edit, change recipients, rotate the data key.
// Decrypted values leave only through return values, after every tag and the MAC have been verified.
import { formatTimestamp } from '@clef/strict';
import { createDataKey, openDataKey, recipientName, wrapDataKey } from './data-key.ts';
import { defaultRule, type EncryptionRule, prepareRule } from './encryption-rules.ts';
import { formatNamed } from './formats/all.ts';
import {
  defaultLimits,
  type Feature,
  type Format,
  type FormatName,
  type Layout,
  type Limits,
  type ParsedText,
} from './formats/format.ts';
import type { RecipientGroups, Recipients } from './key-groups.ts';
import type { Keyring, Recipient } from './master-keys/master-key.ts';
import { type Metadata, newMetadataBlock, parseMetadata, withMac, withStanzas } from './metadata.ts';
import { SopsError } from './sops-error.ts';
import type { Mapping, Tree, TreePath } from './tree.ts';
import { decryptWithKey, encryptWithKey, type Kept, keepCiphertexts } from './tree-cipher.ts';
import { deleteAt, type NewValue, setAt } from './tree-edit.ts';
import {
  type DataKey,
  dataKeyFromBytes,
  encryptValue,
  openValue,
  parseEncryptedValue,
  type RandomBytes,
} from './value-cipher.ts';

/** An encrypted file: everything that can be known without a key, and its exact bytes. Never changed in place. */
export type SopsFile = {
  readonly format: FormatName;
  /** Values are `ENC[…]` strings here, or whatever stands in the file. */
  readonly tree: Tree;
  readonly metadata: Metadata;
  readonly features: readonly Feature[];
  readonly bytes: Uint8Array;
  readonly parsed: ParsedText;
};

/** One change of a file. Paths are of the first document unless `document` says otherwise. */
export type Edit =
  | { readonly op: 'set'; readonly path: TreePath; readonly value: NewValue; readonly document?: number }
  | { readonly op: 'delete'; readonly path: TreePath; readonly document?: number };

/** Time (milliseconds since the epoch) and randomness, from outside. */
export type Sources = { readonly now: number; readonly randomBytes: RandomBytes };

/** `ignoreMac` leaves out the check of the MAC; every value is still verified by its own tag. */
export type MacCheck = { readonly ignoreMac?: boolean };

/** What re-wrapping needs. */
export type WrapOptions = Sources & { readonly keyring?: Keyring };

/**
 * Parses an encrypted file without any key.
 *
 * Throws SopsError 'parse_error', 'unsupported' or 'limit' for the text, 'no_metadata' when it is not encrypted,
 * 'bad_metadata' for its sops block; with a position where there is one.
 */
export function parseSopsFile(bytes: Uint8Array, format: FormatName, limits: Partial<Limits> = {}): SopsFile {
  return fileFrom(formatNamed(format), bytes, limits);
}

/** The exact bytes of a file. */
export function formatSopsFile(file: SopsFile): Uint8Array {
  return file.bytes;
}

/** Parses a plaintext for {@link encryptTree}. Throws 'already_encrypted', 'empty_file' and as {@link parseSopsFile}. */
export function parsePlainTree(bytes: Uint8Array, format: FormatName, limits: Partial<Limits> = {}): Tree {
  return formatNamed(format).parsePlain(bytes, { ...defaultLimits, ...limits });
}

/**
 * A decrypted tree as text, of any format, whatever the file was. The result holds secrets.
 *
 * Throws SopsError 'unsupported' for what the format has no place for: documents beyond the first outside YAML, nesting
 * in dotenv and INI, null there, infinities in JSON, a tree without a string `data` as binary.
 */
export function formatPlainTree(tree: Tree, format: FormatName, layout: Layout = {}): Uint8Array {
  return formatNamed(format).formatPlain(tree, layout);
}

/**
 * The data key of a file, from the first stanza that a key opens, or the shares of its key groups. Also loads what the file's rule needs, so that
 * {@link decryptTree} and {@link editSopsFile} can be synchronous.
 *
 * Throws SopsError 'no_matching_key', 'key_service' (with the service's error as its cause).
 */
export async function unwrapDataKey(file: SopsFile, keyring: Keyring): Promise<DataKey> {
  const key = await openDataKey(file.metadata, keyring);
  await prepareRule(file.metadata.rule);
  return key;
}

/** {@link unwrapDataKey} for a caller who already has the 32 bytes. */
export async function useDataKey(file: SopsFile, bytes: Uint8Array): Promise<DataKey> {
  await prepareRule(file.metadata.rule);
  return dataKeyFromBytes(bytes);
}

/**
 * The plaintext tree. Every tag and then the MAC are verified before anything is returned.
 *
 * Throws SopsError: for a value 'value_auth_failed', 'value_bad_format', 'value_not_encrypted', 'value_unknown_type',
 * 'value_wrong_type' with its path and position; for the whole 'mac_undecryptable' or 'mac_mismatch'.
 */
export function decryptTree(file: SopsFile, dataKey: DataKey, { ignoreMac = false }: MacCheck = {}): Tree {
  const { tree, mac } = decryptWithKey(file.tree, dataKey, file.metadata);
  if (!ignoreMac) checkMac(file.metadata, dataKey, mac);
  return tree;
}

/**
 * Encrypts a plaintext tree into a new file with a fresh data key. A binary file has no rule, whichever is given.
 *
 * Throws SopsError 'no_recipients', 'bad_shamir', 'bad_recipient', 'unsupported', 'already_encrypted', 'key_service'.
 */
export async function encryptTree(
  tree: Tree,
  options: Sources & {
    readonly format: FormatName;
    readonly recipients: Recipients;
    readonly keyring?: Keyring;
    readonly rule?: EncryptionRule;
    readonly macOnlyEncrypted?: boolean;
    readonly layout?: Layout;
  },
): Promise<SopsFile> {
  const { recipients, keyring = {}, layout = {} } = options;
  const format = formatNamed(options.format);
  const { rule = defaultRule, macOnlyEncrypted = false } = format.hasRules ? options : {};
  await prepareRule(rule);
  const dataKey = createDataKey(options.randomBytes);
  const stanzas = await wrapDataKey(dataKey, recipients, { ...options, keyring });
  const written = format.hasRules ? rule : undefined;
  const block = newMetadataBlock(stanzas, { rule: written, macOnlyEncrypted });
  const sealed = seal(tree, dataKey, { block, rule, macOnlyEncrypted, kept: new Map() }, options);
  return fileFrom(format, format.format(sealed.tree, sealed.block, layout));
}

/**
 * The file after some edits, in order. Unchanged values keep their ciphertext, and their lines stay byte for byte
 * where the format allows; the returned file has been read back from its own bytes.
 *
 * Verifies the whole file first and throws as {@link decryptTree} does; 'unsupported' for a path that cannot be set.
 * A caller that has verified it already passes what {@link decryptTree} gave for this very file as `plain`.
 */
export function editSopsFile(
  file: SopsFile,
  dataKey: DataKey,
  edits: readonly Edit[],
  sources: Sources & MacCheck & { readonly plain?: Tree },
): SopsFile {
  const plain = sources.plain ?? decryptTree(file, dataKey, sources);
  const edited = edits.reduce(applyEdit, plain);
  return writeOver(file, dataKey, { edited, kept: keepCiphertexts(file.tree, plain) }, sources);
}

/** The file with a whole other plaintext, as after an editor; values that did not change keep their ciphertext. */
export function replaceTree(
  file: SopsFile,
  dataKey: DataKey,
  edited: Tree,
  sources: Sources & MacCheck,
): SopsFile {
  const plain = decryptTree(file, dataKey, sources);
  return writeOver(file, dataKey, { edited, kept: keepCiphertexts(file.tree, plain) }, sources);
}

/**
 * The file with more recipients: the existing data key is wrapped for each newcomer, every other stanza, the values,
 * `lastmodified` and `mac` stay byte-identical. A recipient that is there already is left alone.
 *
 * In a file of several key groups newcomers join the first, and every stanza is made anew, because the shares are.
 */
export async function addRecipients(
  file: SopsFile,
  dataKey: DataKey,
  recipients: readonly Recipient[],
  options: WrapOptions,
): Promise<SopsFile> {
  const [group = [], ...others] = file.metadata.keyGroups;
  const present = new Set(group.map(({ recipient }) => recipientName(recipient)));
  const newcomers = recipients.filter((recipient) => !present.has(recipientName(recipient)));
  if (newcomers.length === 0) return file;
  if (others.length > 0) {
    const { groups, threshold } = keyGroupsOf(file);
    const [first = [], ...rest] = groups;
    return rewrap(file, dataKey, { groups: [[...first, ...newcomers], ...rest], threshold }, options);
  }
  const added = await wrapDataKey(dataKey, newcomers, { ...options, keyring: options.keyring ?? {} });
  const groups = [[...group, ...added.groups.flat()]];
  return rewriteBlock(file, withStanzas(file.metadata.block, { groups, threshold: undefined }));
}

/**
 * The file with exactly these recipients, all wrapped anew under the same data key; values and MAC stay
 * byte-identical. Somebody left out still knows the data key: only {@link rotateDataKey} shuts him out. Several groups
 * get new shares of it. A plain list makes one group, whatever the file had before.
 *
 * Throws as {@link encryptTree} does.
 */
export async function rewrap(
  file: SopsFile,
  dataKey: DataKey,
  recipients: Recipients,
  options: WrapOptions,
): Promise<SopsFile> {
  const stanzas = await wrapDataKey(dataKey, recipients, { ...options, keyring: options.keyring ?? {} });
  return rewriteBlock(file, withStanzas(file.metadata.block, stanzas));
}

/**
 * The file under a new data key for exactly these recipients: every value, every stanza and the MAC are made anew.
 * Throws as {@link decryptTree}, {@link encryptTree} and {@link rewrap} do.
 */
export async function rotateDataKey(
  file: SopsFile,
  dataKey: DataKey,
  recipients: Recipients,
  options: WrapOptions & MacCheck,
): Promise<SopsFile> {
  const edited = decryptTree(file, dataKey, options);
  const fresh = createDataKey(options.randomBytes);
  const stanzas = await wrapDataKey(fresh, recipients, { ...options, keyring: options.keyring ?? {} });
  const block = withStanzas(file.metadata.block, stanzas);
  return writeOver(file, fresh, { edited, kept: new Map(), block }, options);
}

/** The recipients that the file's stanzas name, of all groups, grouped by kind. */
export function recipientsOf(file: SopsFile): readonly Recipient[] {
  return keyGroupsOf(file).groups.flat();
}

/** The same in their groups, as {@link rewrap} and {@link rotateDataKey} take them; a threshold of 0 was not given. */
export function keyGroupsOf(file: SopsFile): Required<RecipientGroups> {
  const { keyGroups, shamirThreshold } = file.metadata;
  return {
    groups: keyGroups.map((group) => group.map(({ recipient }) => recipient)),
    threshold: shamirThreshold,
  };
}

function fileFrom(format: Format, bytes: Uint8Array, limits: Partial<Limits> = {}): SopsFile {
  return fileOf(format, format.parse(bytes, { ...defaultLimits, ...limits }));
}

function fileOf(format: Format, parsed: ParsedText): SopsFile {
  if (parsed.metadata === undefined) {
    throw new SopsError('no_metadata', 'The file has no sops block: it is not encrypted, or not with SOPS');
  }
  const metadata = parseMetadata(parsed.metadata, { typed: format.typedMetadata });
  const { tree, features, bytes } = parsed;
  return { format: format.name, tree, metadata, features, bytes, parsed };
}

function applyEdit(tree: Tree, edit: Edit): Tree {
  const index = edit.document ?? 0;
  const target = tree.documents[index];
  if (target === undefined) throw new SopsError('unsupported', `The file has no document number ${index}`);
  const changed = edit.op === 'set' ? setAt(target, edit.path, edit.value) : deleteAt(target, edit.path);
  return { documents: tree.documents.map((document, at) => (at === index ? changed : document)) };
}

type Sealing = {
  readonly block: Mapping;
  readonly rule: EncryptionRule;
  readonly macOnlyEncrypted: boolean;
  readonly kept: Kept;
};

// lastmodified is the MAC's associated data, so the two are always made together.
function seal(
  tree: Tree,
  dataKey: DataKey,
  { block, rule, macOnlyEncrypted, kept }: Sealing,
  { now, randomBytes }: Sources,
): { tree: Tree; block: Mapping } {
  const sealed = encryptWithKey(tree, dataKey, { rule, macOnlyEncrypted, kept, randomBytes });
  const lastModified = formatTimestamp(now);
  const mac = new TextEncoder().encode(sealed.mac);
  const text = encryptValue(dataKey, mac, { aad: lastModified, type: 'str', randomBytes });
  return { tree: sealed.tree, block: withMac(block, lastModified, text) };
}

function writeOver(
  file: SopsFile,
  dataKey: DataKey,
  change: { readonly edited: Tree; readonly kept: Kept; readonly block?: Mapping },
  sources: Sources,
): SopsFile {
  const { rule, macOnlyEncrypted } = file.metadata;
  const block = change.block ?? file.metadata.block;
  const sealed = seal(change.edited, dataKey, { block, rule, macOnlyEncrypted, kept: change.kept }, sources);
  const format = formatNamed(file.format);
  return fileOf(format, format.rewrite(file.parsed, sealed.tree, sealed.block));
}

function rewriteBlock(file: SopsFile, block: Mapping): SopsFile {
  const format = formatNamed(file.format);
  return fileOf(format, format.rewrite(file.parsed, file.tree, block));
}

function checkMac(metadata: Metadata, dataKey: DataKey, computed: string): void {
  if (metadata.mac === '') throw new SopsError('mac_mismatch', 'The file has no MAC');
  const value = parseEncryptedValue(metadata.mac);
  const opened = value === undefined ? undefined : openValue(dataKey, value, metadata.lastModified);
  if (opened === undefined) {
    throw new SopsError(
      'mac_undecryptable',
      'The MAC of the file does not decrypt with its time of last change',
    );
  }
  if (new TextDecoder().decode(opened) !== computed) {
    throw new SopsError('mac_mismatch', 'The values of the file are not those that its MAC was made of');
  }
}
