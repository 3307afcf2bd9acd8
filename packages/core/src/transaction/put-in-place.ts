// The half of a transaction that cannot be refused any more: one rename after the other, each after a last look, then the
// folders synced. The same code finishes a change in its own process and after a crash.

import { dirname, join } from 'node:path';
import { HostError, inFolder, type OpenFolder } from '@clef/host';
import { ClefError } from '../errors.ts';
import { digestAt, isAbsent } from './file-digest.ts';
import { fileError } from './file-error.ts';
import type { Journal, JournalFile } from './journal.ts';

/** `done`: as planned, now or before. `changed`: somebody else has changed the file, and it was left alone. */
export type Outcome = 'done' | 'changed';

/**
 * Puts one file in place, if it is still what the change was made from.
 * @throws {ClefError} `bad_path`, `io`; `changed_meanwhile` where the staged content is not what was staged.
 */
export async function putInPlace(root: string, file: JournalFile): Promise<Outcome> {
  const { path, before, after, temporary } = file;
  const current = await digestAt(root, path);
  if (temporary !== undefined && (await isAbsent(root, beside(path, temporary))))
    return current === after ? 'done' : 'changed';
  if (current === after) {
    if (temporary !== undefined) await removeBeside(root, path, temporary);
    return 'done';
  }
  if (current !== before) return 'changed';
  if (temporary === undefined) await removeFile(root, path);
  else await renameStaged(root, file, temporary);
  return 'done';
}

async function renameStaged(root: string, { path, after }: JournalFile, temporary: string): Promise<void> {
  if ((await digestAt(root, beside(path, temporary))) !== after) {
    const damaged = new HostError('changed', 'The staged content was changed', { path: temporary });
    throw fileError('write', path, damaged);
  }
  await inFolderOf(root, path, (folder, name) => folder.rename(temporary, name));
}

async function removeFile(root: string, path: string): Promise<void> {
  await inFolderOf(root, path, (folder, name) => folder.remove(name));
}

/** Removes whatever is still staged. */
export async function removeStaged(root: string, { files }: Journal): Promise<void> {
  for (const { path, temporary } of files) {
    if (temporary !== undefined) await removeBeside(root, path, temporary);
  }
}

/** Removes a temporary file beside `path`; none is fine. */
async function removeBeside(root: string, path: string, temporary: string): Promise<void> {
  if (await isAbsent(root, dirname(path))) return;
  try {
    await inFolderOf(root, path, (folder) => folder.remove(temporary));
  } catch (error) {
    // Behind a link that somebody put there is nothing of ours.
    if (!(error instanceof ClefError) || error.code !== 'bad_path') throw error;
  }
}

/** The temporary file beside `path`, as a path. */
export function beside(path: string, temporary: string): string {
  const folder = dirname(path);
  return folder === '.' ? temporary : `${folder}/${temporary}`;
}

/** Does something in the folder of `path`, with errors that are about `path`. */
export async function inFolderOf(
  root: string,
  path: string,
  work: (folder: OpenFolder, name: string) => Promise<unknown>,
): Promise<void> {
  try {
    await inFolder(dirname(join(root, path)), root, (folder) =>
      work(folder, path.split('/').at(-1) as string),
    );
  } catch (error) {
    throw fileError('write', path, error);
  }
}

/** Syncs every folder in which the change has names, each once; one that is gone is no concern. */
export async function syncFolders(root: string, { files }: Journal): Promise<void> {
  const firstIn = new Map(files.map(({ path }) => [dirname(path), path]));
  for (const [folder, path] of firstIn) {
    if (await isAbsent(root, folder)) continue;
    await inFolderOf(root, path, (open) => open.sync());
  }
}

/** What is left when a change is over: temporaries that nobody needs, and folders that it made and left empty. */
export async function tidy(root: string, { discard, folders }: Journal): Promise<void> {
  for (const path of discard) await removeBeside(root, path, path.split('/').at(-1) as string);
  for (const folder of [...folders].reverse()) {
    if (await isAbsent(root, dirname(folder))) continue;
    await inFolderOf(root, folder, (parent, name) => parent.removeEmptyFolder(name));
  }
}
