import { chmod, lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSealedCache, type SealedCache } from '../src/sealed-cache.ts';

const floor = { epoch: 1, revision: 1_769_000_000_000, payloadDigest: 'ab'.repeat(32) };
let folder: string;
let directory: string;
let cache: SealedCache;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clef-state-'));
  directory = join(folder, 'a', 'b');
  cache = await openSealedCache(directory);
});
afterEach(() => rm(folder, { recursive: true }));

test('a fresh directory is 0700, holds nothing, and gives nothing', async () => {
  expect((await lstat(directory)).mode & 0o777).toBe(0o700);
  expect(await readdir(directory)).toEqual([]);
  expect(await cache.readFloor()).toBeUndefined();
  expect(await cache.readArtifact()).toBeUndefined();
  await cache.removeArtifact();
});

test('INV-47, INV-56: what is written comes back, in files of 0600 with no temporary left, also under umask 0', async () => {
  const before = process.umask(0);
  try {
    await cache.writeFloor(floor);
    await cache.writeArtifact(new Uint8Array([1, 2, 3]));
  } finally {
    process.umask(before);
  }
  expect(await (await openSealedCache(directory)).readFloor()).toEqual(floor);
  expect((await cache.readArtifact())?.bytes).toEqual(new Uint8Array([1, 2, 3]));
  expect((await readdir(directory)).sort()).toEqual(['artifact.json', 'floor.json']);
  for (const name of await readdir(directory)) {
    expect((await lstat(join(directory, name))).mode & 0o777).toBe(0o600);
  }
  await cache.removeArtifact();
  expect(await readdir(directory)).toEqual(['floor.json']);
});

test('INV-47: the floor is never lowered, whoever wrote it', async () => {
  await cache.writeFloor(floor);
  await cache.writeFloor({ ...floor, revision: floor.revision - 1 });
  await cache.writeFloor({ ...floor, epoch: 0, revision: floor.revision + 1 });
  expect(await cache.readFloor()).toEqual(floor);
  const next = { ...floor, epoch: 2, revision: 1 };
  await cache.writeFloor(next);
  expect(await cache.readFloor()).toEqual(next);
  await writeFile(join(directory, 'floor.json'), 'torn');
  await cache.writeFloor(floor);
  expect(await cache.readFloor()).toEqual(floor);
});

test('a confirmation is remembered as the time of the copy', async () => {
  await cache.writeArtifact(new Uint8Array([1]));
  await cache.confirmArtifact(1_769_000_000_000);
  expect((await cache.readArtifact())?.confirmedAtMilliseconds).toBe(1_769_000_000_000);
});

describe('F59: a floor that is not what was written is an error, never a floor', () => {
  test.each([
    '',
    '{}',
    'null',
    '[]',
    '{"version":2,"epoch":1,"revision":1,"payloadDigest":"DIGEST"}',
    '{"version":1,"epoch":-1,"revision":1,"payloadDigest":"DIGEST"}',
    '{"version":1,"epoch":1,"revision":1.5,"payloadDigest":"DIGEST"}',
    '{"version":1,"epoch":1,"revision":1e300,"payloadDigest":"DIGEST"}',
    '{"version":1,"epoch":1,"revision":"1","payloadDigest":"DIGEST"}',
    '{"version":1,"epoch":1,"revision":1,"payloadDigest":"AB"}',
    '{"version":1,"epoch":1,"revision":1,"payloadDigest":"DIGEST","more":1}',
    '{"version":1,"epoch":1,"epoch":2,"revision":1,"payloadDigest":"DIGEST"}',
    '{"version":1,"epoch":1,"revision":1,"payloadDigest":"DIGEST"}x',
    '{"version":1,"epoch":1,"revision":1,"payloadD',
  ])('%s', async (text) => {
    await writeFile(join(directory, 'floor.json'), text.replace('DIGEST', floor.payloadDigest));
    await expect(cache.readFloor()).rejects.toThrow();
  });
});

describe('H11: a directory that is not ours alone is refused', () => {
  test.each([0o777, 0o770, 0o720])('mode %i', async (mode) => {
    await chmod(directory, mode);
    await expect(openSealedCache(directory)).rejects.toMatchObject({ code: 'permission' });
  });

  test('a symbolic link', async () => {
    await symlink(directory, join(folder, 'link'));
    await expect(openSealedCache(join(folder, 'link'))).rejects.toMatchObject({ code: 'symlink' });
  });

  test('a file', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(openSealedCache(join(folder, 'file'))).rejects.toThrow();
  });

  test('INV-14: a floor or copy that is a symbolic link is neither read nor written through', async () => {
    const outside = join(folder, 'outside');
    await writeFile(outside, 'sentinel');
    await symlink(outside, join(directory, 'floor.json'));
    await mkdir(join(directory, 'artifact.json'));
    await expect(cache.readFloor()).rejects.toMatchObject({ code: 'symlink' });
    await expect(cache.writeFloor(floor)).rejects.toMatchObject({ code: 'symlink' });
    await expect(cache.readArtifact()).rejects.toMatchObject({ code: 'not_regular' });
  });
});
