// `sops set` and `sops unset`: one value or branch of a file. Unchanged values keep their ciphertext.
import { resolve } from 'node:path';
import { readRegularFile } from '@clef/host';
import {
  decryptTree,
  type Edit,
  editSopsFile,
  findEntry,
  formatSopsFile,
  isSameNode,
  parseEncryptedValue,
  parsePlainTree,
  parseSopsFile,
  type Sequence,
  type SopsFile,
  stringLeaf,
  type TreeNode,
  type TreePath,
} from '@clef/sops';
import { escapeControl, parseJson, StrictError } from '@clef/strict';
import type { World } from '../world.ts';
import { findNode } from './decrypt-file.ts';
import { noFile } from './file-status.ts';
import { openSopsFile } from './open-file.ts';
import { badArgument, during, notCovered, SopsOperationError } from './outcome.ts';
import { deliver, isStandardInput, readSource, type SopsSource, type SopsSourceRequest } from './source.ts';
import { parseTreePath } from './tree-path.ts';

type ChangeRequest = SopsSourceRequest & {
  /** `["key"][0]` */
  readonly index?: string | undefined;
  readonly ignoreMac?: boolean;
  readonly decryptionOrder?: string | undefined;
  /** Succeed without writing where nothing would change. */
  readonly idempotent?: boolean;
};

export type SetValueRequest = ChangeRequest & {
  /** JSON text; undefined where none was given. */
  readonly value: () => Promise<Uint8Array | undefined>;
};

const limits = { maxBytes: 64 * 1024 * 1024, maxDepth: 100 };

/**
 * Puts a JSON value at a place of a file, as SOPS does: missing maps are made at the end, an index past the end appends.
 * @returns whether the file was written.
 * @throws {SopsOperationError} `set_argument`, `already_encrypted` for the place of the metadata, and what opening gives.
 */
export async function setSopsValue(world: World, request: SetValueRequest): Promise<boolean> {
  const path = pathOf(request, 'precisely a file, an index and a value are needed');
  const text = await request.value();
  if (text === undefined)
    throw noFile('The value is missing: precisely a file, an index and a value are needed');
  return change(world, request, async (root, source) => {
    refuseMetadata(path, source);
    const value = await during('set', source.name, () => nodeOf(text));
    const target = clampIndices(root, path);
    if (target === undefined) return undefined;
    const before = findNode(root, target);
    if (before !== undefined && isSameNode(before, value) && request.idempotent === true) return undefined;
    return { op: 'set', path: target, value };
  });
}

/**
 * Takes a value or branch out of a file.
 * @returns whether the file was written.
 * @throws {SopsOperationError} `generic` where there is nothing at that place, unless `idempotent`.
 */
export async function unsetSopsValue(world: World, request: ChangeRequest): Promise<boolean> {
  const path = pathOf(request, 'precisely a file and an index are needed');
  return change(world, request, async (root, { name }) => {
    if (findNode(root, path) !== undefined) return { op: 'delete', path };
    if (request.idempotent === true) return undefined;
    throw new SopsOperationError('generic', {
      code: 'unknown_key',
      message: `There is nothing at that path in "${name}"`,
      hint: 'check the keys, or add --idempotent where that is fine',
    });
  });
}

/** The JSON of `--value-file`. */
export async function readSopsValueFile(world: World, path: string): Promise<Uint8Array> {
  return during('plain', path, () =>
    readRegularFile(resolve(world.cwd, path), { maxBytes: limits.maxBytes }),
  );
}

