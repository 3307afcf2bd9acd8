// SOPS files of any shape and format, opened with every key that SOPS would find and verified as a whole. Comments stay
// behind.
import { isUtf8 } from 'node:buffer';
import {
  decryptTree,
  type FormatName,
  formatForPath,
  parseSopsFile,
  SopsError,
  type SopsFile,
  type Leaf as SopsLeaf,
  type TreeNode,
} from '@clef/sops';
import { fromSopsError } from '../../cells/sops-errors.ts';
import { ClefError } from '../../errors.ts';
import { uncapitalised } from '../../from-ground-error.ts';
import { decryptionOrder, openWithAnyKey, serviceFailure } from '../../keys/sops-keyring.ts';
import type { World } from '../../world.ts';
import { type FoundValues, type Leaf, nameLeaves } from './found-values.ts';

export type SopsOptions = {
  /** How the file is called in messages; its ending tells its format first. */
  readonly name: string;
  readonly flatten: string | undefined;
  /** Take the exact text of numbers, booleans and times. */
  readonly stringify: boolean;
};

/** Cheap signs that bytes are a SOPS file, whatever the format. */
export function looksLikeSops(text: string): boolean {
  return text.includes('ENC[AES256_GCM,') && /"?sops(?:"?\s*:|\]|_[a-z])/.test(text);
}

/**
 * Reads and decrypts a SOPS file.
 * @throws {ClefError} `bad_format`, `cannot_decrypt`, `cell_tampered`, `key_locked`, and what a KMS can give.
 */
export async function readSops(world: World, bytes: Uint8Array, options: SopsOptions): Promise<FoundValues> {
  const { name, flatten, stringify } = options;
  const file = parseByContent(bytes, name);
  const order = decryptionOrder(world);
  try {
    const dataKey = await openWithAnyKey(world, file, order);
    // Several documents are one map: a name that two of them have is there twice.
    const leaves = decryptTree(file, dataKey).documents.flatMap((root) => leavesOf(root, [], stringify));
    return nameLeaves(leaves, flatten);
  } catch (error) {
    throw failure(error, name);
  }
}

/** The format that its name says, else the one that its content fits. */
function parseByContent(bytes: Uint8Array, name: string): SopsFile {
  const isBraced = Buffer.from(bytes.subarray(0, 1024)).toString('latin1').trimStart().startsWith('{');
  const byContent: readonly FormatName[] = isBraced ? ['json'] : ['yaml', 'dotenv', 'ini'];
  const named = formatForPath(name);
  const candidates = byContent.includes(named) ? [named, ...byContent] : byContent;
  let first: unknown;
  for (const format of candidates) {
    try {
      return parseSopsFile(bytes, format);
    } catch (error) {
      first ??= error;
    }
  }
  throw fromSopsError(first, { path: name });
}

function failure(error: unknown, name: string): unknown {
  if (!(error instanceof SopsError)) return error;
  if (error.code === 'key_service')
    return serviceFailure(error.cause, { action: `open "${name}"`, file: name });
  if (error.code !== 'no_matching_key') return fromSopsError(error, { path: name });
  return new ClefError({
    code: 'cannot_decrypt',
    message: `Cannot decrypt "${name}": ${uncapitalised(error.message)}`,
    hint: 'give its key in SOPS_AGE_KEY_FILE, or let the tool that has it decrypt: sops decrypt FILE | clef import CELL -',
    location: { file: name },
    cause: error,
  });
}

function leavesOf(node: TreeNode, path: Leaf['path'], stringify: boolean): readonly Leaf[] {
  if (node.kind === 'leaf') return [{ path, ...textOrReason(node, stringify) }];
  if (node.kind === 'mapping') {
    return node.items.flatMap((item) =>
      item.kind === 'entry' ? leavesOf(item.value, [...path, item.key], stringify) : [],
    );
  }
  return node.items
    .filter((item): item is TreeNode => item.kind !== 'comment')
    .flatMap((item, index) => leavesOf(item, [...path, index], stringify));
}

function textOrReason(
  { type, bytes }: SopsLeaf,
  stringify: boolean,
): { value: string } | { refused: string; hint: string } {
  if (!isUtf8(bytes)) return { refused: 'is not UTF-8 text', hint: 'store it as base64' };
  const text = Buffer.from(bytes).toString('utf8');
  if (type === 'str') return { value: text };
  if (type === 'null' || type === 'bytes')
    return { refused: `is of type ${type}`, hint: 'give it a text first' };
  if (!stringify)
    return { refused: `is of type ${type}, not text`, hint: 'pass --stringify to take its exact text' };
  // SOPS keeps booleans as Python writes them; every file that it prints says true and false.
  return { value: type === 'bool' ? text.toLowerCase() : text };
}
