// The write path in its ordinary life: compare-and-swap, links and special files, modes, folders.

import { execFileSync } from 'node:child_process';
import { chmod, link, lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClefError } from '../../src/errors.ts';
import { commitFiles, type FileChange, withRepositoryLock } from '../../src/transaction/commit-files.ts';
import { options, readTree, writeTree } from './disk-scenarios.ts';

let root: string;
const bytes = (text: string) => new TextEncoder().encode(text);
const change = (path: string, before: string | undefined, after: string | undefined): FileChange => ({
  path,
  before: before === undefined ? undefined : bytes(before),
  after: after === undefined ? undefined : bytes(after),
});

async function refused(changes: readonly FileChange[]): Promise<ClefError> {
  return await commitFiles(root, changes, options).then(
    () => expect.fail('was accepted'),
    (error: unknown) => error as ClefError,
  );
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'clef-commit-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('what is written', () => {
  it('creates, replaces and removes files in one go, and leaves nothing else', async () => {
    await writeTree(root, { 'a/x': '1', 'a/y': '2' });
    await commitFiles(
      root,
      [change('a/x', '1', '11'), change('a/y', '2', undefined), change('b/c/z', undefined, '3')],
      options,
    );
    expect(await readTree(root)).toEqual({ tree: { 'a/x': '11', 'b/c/z': '3' }, leftovers: [] });
    expect(await readdir(join(root, '.clef'))).toEqual(['.gitignore']);
  });

  it('INV-105: an existing file keeps its mode, a new one is 0644 whatever the umask, or what is asked for', async () => {
    await writeTree(root, { kept: '1' });
    await chmod(join(root, 'kept'), 0o640);
    const umask = process.umask(0o077);
    try {
      await commitFiles(
        root,
        [
          change('kept', '1', '2'),
          change('new', undefined, '3'),
          { ...change('own', undefined, '4'), mode: 0o600 },
        ],
        options,
      );
    } finally {
      process.umask(umask);
    }
    const modes = await Promise.all(
      ['kept', 'new', 'own'].map(async (name) => ((await lstat(join(root, name))).mode & 0o777).toString(8)),
    );
    expect(modes).toEqual(['640', '644', '600']);
  });

  it('INV-105: git sees neither the lock nor what a killed run left in .clef', async () => {
    execFileSync('git', ['init', '-q', root]);
    await withRepositoryLock(root, options, async () => {
      await writeFile(join(root, '.clef/.clef-tmp-0123'), 'ENC');
      const status = execFileSync('git', ['-C', root, 'status', '--porcelain', '-uall'], {
        encoding: 'utf8',
      });
      expect(status).toBe('?? .clef/.gitignore\n');
    });
  });

  it('INV-105: temporaries of a dead process beside the file are removed by the next run', async () => {
    await writeTree(root, { 's/x': '1', 's/.clef-tmp-dead': 'ENC' });
    await commitFiles(root, [change('s/x', '1', '2')], options);
    expect(await readdir(join(root, 's'))).toEqual(['x']);
  });
});

describe('compare and swap', () => {
  const rows: readonly [string, string | undefined, FileChange][] = [
    ['F-10, INV-101: a file that somebody edited', 'theirs', change('x', 'ours', 'new')],
    ['F-10: a file that somebody edited, of the same length', 'OURS', change('x', 'ours', 'new')],
    ['F-10: a file that grew', 'ours and more', change('x', 'ours', 'new')],
    ['F-10: an empty file that somebody filled', 'theirs', change('x', '', 'new')],
    ['F-09: a file that somebody removed', undefined, change('x', 'ours', 'new')],
    ['F-10: a file that has appeared', 'theirs', change('x', undefined, 'new')],
    ['F-10: an empty file that has appeared', '', change('x', undefined, 'new')],
    ['F-10: a file to be removed that somebody edited', 'theirs', change('x', 'ours', undefined)],
    ['F-09: a file to be removed that is gone', undefined, change('x', 'ours', undefined)],
  ];
  for (const [title, there, wanted] of rows) {
    it(`${title} is a conflict, and nothing is written`, async () => {
      const tree = { ...(there === undefined ? {} : { x: there }), other: '1' };
      await writeTree(root, tree);
      const error = await refused([change('other', '1', '2'), wanted]);
      expect([error.code, error.errorClass, error.location?.file]).toEqual([
        'changed_meanwhile',
        'conflict',
        'x',
      ]);
      expect(await readTree(root)).toEqual({ tree, leftovers: [] });
    });
  }

  it('INV-106: of many writers that read the same bytes exactly one wins', async () => {
    await writeTree(root, { x: '0' });
    const writers = Array.from({ length: 8 }, (_, index) =>
      commitFiles(root, [change('x', '0', `${index + 1}`)], options),
    );
    const results = await Promise.allSettled(writers);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect((result.reason as ClefError).code).toBe('changed_meanwhile');
  });
});

