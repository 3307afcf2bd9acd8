// What outlives the process: the floor below which nothing is accepted, and the last good artifact, still sealed. Both
// are judged again when they are read; nothing here was ever opened.
import { unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePrivateDirectory, HostError, readRegularFile, replaceFile, statRegularFile } from '@clef/host';
import { type JsonObject, type JsonValue, parseJson } from '@clef/strict';
import { maxArtifactBytes } from './sources/source.ts';

/** The newest artifact ever accepted: nothing older, and nothing else under the same revision, is accepted again. */
export type Floor = { readonly epoch: number; readonly revision: number; readonly payloadDigest: string };

export type SealedCopy = { readonly bytes: Uint8Array; readonly confirmedAtMilliseconds: number };

/** The state directory, or nothing at all. Every function throws `HostError` when the disk fails. */
export type SealedCache = {
  readonly isDurable: boolean;
  /** Undefined when there is none yet. Throws `HostError` `io` when it is there but not legible. */
  readFloor(): Promise<Floor | undefined>;
  /** Durable when it returns. */
  writeFloor(floor: Floor): Promise<void>;
  readArtifact(): Promise<SealedCopy | undefined>;
  writeArtifact(bytes: Uint8Array): Promise<void>;
  /** Remembers that the source still gives the copy. */
  confirmArtifact(atMilliseconds: number): Promise<void>;
  removeArtifact(): Promise<void>;
};

/** A cache that keeps nothing. */
export const volatileCache: SealedCache = {
  isDurable: false,
  readFloor: () => Promise.resolve(undefined),
  writeFloor: () => Promise.resolve(),
  readArtifact: () => Promise.resolve(undefined),
  writeArtifact: () => Promise.resolve(),
  confirmArtifact: () => Promise.resolve(),
  removeArtifact: () => Promise.resolve(),
};

/** Opens the directory, making it 0700 if it is not there. Throws `HostError` when it is not ours alone or cannot be used. */
export async function openSealedCache(directory: string): Promise<SealedCache> {
  await ensurePrivateDirectory(directory);
  const floorPath = join(directory, floorName);
  const artifactPath = join(directory, 'artifact.json');
  return {
    isDurable: true,
    readFloor: () => readFloor(floorPath),
    writeFloor: (floor) => writeFloor(floorPath, floor),
    readArtifact: () => readArtifact(artifactPath),
    writeArtifact: (bytes) => replaceFile(artifactPath, bytes, { mode: 0o600 }),
    confirmArtifact: (at) => utimes(artifactPath, at / 1_000, at / 1_000),
    removeArtifact: () => removeIfThere(artifactPath),
  };
}

/** The floor in a state directory that may not be there. Throws as {@link SealedCache.readFloor}. */
export function readFloorIn(directory: string): Promise<Floor | undefined> {
  return readFloor(join(directory, floorName));
}

const floorName = 'floor.json';

/** Never lowers it: another process may have written a newer one meanwhile. */
async function writeFloor(path: string, floor: Floor): Promise<void> {
  const { epoch, revision, payloadDigest } = floor;
  const there = await readFloor(path).catch(() => undefined); // an illegible one is replaced
  if (there !== undefined && isNewer(there, floor)) return;
  const text = `${JSON.stringify({ version: 1, epoch, revision, payloadDigest })}\n`;
  await replaceFile(path, new TextEncoder().encode(text), { mode: 0o600 });
}

function isNewer(a: Floor, b: Floor): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.revision > b.revision);
}

async function readFloor(path: string): Promise<Floor | undefined> {
  const bytes = await readIfThere(path, 1_024);
  if (bytes === undefined) return undefined;
  const floor = parseFloor(parseJson(bytes, { maxBytes: 1_024, maxDepth: 2 }));
  if (floor !== undefined) return floor;
  throw new HostError('io', 'Cannot read the floor: it is not what was written', { path });
}

function parseFloor(value: JsonValue): Floor | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { version, epoch, revision, payloadDigest, ...others } = value as JsonObject;
  const isCount = (number: JsonValue | undefined): number is number =>
    Number.isSafeInteger(number) && Number(number) >= 0;
  if (version !== 1 || !isCount(epoch) || !isCount(revision) || Object.keys(others).length > 0)
    return undefined;
  if (typeof payloadDigest !== 'string' || !/^[0-9a-f]{64}$/.test(payloadDigest)) return undefined;
  return { epoch, revision, payloadDigest };
}

async function readArtifact(path: string): Promise<SealedCopy | undefined> {
  const facts = await statRegularFile(path);
  if (facts === undefined) return undefined;
  const bytes = await readIfThere(path, maxArtifactBytes);
  return bytes === undefined ? undefined : { bytes, confirmedAtMilliseconds: facts.modifiedAtMilliseconds };
}

async function readIfThere(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    return await readRegularFile(path, { maxBytes });
  } catch (cause) {
    if (cause instanceof HostError && cause.code === 'not_found') return undefined;
    throw cause;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
  }
}
