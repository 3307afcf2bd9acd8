// `sops decrypt`: the plaintext of a file or of one part of it, after every tag and the MAC have been verified.
import {
  decryptTree,
  type FormatName,
  findEntry,
  formatPlainTree,
  type Mapping,
  mappingOf,
  parseSopsFile,
  type Tree,
  type TreeNode,
  type TreePath,
} from '@clef/sops';
import type { World } from '../world.ts';
import { openSopsFile } from './open-file.ts';
import { badArgument, during, SopsOperationError } from './outcome.ts';
import { findConfig } from './recipients.ts';
import {
  checkDestination,
  deliver,
  readSource,
  type SopsDestination,
  type SopsSource,
  type SopsSourceRequest,
} from './source.ts';
import { parseTreePath } from './tree-path.ts';

export type DecryptFileRequest = SopsSourceRequest &
  SopsDestination & {
    /** `["key"][0]`: only this part. */
    readonly extract?: string | undefined;
    readonly ignoreMac?: boolean;
    readonly decryptionOrder?: string | undefined;
    readonly config?: string | undefined;
  };

/**
 * Decrypts a SOPS file.
 * @returns the plaintext for standard output; undefined where it was written into a file.
 * @throws {SopsOperationError}
 */
export async function decryptSopsFile(
  world: World,
  request: DecryptFileRequest,
): Promise<Uint8Array | undefined> {
  checkDestination(request, request.file);
  const extract = request.extract ?? '';
  const path = extract === '' ? undefined : parseTreePath(extract);
  if (extract !== '' && path === undefined) {
    throw badArgument('tree_path', '"--extract" is not a path', `write for example: --extract '["key"][0]'`);
  }
  const source = await readSource(world, request, { stage: 'read', missing: 'no_file' });
  const tree = await decryptSource(world, source, request);
  const indent = await indentFor(world, request.config, source.outputFormat);
  const text = await during('print', source.name, () =>
    path === undefined
      ? formatPlainTree(tree, source.outputFormat, indent)
      : printPart(tree, path, source, indent),
  );
  return deliver(world, source, text, request);
}

/** The verified plaintext tree of a source. */
export async function decryptSource(
  world: World,
  source: SopsSource,
  {
    ignoreMac = false,
    decryptionOrder,
  }: { readonly ignoreMac?: boolean; readonly decryptionOrder?: string | undefined },
): Promise<Tree> {
  const { name, bytes, inputFormat } = source;
  const file = await during('read', name, () => parseSopsFile(bytes, inputFormat));
  const dataKey = await openSopsFile(world, file, { name, order: decryptionOrder });
  return during('decrypt', name, () => decryptTree(file, dataKey, { ignoreMac }));
}

/** The indentation that `.sops.yaml` asks for; -1 is a tab, as without it. */
export async function indentFor(
  world: World,
  config: string | undefined,
  format: FormatName,
): Promise<{ readonly indent?: number }> {
  if (format === 'dotenv' || format === 'ini') return {};
  const found = await findConfig(world, config);
  const indent = found?.config.indents[format === 'binary' ? 'json_binary' : format];
  return indent === undefined || indent < 0 ? {} : { indent };
}

/** A string as its bytes, without a newline; anything else as text of the format. */
function printPart(
  { documents: [document] }: Tree,
  path: TreePath,
  { outputFormat: format, name }: SopsSource,
  layout: { readonly indent?: number },
): Uint8Array {
  const node = document === undefined ? undefined : findNode(document, path);
  if (node === undefined) throw nothingThere(name);
  if (node.kind === 'leaf' && (node.type === 'str' || node.type === 'bytes')) return node.bytes;
  if (node.kind === 'mapping') return formatPlainTree({ documents: [node] }, format, layout);
  if (format !== 'yaml' && format !== 'json') {
    throw new SopsOperationError('print', {
      code: 'not_supported',
      message: `Cannot print this part of "${name}" as ${format}: it is no string`,
      hint: 'add --output-type yaml or json',
    });
  }
  const whole = new TextDecoder().decode(
    formatPlainTree({ documents: [mappingOf([['x', node]])] }, format, layout),
  );
  return new TextEncoder().encode(format === 'yaml' ? yamlValue(whole) : jsonValue(whole));
}

/** What stands at a path; comments are not counted. */
export function findNode(node: TreeNode, [step, ...rest]: TreePath): TreeNode | undefined {
  if (step === undefined) return node;
  const next = typeof step === 'string' ? childOf(node, step) : elementOf(node, step);
  return next === undefined ? undefined : findNode(next, rest);
}

function childOf(node: TreeNode, key: string): TreeNode | undefined {
  return node.kind === 'mapping' ? findEntry(node as Mapping, key)?.value : undefined;
}

function elementOf(node: TreeNode, index: number): TreeNode | undefined {
  if (node.kind !== 'sequence') return undefined;
  return node.items.filter((item): item is TreeNode => item.kind !== 'comment')[index];
}

/** `x:` and the value, without the key and one level of indentation. */
function yamlValue(whole: string): string {
  const [first = '', ...lines] = whole.split('\n');
  const inline = first.replace(/^x:\s*/, '');
  const indent = /^ */.exec(lines[0] ?? '')?.[0] ?? '';
  const shifted = lines.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
  return inline === '' ? shifted.join('\n') : [inline, ...shifted].join('\n');
}

/** The value of the only member of an object that is printed over several lines. */
function jsonValue(whole: string): string {
  const inner = whole
    .trimEnd()
    .replace(/^\{\s*"x": ?/, '')
    .replace(/\s*\}$/, '');
  const indent = /^\{\n([\t ]*)"x"/.exec(whole)?.[1] ?? '';
  return indent === '' ? inner : inner.replaceAll(`\n${indent}`, '\n');
}

function nothingThere(name: string): SopsOperationError {
  return new SopsOperationError('generic', {
    code: 'unknown_key',
    message: `There is nothing at that path in "${name}"`,
    hint: 'check the keys, and that list indices begin with 0',
  });
}
