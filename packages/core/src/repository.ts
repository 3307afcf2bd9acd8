// A Clef repository: the folder with a clef.yaml, read once and strictly. The value that every operation takes first.
import { lstatSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HostError, readRegularFile, statRegularFile } from '@clef/host';
import { ClefError } from './errors.ts';
import { fromGroundError } from './from-ground-error.ts';
import type { Manifest } from './manifest/manifest.ts';
import { quoteName } from './manifest/names.ts';
import { parseManifest } from './manifest/parse.ts';
import type { World } from './world.ts';

export const manifestName = 'clef.yaml';
const maxManifestBytes = 1024 * 1024;

/** An opened repository. Nothing in it changes; after a write it is opened again. */
export type Repository = {
  /** Absolute path of the folder that holds clef.yaml. */
  readonly root: string;
  readonly manifest: Manifest;
  /** The bytes that `manifest` was read from: what a change of the manifest compares with. */
  readonly manifestBytes: Uint8Array;
  readonly world: World;
};

/**
 * Opens the repository around a folder: the nearest one upwards with a clef.yaml.
 * @param directory - Where to start; relative to the world's folder, which is the default.
 * @throws {ClefError} `no_repository`, `bad_path`, `io`, and every fault that parsing finds.
 */
export async function openRepository(world: World, directory?: string): Promise<Repository> {
  const root = await findRepository(await startFolder(world, directory));
  const manifestBytes = await readManifestBytes(root);
  return { root, manifest: parseManifest(manifestBytes, manifestName), manifestBytes, world };
}

/**
 * The absolute path of the folder that a person names, or stands in.
 * @throws {ClefError} `bad_path` where it is none: a parent of a misspelled folder is not what was meant (A17).
 */
export async function startFolder(world: World, directory: string | undefined): Promise<string> {
  if (directory === undefined) return world.cwd;
  const folder = resolve(world.cwd, directory);
  if (directory !== '' && (await isFolder(folder))) return folder;
  throw new ClefError({
    code: 'bad_path',
    message: `There is no folder ${quoteName(directory)}`,
    hint: 'give an existing folder to --dir',
  });
}

/** False also for what cannot be looked at: it could not be opened either. */
async function isFolder(path: string): Promise<boolean> {
  const facts = await stat(path).catch(() => undefined);
  return facts?.isDirectory() === true;
}

/** The text of a manifest, byte order mark included: what edits start from. */
export function manifestText({ manifestBytes }: Pick<Repository, 'manifestBytes'>): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(manifestBytes);
}

/** Whether a folder itself holds a clef.yaml. */
export async function hasManifest(folder: string): Promise<boolean> {
  try {
    return (await statRegularFile(join(folder, manifestName), { atOnce: true })) !== undefined;
  } catch (error) {
    // Something of that name that is no regular file: there, and reading it will say what is wrong.
    if (error instanceof HostError) return true;
    throw error;
  }
}

/**
 * The nearest folder from `start` upwards that holds a clef.yaml.
 * @throws {ClefError} `no_repository`; `bad_path` for one that somebody else has put into a folder of everybody.
 */
export async function findRepository(start: string): Promise<string> {
  for (let folder = start; ; folder = dirname(folder)) {
    if (await hasManifest(folder)) {
      refusePlanted(join(folder, manifestName));
      return folder;
    }
    if (folder === dirname(folder)) break;
  }
  throw new ClefError({
    code: 'no_repository',
    message: `No ${manifestName} in "${start}" or any folder above it`,
    hint: 'run "clef init" in the top folder of your project',
  });
}

/**
 * Whoever looks upwards for a file comes through folders such as /tmp, where anybody can put one that names his own keys.
 * @throws {ClefError} `bad_path`.
 */
export function refusePlanted(path: string): void {
  const uid = process.getuid?.();
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (uid === undefined || file === undefined || !isPlanted(file, statSync(dirname(path)), uid)) return;
  throw new ClefError({
    code: 'bad_path',
    message: `Cannot use "${path}": another user has put it there, where everybody may write`,
    hint: 'work in a folder of your own that is not below, or ask whose file it is',
    location: { file: path },
  });
}

/** Where only some may write, as in a checkout that people share, one of them may well have made the file. */
export function isPlanted(
  file: { readonly uid: number },
  folder: { readonly uid: number; readonly mode: number },
  ownUid: number,
): boolean {
  return (folder.mode & 0o002) !== 0 && ![ownUid, 0, folder.uid].includes(file.uid);
}

/**
 * The bytes of a file by its path below the root; `undefined` where there is none.
 * @throws {ClefError} `bad_path`, `limit`, `io`.
 */
export async function readFileIn(
  root: string,
  path: string,
  maxBytes: number = maxManifestBytes,
): Promise<Uint8Array | undefined> {
  try {
    return await readRegularFile(join(root, path), { maxBytes, root, atOnce: true });
  } catch (error) {
    if (error instanceof HostError && error.code === 'not_found') return undefined;
    throw fromGroundError(error, { action: `read "${path}"`, file: path });
  }
}

async function readManifestBytes(root: string): Promise<Uint8Array> {
  try {
    return await readRegularFile(join(root, manifestName), {
      maxBytes: maxManifestBytes,
      root,
      atOnce: true,
    });
  } catch (error) {
    throw fromGroundError(error, { action: `read "${manifestName}"`, file: manifestName });
  }
}
