// `sops edit`: a file's plaintext in an editor. It is only ever in memory-backed storage, in a folder of our own, and gone
// when the editor ends; where there is no such storage nothing is edited.
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HostError, runEditor, withPrivateFolder } from '@clef/host';
import {
  decryptTree,
  formatPlainTree,
  formatSopsFile,
  parsePlainTree,
  parseSopsFile,
  replaceTree,
  type Tree,
} from '@clef/sops';
import { escapeControl } from '@clef/strict';
import { findMemoryStorage } from '../checks/memory-storage.ts';
import type { World } from '../world.ts';
import { indentFor } from './decrypt-file.ts';
import { noFile } from './file-status.ts';
import { openSopsFile } from './open-file.ts';
import { badArgument, during, notCovered, SopsOperationError } from './outcome.ts';
import { deliver, isStandardInput, readSource, type SopsSourceRequest } from './source.ts';

export type EditFileRequest = SopsSourceRequest & {
  readonly ignoreMac?: boolean;
  readonly decryptionOrder?: string | undefined;
  readonly config?: string | undefined;
  /** Asks whether to go back to the editor after a text that does not parse. */
  readonly retry?: (problem: string) => Promise<boolean>;
};

/**
 * Edits a file; values that did not change keep their ciphertext.
 * @throws {SopsOperationError} `file_unchanged`, `no_editor`, `input` for a text that does not parse, `not_covered` where
 * there is no memory-backed storage or no such file.
 */
export async function editSopsFileInEditor(world: World, request: EditFileRequest): Promise<void> {
  if (request.file === undefined) throw noFile();
  if (isStandardInput(request.file))
    throw badArgument('generic', 'Standard input cannot be edited', 'name a file');
  const source = await readSource(world, request, { stage: 'read', missing: 'not_covered' });
  const { name, bytes, inputFormat } = source;
  if (source.outputFormat !== inputFormat) {
    throw notCovered(
      'a change of the format while editing',
      'it would rewrite every line',
      'rotate into the new format first',
    );
  }
  const file = await during('read', name, () => parseSopsFile(bytes, inputFormat));
  const dataKey = await openSopsFile(world, file, { name, order: request.decryptionOrder });
  const check = { ignoreMac: request.ignoreMac === true };
  const tree = await during('decrypt', name, () => decryptTree(file, dataKey, check));
  const layout = await indentFor(world, request.config, inputFormat);
  const text = await during('print', name, () => formatPlainTree(tree, inputFormat, layout));
  const parse = (edited: Uint8Array): Tree => parsePlainTree(edited, inputFormat);
  const edited = await inPrivateMemory(world, (folder) =>
    editText(world, request, { path: join(folder, basename(name)), text, parse, name }),
  );
  const sources = { now: world.now(), randomBytes: world.randomBytes, ...check };
  const replaced = await during('encrypt', name, () => replaceTree(file, dataKey, edited, sources));
  await deliver(world, source, formatSopsFile(replaced), { inPlace: true });
}

type Editing = {
  readonly path: string;
  readonly text: Uint8Array;
  readonly parse: (text: Uint8Array) => Tree;
  readonly name: string;
};

async function editText(
  world: World,
  { retry }: EditFileRequest,
  { path, text, parse, name }: Editing,
): Promise<Tree> {
  await writeFile(path, text, { mode: 0o600, flag: 'wx' });
  for (;;) {
    await openEditor(world, path);
    const edited = await readFile(path);
    if (Buffer.compare(edited, text) === 0) throw unchanged(name);
    try {
      return await during('plain', name, () => parse(edited));
    } catch (error) {
      const problem = error instanceof SopsOperationError ? error.message : undefined;
      if (problem === undefined || retry === undefined || !(await retry(problem))) throw error;
    }
  }
}

async function openEditor(world: World, path: string): Promise<void> {
  const { environment, cwd } = world;
  const commandLine = [environment['SOPS_EDITOR'], environment['EDITOR']].find((text) => (text ?? '') !== '');
  try {
    const { exitCode } = await runEditor(path, { commandLine, cwd, environment });
    if (exitCode === 0) return;
    throw noEditor(`The editor ended with ${exitCode}`, 'nothing was changed; run the command again');
  } catch (error) {
    throw editorFailure(error, commandLine !== undefined);
  }
}

function editorFailure(error: unknown, isGiven: boolean): unknown {
  if (!(error instanceof HostError)) return error;
  return isGiven
    ? noEditor('The editor cannot be started', 'check SOPS_EDITOR and EDITOR')
    : noEditor('There is no editor', 'set EDITOR to one, for example: EDITOR=nano');
}

function noEditor(message: string, hint: string): SopsOperationError {
  return new SopsOperationError('no_editor', { code: 'command_not_found', message, hint });
}

function unchanged(name: string): SopsOperationError {
  return new SopsOperationError('file_unchanged', {
    code: 'usage',
    message: `"${escapeControl(name)}" was not changed in the editor`,
    hint: 'save a change there, or leave the file as it is',
  });
}

/** A folder that only we can enter, in memory, gone afterwards. */
async function inPrivateMemory<T>(world: World, work: (folder: string) => Promise<T>): Promise<T> {
  const place = await findMemoryStorage(world);
  if (place !== undefined) return withPrivateFolder(place, 'clef-edit-', work);
  throw notCovered(
    'editing on this machine',
    'there is no memory-backed folder such as /dev/shm, and plaintext never goes to a disk',
    `change single values: clef sops set FILE '["key"]' --value-stdin`,
  );
}
