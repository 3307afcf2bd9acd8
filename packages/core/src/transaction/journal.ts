// The write-ahead journal of a transaction. `.clef/journal.plan` says what is being prepared and is worth nothing but the
// removal of its temporary files; `.clef/journal` is the commit record: whole and durable once it has that name, and
// from then on the change is finished, whatever happens. Both hold names and digests, never content.

import { lstatSync } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError, inFolder, readRegularFile, temporaryFilePrefix } from '@clef/host';
import { escapeControl, type JsonValue, parseJson, StrictError } from '@clef/strict';
import { ClefError } from '../errors.ts';
import type { World } from '../world.ts';
import { digestOf } from './file-digest.ts';
import { fileError } from './file-error.ts';
import { isPlainName, isPlainPath } from './paths.ts';
import { isTracked } from './tracked-journal.ts';

/** One file: what it must hold before, what it will hold after, and where that is staged. Digests are SHA-256 in hex. */
export type JournalFile = {
  readonly path: string;
  /** Undefined = there is no such file. */
  readonly before: string | undefined;
  /** Undefined = the file is removed. */
  readonly after: string | undefined;
  /** The name of the staged content, in the folder of the file; with its final mode. Undefined for a removal. */
  readonly temporary: string | undefined;
};

export type Journal = {
  /** The repository that it belongs to; anywhere else it is not carried out. */
  readonly root: string;
  /** For people. */
  readonly purpose: string;
  /** In the order in which they are put in place. */
  readonly files: readonly JournalFile[];
  /** Folders made for the change, outermost first: removed where the change leaves them empty. */
  readonly folders: readonly string[];
  /** Temporary files, as paths, that nobody needs once the journal is committed. */
  readonly discard: readonly string[];
};

export type JournalName = 'journal' | 'journal.plan';

export const journalFolder = '.clef';
const version = 1;
/** Ten thousand cells with their sidecars are 7 MB. */
const maxBytes = 64 * 1024 * 1024;
const digestPattern = /^[0-9a-f]{64}$/;

/** One line of JSON, and its SHA-256 on a second one. */
export function formatJournal(journal: Journal): Uint8Array {
  const { root, purpose, folders, discard } = journal;
  const files = journal.files.map(({ path, before, after, temporary }) => ({
    path,
    before: before ?? null,
    after: after ?? null,
    temporary: temporary ?? null,
  }));
  const line = JSON.stringify({ version, root, purpose, files, folders, discard });
  return Buffer.from(`${line}\n${digestOf(Buffer.from(line))}\n`);
}

/** The journal in these bytes, or in words what is wrong with them. */
export function parseJournal(bytes: Uint8Array): Journal | string {
  const text = Buffer.from(bytes).toString('utf8');
  const [line = '', digest] = text.split('\n');
  if (digestOf(Buffer.from(line)) !== digest) return 'it is damaged';
  try {
    const value = parseJson(Buffer.from(line), { maxBytes, maxDepth: 4 });
    return readFields(value) ?? 'it is malformed';
  } catch (error) {
    if (error instanceof StrictError) return 'it is malformed';
    throw error;
  }
}

function readFields(value: JsonValue): Journal | string | undefined {
  const fields = asObject(value);
  if (fields === undefined) return undefined;
  if (fields['version'] !== version) return 'another version of Clef wrote it';
  const { root, purpose, files, folders, discard } = fields;
  if (typeof root !== 'string' || typeof purpose !== 'string' || !Array.isArray(files)) return undefined;
  if (!isPathList(folders) || !isPathList(discard) || !discard.every(isTemporaryPath)) return undefined;
  const read = files.map(readFile).filter((file) => file !== undefined);
  return read.length === files.length ? { root, purpose, files: read, folders, discard } : undefined;
}

function readFile(value: JsonValue): JournalFile | undefined {
  const { path, before, after, temporary } = asObject(value) ?? {};
  if (typeof path !== 'string' || !isPlainPath(path) || !isDigest(before) || !isDigest(after))
    return undefined;
  if ((after === null) !== (temporary === null)) return undefined;
  if (temporary !== null && !(typeof temporary === 'string' && isTemporaryName(temporary))) return undefined;
  return {
    path,
    before: before ?? undefined,
    after: after ?? undefined,
    temporary: temporary ?? undefined,
  };
}

function asObject(value: JsonValue): { readonly [field: string]: JsonValue } | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [field: string]: JsonValue })
    : undefined;
}

function isDigest(value: JsonValue | undefined): value is string | null {
  return value === null || (typeof value === 'string' && digestPattern.test(value));
}

function isPathList(value: JsonValue | undefined): value is string[] {
  return Array.isArray(value) && value.every((path) => typeof path === 'string' && isPlainPath(path));
}

