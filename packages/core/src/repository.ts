// A Clef repository: the folder with a clef.yaml, read once and strictly. The value that every operation takes first.
import { dirname, join, resolve } from 'node:path';
import { HostError, readRegularFile, statRegularFile } from '@clef/host';
import { ClefError } from './errors.ts';
import { fromGroundError } from './from-ground-error.ts';
import type { Manifest } from './manifest/manifest.ts';
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
  const root = await findRepository(resolve(world.cwd, directory ?? '.'));
  const manifestBytes = await readManifestBytes(root);
  return { root, manifest: parseManifest(manifestBytes, manifestName), manifestBytes, world };
}

/** Whether a folder itself holds a clef.yaml. */
export async function hasManifest(folder: string): Promise<boolean> {
  try {
    return (await statRegularFile(join(folder, manifestName))) !== undefined;
  } catch (error) {
    // Something of that name that is no regular file: there, and reading it will say what is wrong.
    if (error instanceof HostError) return true;
    throw error;
  }
}

async function findRepository(start: string): Promise<string> {
  for (let folder = start; ; folder = dirname(folder)) {
    if (await hasManifest(folder)) return folder;
    if (folder === dirname(folder)) break;
  }
  throw new ClefError({
    code: 'no_repository',
    message: `No ${manifestName} in "${start}" or any folder above it`,
    hint: 'run "clef init" in the top folder of your project',
  });
}

async function readManifestBytes(root: string): Promise<Uint8Array> {
  try {
    return await readRegularFile(join(root, manifestName), { maxBytes: maxManifestBytes, root });
  } catch (error) {
    throw fromGroundError(error, { action: `read "${manifestName}"`, file: manifestName });
  }
}