async function change(
  world: World,
  request: ChangeRequest,
  plan: (root: TreeNode, source: SopsSource) => Promise<Edit | undefined>,
): Promise<boolean> {
  const source = await readSource(world, request, { stage: 'read', missing: 'input' });
  const { name, bytes, inputFormat, outputFormat } = source;
  if (outputFormat !== inputFormat) {
    throw notCovered(
      'a change of the format while setting',
      'it would rewrite every line',
      'rotate into the new format first',
    );
  }
  const file = await during('read', name, () => parseSopsFile(bytes, inputFormat));
  const dataKey = await openSopsFile(world, file, { name, order: request.decryptionOrder });
  const check = { ignoreMac: request.ignoreMac === true };
  const tree = await during('decrypt', name, () => decryptTree(file, dataKey, check));
  const edit = await plan(tree.documents[0] ?? { kind: 'mapping', items: [] }, source);
  if (edit === undefined) return false;
  const sources = { now: world.now(), randomBytes: world.randomBytes, ...check };
  const edited = await during('set', name, () => editSopsFile(file, dataKey, [edit], sources));
  await deliver(world, source, formatSopsFile(edited), { inPlace: true });
  if (edit.op === 'set') warnOfClearText(world, edited, edit.path, name);
  return true;
}

/** The rule stands in the file, signed by nobody: whoever changed it decides that a value to come is not encrypted. */
function warnOfClearText(world: World, { tree, metadata }: SopsFile, path: TreePath, name: string): void {
  const { kind, text } = metadata.rule;
  const isSaid = kind === 'unencrypted_suffix' && path.some((step) => String(step).endsWith(text));
  const node = findNode(tree.documents[0] ?? { kind: 'mapping', items: [] }, path);
  if (isSaid || node === undefined || !hasClearText(node)) return;
  const message = `what was set stands in "${escapeControl(name)}" in the clear: the file's rule "${kind}" leaves it out`;
  world.notify({ level: 'warning', message });
}

function hasClearText(node: TreeNode): boolean {
  if (node.kind === 'leaf')
    return (
      node.bytes.length > 0 && parseEncryptedValue(Buffer.from(node.bytes).toString('latin1')) === undefined
    );
  return node.items.some((item) => {
    if (item.kind === 'comment') return false;
    return hasClearText(item.kind === 'entry' ? item.value : item);
  });
}

function pathOf({ file, index }: ChangeRequest, what: string): TreePath {
  if (file === undefined || index === undefined) throw noFile(`An argument is missing: ${what}`);
  if (isStandardInput(file))
    throw badArgument('generic', 'Standard input cannot be written in place', 'name a file');
  const path = parseTreePath(index);
  if (path?.every((step) => typeof step === 'string' || step >= 0)) return path;
  throw badArgument('set_argument', 'The index is not a path', `write for example: '["key"][0]'`);
}

function refuseMetadata([first]: TreePath, { inputFormat, name }: SopsSource): void {
  const isTaken = inputFormat === 'dotenv' ? String(first).startsWith('sops_') : first === 'sops';
  if (!isTaken || inputFormat === 'binary') return;
  throw new SopsOperationError('already_encrypted', {
    code: 'bad_format',
    message: `Cannot change "${name}" there: it is the place of the SOPS metadata`,
    hint: 'choose another name',
  });
}

/** JSON as a node: a string byte for byte, anything else as the JSON format reads it, which keeps the order of keys. */
function nodeOf(bytes: Uint8Array): TreeNode {
  try {
    const value = parseJson(bytes, limits);
    if (typeof value === 'string') return stringLeaf(value);
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    // Without the cause, which may quote the value.
    throw badArgument('set_argument', 'The value is not JSON', `write a string as '"text"'`);
  }
  const wrapped = new TextEncoder().encode(`{"value":${new TextDecoder().decode(bytes)}}`);
  const [document] = parsePlainTree(wrapped, 'json').documents;
  const value = document === undefined ? undefined : findEntry(document, 'value')?.value;
  if (value === undefined) throw badArgument('set_argument', 'The value is not JSON', 'check the value');
  return value;
}

/** The path with every index past the end of its list as the next one; undefined for an index into a map, which changes nothing. */
function clampIndices(root: TreeNode, path: TreePath): TreePath | undefined {
  const clamped: (string | number)[] = [];
  for (const step of path) {
    const node = findNode(root, clamped);
    if (typeof step === 'string') clamped.push(step);
    else if (node?.kind === 'mapping') return undefined;
    else clamped.push(node?.kind === 'sequence' ? Math.min(step, lengthOf(node)) : 0);
  }
  return clamped;
}

function lengthOf({ items }: Sequence): number {
  return items.filter((item) => item.kind !== 'comment').length;
}
