// The file source against real files: what is read through a link, what is none, and how much is read.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFileSource } from '../src/sources/file.ts';
import { maxArtifactBytes, type SourceCode, SourceError } from '../src/sources/source.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clef-file-source-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** How many bytes come from a file of this content, or the code of the refusal. */
async function readFrom(path: string): Promise<number | SourceCode> {
  try {
    const fetched = await createFileSource(path).fetch(undefined, new AbortController().signal);
    return fetched.kind === 'artifact' ? fetched.bytes.length : -1;
  } catch (error) {
    expect(error).toBeInstanceOf(SourceError);
    expect((error as SourceError).message).not.toContain(folder);
    return (error as SourceError).code;
  }
}

test('INV-57: exactly 1 MiB passes, a byte more does not', async () => {
  const path = join(folder, 'large');
  await writeFile(path, Buffer.alloc(maxArtifactBytes, 0x20));
  expect(await readFrom(path)).toBe(maxArtifactBytes);
  await writeFile(path, Buffer.alloc(maxArtifactBytes + 1, 0x20));
  expect(await readFrom(path)).toBe('too_large');
});

test('a link to a file is followed, as Kubernetes mounts one; what is no file is none', async () => {
  await writeFile(join(folder, 'there'), '{}');
  await symlink('there', join(folder, 'link'));
  await symlink('gone', join(folder, 'dangling'));
  await mkdir(join(folder, 'directory'));
  const found = await Promise.all(
    ['there', 'link', 'dangling', 'absent', 'directory'].map((name) => readFrom(join(folder, name))),
  );
  expect(found).toEqual([2, 2, 'not_found', 'not_found', 'bad_response']);
});