function isTemporaryPath(path: string): boolean {
  return isTemporaryName(path.split('/').at(-1) ?? '');
}

function isTemporaryName(name: string): boolean {
  return isPlainName(name) && name.startsWith(temporaryFilePrefix);
}

/** What a journal calls the repository at `root`: its path without links. */
export async function rootName(root: string): Promise<string> {
  return await realpath(root).catch((error: unknown) => {
    throw fileError('look at', '.', error);
  });
}

/** Whether something of that name is there. */
export async function hasJournal(root: string, name: JournalName): Promise<boolean> {
  try {
    // At once: every command asks, and there hardly ever is one.
    return lstatSync(join(root, journalFolder, name), { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/**
 * Reads a journal that is there; `damaged` for a plan that a crash of the machine tore: nothing has followed it.
 * @throws {ClefError} `journal_unusable` where it cannot be read or is not ours to carry out.
 */
export async function readJournal(
  root: string,
  name: JournalName,
  environment?: World['environment'],
): Promise<Journal | 'damaged'> {
  await refuseTracked(root, name, environment);
  const journal = parseJournal(await readOwn(root, name));
  if (typeof journal !== 'string') {
    if (journal.root === (await rootName(root))) return journal;
    throw journalUnusable(name, `it belongs to another folder, "${escapeControl(journal.root)}"`);
  }
  if (name === 'journal.plan' && journal === 'it is damaged') return 'damaged';
  throw journalUnusable(name, journal);
}

/** Who may commit to the repository may not have us rename files on this machine. */
async function refuseTracked(
  root: string,
  name: JournalName,
  environment: World['environment'] | undefined,
): Promise<void> {
  const answer = await isTracked(root, name, environment);
  if (answer === true) throw journalUnusable(name, 'git tracks it: it came with the repository');
  if (answer === 'unknown')
    throw journalUnusable(name, 'git does not tell whether it came with the repository');
}

async function readOwn(root: string, name: JournalName): Promise<Uint8Array> {
  const path = join(root, journalFolder, name);
  try {
    const { uid } = await lstat(path);
    // Nobody else may have us rename files: not even in a folder that many may write to.
    if (process.getuid !== undefined && uid !== process.getuid())
      throw journalUnusable(name, 'another user wrote it');
    return await readRegularFile(path, { maxBytes, root });
  } catch (error) {
    if (error instanceof ClefError) throw error;
    const why =
      error instanceof HostError ? error.code.replaceAll('_', ' ') : 'the machine refuses to read it';
    throw journalUnusable(name, `it cannot be read: ${why}`, error);
  }
}

export function journalUnusable(name: JournalName, why: string, cause?: unknown): ClefError {
  const file = `${journalFolder}/${name}`;
  return new ClefError({
    code: 'journal_unusable',
    message: `A change of this repository was interrupted, and its journal "${file}" cannot be carried out: ${why}`,
    hint:
      `look at "git status" and "git diff", restore what is half done, then delete "${file}" and every file ` +
      `"${temporaryFilePrefix}*"; until then Clef only reads`,
    location: { file },
    cause,
  });
}

/** Writes the plan of a change. Not synced: until it is committed nothing depends on it. */
export async function writePlan(root: string, journal: Journal): Promise<void> {
  await asClefError('journal.plan', async () => {
    const path = join(root, journalFolder, 'journal.plan');
    const handle = await open(path, 'wx', 0o600);
    try {
      await handle.writeFile(formatJournal(journal));
    } finally {
      await handle.close();
    }
  });
}

/** Makes the plan the commit record, in the place of an older one: the change will be finished from here on. */
export async function commitPlan(root: string): Promise<void> {
  await asClefError('journal', async () => {
    const handle = await open(join(root, journalFolder, 'journal.plan'), 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await inFolder(join(root, journalFolder), root, async (folder) => {
      await folder.rename('journal.plan', 'journal');
      await folder.sync();
    });
  });
}

/**
 * The change is over. With `isDurable` for good: a record of a removal that came back after a crash of the machine would
 * remove what somebody has put there since. Any other one finds its files in place and nothing to do.
 */
export async function removeJournal(root: string, name: JournalName, isDurable: boolean): Promise<void> {
  await asClefError(name, () =>
    inFolder(join(root, journalFolder), root, async (folder) => {
      const wasThere = await folder.remove(name);
      if (wasThere && isDurable) await folder.sync();
    }),
  );
}

/** Removes the commit record of a change that is in place. */
export async function removeRecord(root: string, { files }: Journal): Promise<void> {
  const hasRemovals = files.some(({ after }) => after === undefined);
  await removeJournal(root, 'journal', hasRemovals);
}

async function asClefError<T>(name: JournalName, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError('write', `${journalFolder}/${name}`, error);
  }
}