describe('what is refused', () => {
  const outside = (): string => join(root, '../', `${root.split('/').at(-1)}-outside`);
  afterEach(async () => {
    await rm(outside(), { recursive: true, force: true });
  });

  const rows: readonly [string, () => Promise<unknown>, () => FileChange][] = [
    [
      'INV-14: a link in the place of the file',
      () => symlink(outside(), join(root, 'x')),
      () => change('x', 'sentinel', 'new'),
    ],
    [
      'INV-14: a dangling link where a new file goes',
      () => symlink(join(root, 'nowhere'), join(root, 'x')),
      () => change('x', undefined, 'new'),
    ],
    [
      'INV-14: a link in the place of a folder',
      () => symlink(outside(), join(root, 'd')),
      () => change('d/x', undefined, 'new'),
    ],
    [
      'INV-14: a link in the place of a folder above',
      () => symlink(outside(), join(root, 'd')),
      () => change('d/e/x', undefined, 'new'),
    ],
    [
      'INV-14: a second hard link',
      () => writeFile(join(root, 'y'), 'a').then(() => link(join(root, 'y'), join(root, 'x'))),
      () => change('x', 'a', 'new'),
    ],
    [
      'INV-14: a named pipe',
      async () => execFileSync('mkfifo', [join(root, 'x')]),
      () => change('x', '', 'new'),
    ],
    ['INV-14: a folder of that name', () => mkdir(join(root, 'x')), () => change('x', '', 'new')],
    [
      'INV-14: a file where a folder must be',
      () => writeFile(join(root, 'd'), ''),
      () => change('d/x', undefined, 'new'),
    ],
    ['INV-26: a path that climbs', async () => undefined, () => change('../x', undefined, 'new')],
    ['INV-26: an absolute path', async () => undefined, () => change('/tmp/x', undefined, 'new')],
    ['INV-26: a path into .git', async () => undefined, () => change('.GIT/config', undefined, 'new')],
  ];
  for (const [title, prepare, wanted] of rows) {
    it(title, async () => {
      await mkdir(outside());
      await writeFile(join(outside(), 'sentinel'), 'sentinel');
      await prepare();
      const error = await refused([change('first', undefined, '1'), wanted()]);
      expect(['path', 'conflict']).toContain(error.errorClass);
      expect(await readdir(outside())).toEqual(['sentinel']);
      expect(
        (await readdir(root)).filter((name) => name === 'first' || name.startsWith('.clef-tmp-')),
      ).toEqual([]);
    });
  }

  it('INV-14: .clef itself may not be a link', async () => {
    await mkdir(outside());
    await symlink(outside(), join(root, '.clef'));
    expect((await refused([change('x', undefined, '1')])).code).toBe('bad_path');
    expect(await readdir(outside())).toEqual([]);
  });

  it('F-08: folders that were made for a change that then failed are gone', async () => {
    await mkdir(outside());
    await symlink(outside(), join(root, 'd'));
    const error = await refused([change('new/folder/y', undefined, '1'), change('d/x', undefined, '2')]);
    expect(error.code).toBe('bad_path');
    expect((await readdir(root)).sort()).toEqual(['.clef', 'd']);
    expect(await readdir(outside())).toEqual([]);
  });
});
