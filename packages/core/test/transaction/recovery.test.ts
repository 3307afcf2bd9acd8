// What an interrupted change left, met by the next command: finished or taken back, or refused with the steps for a person.

import { execFileSync } from 'node:child_process';
import {
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClefError } from '../../src/errors.ts';
import { openRepository } from '../../src/repository.ts';
import { commitFiles, withRepositoryLock } from '../../src/transaction/commit-files.ts';
import { digestOf } from '../../src/transaction/file-digest.ts';
import {
  formatJournal,
  type Journal,
  type JournalFile,
  parseJournal,
} from '../../src/transaction/journal.ts';
import { openRepository as openAndSettle, settle } from '../../src/transaction/open-repository.ts';
import { options, readTree, worldFor, writeTree } from './disk-scenarios.ts';

let root: string;
let told: string[];
const bytes = (text: string) => new TextEncoder().encode(text);
const digest = (text: string | undefined) => (text === undefined ? undefined : digestOf(bytes(text)));
const world = () => worldFor(({ level, message }) => told.push(`${level}: ${message}`));

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'clef-recovery-')));
  await mkdir(join(root, '.clef'));
  told = [];
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

function file(path: string, before: string | undefined, after: string | undefined): JournalFile {
  const temporary = after === undefined ? undefined : `.clef-tmp-${path.replaceAll('/', '-')}`;
  return { path, before: digest(before), after: digest(after), temporary };
}

function journalOf(files: readonly JournalFile[], more: Partial<Journal> = {}): Journal {
  return { root, purpose: 'a test', files, folders: [], discard: [], ...more };
}

const record = (journal: Journal, name = 'journal') =>
  writeFile(join(root, '.clef', name), formatJournal(journal));

/** Two files staged and committed, of which the first is in place already; a third one is to be removed. */
async function halfDone(): Promise<Journal> {
  await writeTree(root, { 's/a': 'A2', 's/b': 'B1', 's/.clef-tmp-s-b': 'B2', gone: 'G1' });
  const journal = journalOf([
    file('s/a', 'A1', 'A2'),
    file('s/b', 'B1', 'B2'),
    file('gone', 'G1', undefined),
  ]);
  await record(journal);
  return journal;
}

const done = { tree: { 's/a': 'A2', 's/b': 'B2' }, leftovers: [] };

describe('finishing', () => {
  it('INV-100: what has its commit record is finished, with one notice that says what it was', async () => {
    await halfDone();
    await settle(world(), root);
    expect(await readTree(root)).toEqual(done);
    expect(told).toEqual(['note: Finished a change that was interrupted (a test)']);
  });

  it('F-02, INV-103: twice is once', async () => {
    const journal = await halfDone();
    await settle(world(), root);
    await record(journal);
    await settle(world(), root);
    expect(await readTree(root)).toEqual(done);
    expect(told).toHaveLength(2);
  });

  it('INV-100: a writer finishes it before its own change, also one that nobody opened the repository for', async () => {
    await halfDone();
    const change = { path: 's/b', before: bytes('B2'), after: bytes('B3') };
    await commitFiles(root, [change], options);
    expect(await readTree(root)).toEqual({ tree: { 's/a': 'A2', 's/b': 'B3' }, leftovers: [] });
  });

  const changes: readonly [string, Record<string, string | undefined>, readonly string[]][] = [
    ['F-10, INV-101: a file that somebody edited since', { 's/b': 'theirs' }, ['s/b']],
    ['F-10: a file that was in place, edited since', { 's/a': 'theirs' }, ['s/a']],
    ['F-10: a file to be removed that somebody edited since', { gone: 'theirs' }, ['gone']],
    ['F-09: a file that somebody removed since', { 's/b': undefined }, ['s/b']],
    [
      'F-09: staged content that somebody removed, and the file is the old one',
      { 's/.clef-tmp-s-b': undefined },
      ['s/b'],
    ],
    ['F-10: a file that somebody made what it was to become', { 's/b': 'B2' }, []],
  ];
  for (const [title, edits, kept] of changes) {
    it(`${title}: is left as it is and named; the others are finished`, async () => {
      await halfDone();
      for (const [path, text] of Object.entries(edits)) {
        if (text === undefined) await rm(join(root, path));
        else await writeFile(join(root, path), text);
      }
      await settle(world(), root);
      const expected: Record<string, string | undefined> = { ...done.tree };
      for (const path of kept) expected[path] = path in edits ? edits[path] : 'B1';
      const { tree, leftovers } = await readTree(root);
      expect(tree).toEqual(
        Object.fromEntries(Object.entries(expected).filter(([, text]) => text !== undefined)),
      );
      expect(leftovers).toEqual([]);
      expect(told).toHaveLength(1);
      for (const path of kept) expect(told[0]).toMatch(new RegExp(`^warning: .* changed since: "${path}"$`));
    });
  }

  it('INV-101: a writer that meets such a file for the first time is refused, and names it', async () => {
    await halfDone();
    await writeFile(join(root, 's/b'), 'theirs');
    const error = await withRepositoryLock(root, options, async () => 'went on').catch(
      (cause: unknown) => cause,
    );
    expect(error).toMatchObject({ code: 'changed_meanwhile' });
    expect((error as ClefError).message).toContain('"s/b"');
    expect(await withRepositoryLock(root, options, async () => 'goes on')).toBe('goes on');
  });

  it('INV-14: nothing is put in place through a link that appeared since', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'clef-outside-'));
    await halfDone();
    await rm(join(root, 's'), { recursive: true });
    await symlink(outside, join(root, 's'));
    await writeFile(join(outside, 'b'), 'B1');
    await writeFile(join(outside, '.clef-tmp-s-b'), 'B2');
    await settle(world(), root);
    expect(await readFile(join(outside, 'b'), 'utf8')).toBe('B1');
    expect(told[0]).toContain('s/a');
    await rm(outside, { recursive: true });
  });

  it('staged content that is not what was staged is not put in place', async () => {
    await halfDone();
    await writeFile(join(root, 's/.clef-tmp-s-b'), 'forged');
    await settle(world(), root);
    expect(await readFile(join(root, 's/b'), 'utf8')).toBe('B1');
    expect(told[0]).toMatch(/^warning: Cannot write "s\/b"/);
  });
});

describe('taking back', () => {
  it('INV-105: what has no commit record leaves neither temporaries nor empty folders', async () => {
    await writeTree(root, { 's/a': 'A1', 's/.clef-tmp-s-a': 'A2', 'n/m/.clef-tmp-n-m-x': 'X' });
    await record(
      journalOf([file('s/a', 'A1', 'A2'), file('n/m/x', undefined, 'X')], { folders: ['n', 'n/m'] }),
      'journal.plan',
    );
    await settle(world(), root);
    expect(await readTree(root)).toEqual({ tree: { 's/a': 'A1' }, leftovers: [] });
    expect((await readdir(root)).sort()).toEqual(['.clef', 's']);
    expect(told).toEqual(['note: Took back a change that was interrupted (a test)']);
  });

  it('F-17: a plan that a crash tore is worth nothing', async () => {
    await writeTree(root, { 's/a': 'A1' });
    await writeFile(join(root, '.clef/journal.plan'), Buffer.alloc(300));
    await settle(world(), root);
    expect(await readTree(root)).toEqual({ tree: { 's/a': 'A1' }, leftovers: [] });
  });
});

describe('a journal that cannot be carried out', () => {
  /** Every file with its size, but for what the first lock brings along. */
  const listing = (): readonly string[] =>
    execFileSync('find', ['.', '-mindepth', '1', '-printf', '%p %s %y\n'], { cwd: root, encoding: 'utf8' })
      .split('\n')
      .filter((line) => !/^\.\/\.clef(?:\/\.gitignore)? /.test(line))
      .sort();
  type Row = readonly [title: string, prepare: (journal: Journal) => Promise<unknown>];
  const raw = (content: string | Uint8Array) => writeFile(join(root, '.clef/journal'), content);
  const withLine = async (change: (line: string) => string): Promise<void> => {
    const line = change((await readFile(join(root, '.clef/journal'), 'utf8')).split('\n')[0] as string);
    await raw(`${line}\n${digestOf(bytes(line))}\n`);
  };
  const rows: readonly Row[] = [
    ['F-16: empty', () => raw('')],
    ['F-16: cut short', (journal) => raw(formatJournal(journal).subarray(0, 100))],
    [
      'F-16: one bit is another one',
      (journal) => raw(formatJournal(journal).map((byte, at) => (at === 40 ? byte ^ 1 : byte))),
    ],
    ['F-16: of a newer version', () => withLine((line) => line.replace('"version":1', '"version":2'))],
    ['F-16: of another folder', (journal) => record({ ...journal, root: '/elsewhere' })],
    [
      'F-16: with a field that is no digest',
      () => withLine((line) => line.replace(/"before":"[0-9a-f]{64}"/, '"before":"x"')),
    ],
    ['INV-26: that names a file above', (journal) => record({ ...journal, files: [file('../x', 'A', 'B')] })],
    [
      'INV-110: that names a hook of git',
      (journal) => record({ ...journal, files: [file('.git/hooks/x', undefined, 'B')] }),
    ],
    [
      'INV-110: that names git of a submodule',
      (journal) => record({ ...journal, files: [file('sub/.git/config', 'A', 'B')] }),
    ],
    ['INV-110: that discards what is no temporary', (journal) => record({ ...journal, discard: ['s/a'] })],
    [
      'INV-110: that renames what is no temporary',
      (journal) => record({ ...journal, files: [{ ...file('x', 'A', 'B'), temporary: 'y' }] }),
    ],
    [
      'INV-14: that is a link',
      async (journal) => {
        await writeFile(join(root, 'elsewhere'), formatJournal(journal));
        await rm(join(root, '.clef/journal'));
        await symlink(join(root, 'elsewhere'), join(root, '.clef/journal'));
      },
    ],
    ['INV-14: with a second hard link', () => link(join(root, '.clef/journal'), join(root, 'second'))],
    [
      'INV-14: that is a folder',
      async () => {
        await rm(join(root, '.clef/journal'));
        await mkdir(join(root, '.clef/journal'));
      },
    ],
  ];
  for (const [title, prepare] of rows) {
    it(`${title}: is not touched, writers are refused with steps, readers are warned`, async () => {
      await prepare(await halfDone());
      const before = listing();
      const error = await withRepositoryLock(root, options, async () => 'wrote').catch(
        (cause: unknown) => cause,
      );
      expect(error).toBeInstanceOf(ClefError);
      expect(error).toMatchObject({ code: 'journal_unusable', errorClass: 'transaction' });
      expect((error as ClefError).hint).toMatch(
        /"git status".*delete "\.clef\/journal" and every file ".clef-tmp-/,
      );
      await settle(world(), root);
      expect(told).toHaveLength(1);
      expect(told[0]).toMatch(/^warning: .*\.clef\/journal.*until then Clef only reads$/);
      expect(listing()).toEqual(before);
    });
  }

  it.runIf(process.getuid?.() === 0)(
    'INV-110: that another user wrote, in a folder that many may write to',
    async () => {
      await halfDone();
      await chown(join(root, '.clef/journal'), 65_534, 65_534);
      await settle(world(), root);
      expect(told[0]).toContain('another user wrote it');
      expect(await readFile(join(root, 's/b'), 'utf8')).toBe('B1');
    },
  );
});

describe('around it', () => {
  it('reads back what was written, whatever the paths are', () => {
    const journal = journalOf(
      [file('a b/"c"\u2028', 'x', 'y'), file('z', undefined, 'n'), file('r', 'o', undefined)],
      {
        folders: ['a b'],
        discard: ['q/.clef-tmp-1'],
      },
    );
    expect(parseJournal(formatJournal(journal))).toEqual(journal);
  });

  it('a reader does not wait for a lock without a journal, and makes nothing in a folder without one', async () => {
    await rm(join(root, '.clef'), { recursive: true });
    await settle(world(), root);
    expect(await readdir(root)).toEqual([]);
    expect(told).toEqual([]);
  });

  it('F-11: a reader leaves it alone while git holds the index, as where git itself asks us to show a cell', async () => {
    await halfDone();
    execFileSync('git', ['init', '-q'], { cwd: root });
    await writeFile(join(root, '.git/index.lock'), '');
    await settle(world(), root);
    expect((await readTree(root)).leftovers).toContain('.clef/journal');
    await rm(join(root, '.git/index.lock'));
    await settle(world(), root);
    expect((await readTree(root)).leftovers).toEqual([]);
  });

  it('a killed init leaves no clef.yaml, and its journal is found all the same', async () => {
    await writeTree(root, { '.clef-tmp-clef.yaml': 'version: 1\n' });
    await record(journalOf([file('clef.yaml', undefined, 'version: 1\n')]));
    const error = await openAndSettle(world(), root).catch((cause: unknown) => cause);
    expect(await readFile(join(root, 'clef.yaml'), 'utf8')).toBe('version: 1\n');
    expect(error).toMatchObject({ code: 'manifest_invalid' });
    await expect(openRepository(world(), root)).rejects.toMatchObject({ code: 'manifest_invalid' });
  });

  it('F-13: where the lock cannot be had, reading goes on with a warning', async () => {
    await halfDone();
    await mkdir(join(root, '.clef/lock'));
    await settle(world(), root);
    expect(told).toEqual([expect.stringMatching(/^warning: There is a lock on this repository/)]);
  }, 20_000);
});

describe('a journal that came with the repository', () => {
  const git = (folder: string, ...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=m', '-c', 'user.email=m@x', ...args], { cwd: folder });

  async function commitAll(folder: string): Promise<void> {
    git(folder, 'init', '-q');
    git(folder, 'add', '--force', '--all');
    git(folder, 'commit', '-q', '-m', 'hostile');
  }

  const refused = /journal.*cannot be carried out: git tracks it: it came with the repository/;

  it('INV-110: is not carried out, by a reader or a writer: to commit is not to rename files of a colleague', async () => {
    await halfDone();
    await commitAll(root);
    const before = await readTree(root);
    await settle({ ...world(), environment: { PATH: process.env['PATH'] } }, root);
    expect(told).toEqual([expect.stringMatching(refused)]);
    await expect(withRepositoryLock(root, options, async () => 1)).rejects.toThrow(refused);
    expect(await readTree(root)).toEqual(before);
  });

  it('INV-110: nor under a name in capitals, nor in a hook of git with an index of its own', async () => {
    await halfDone();
    await rename(join(root, '.clef'), join(root, '.CLEF'));
    await commitAll(root);
    await rename(join(root, '.CLEF'), join(root, '.clef'));
    const environment = { PATH: process.env['PATH'], GIT_INDEX_FILE: '/nowhere', GIT_DIR: '/nowhere' };
    await settle({ ...world(), environment }, root);
    expect(told).toEqual([expect.stringMatching(refused)]);
  });

  it('INV-110: nor from a submodule in the place of the folder .clef', async () => {
    await halfDone();
    await commitAll(join(root, '.clef'));
    await commitAll(root);
    await settle({ ...world(), environment: { PATH: process.env['PATH'] } }, root);
    expect(told).toEqual([expect.stringMatching(refused)]);
  });

  it('INV-110: nor where somebody names the folder by a link from outside of the work tree', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'clef-link-'));
    root = join(root, 'below');
    await mkdir(join(root, '.clef'), { recursive: true });
    await halfDone();
    await commitAll(join(root, '..'));
    await symlink(root, join(outside, 'link'));
    await settle({ ...world(), environment: { PATH: process.env['PATH'] } }, join(outside, 'link'));
    await rm(outside, { recursive: true });
    root = join(root, '..');
    expect(told).toEqual([expect.stringMatching(refused)]);
  });

  it('INV-110: nor a plan, which would remove files', async () => {
    await writeTree(root, { '.clef-tmp-x': 'x' });
    await record(journalOf([], { discard: ['.clef-tmp-x'] }), 'journal.plan');
    await commitAll(root);
    await settle({ ...world(), environment: { PATH: process.env['PATH'] } }, root);
    expect(told).toEqual([expect.stringMatching(/git tracks it/)]);
  });

  it('INV-110: nor where git does not tell; one that git ignores is finished', async () => {
    git(root, 'init', '-q');
    await writeTree(root, { '.clef/.gitignore': '/journal\n', first: '1' });
    await halfDone();
    await settle({ ...world(), environment: { PATH: '/nowhere' } }, root);
    expect(told).toEqual([expect.stringMatching(/git does not tell/)]);
    await settle({ ...world(), environment: { PATH: process.env['PATH'] } }, root);
    expect(told[1]).toBe('note: Finished a change that was interrupted (a test)');
  });
});

describe('git in the same tree', () => {
  const change = () =>
    commitFiles(root, [{ path: 'x', before: undefined, after: bytes('1') }], {
      ...options,
      waitSeconds: 0.3,
    });

  it('F-11: waits for index.lock, and then names it', async () => {
    await mkdir(join(root, '.git'));
    await writeFile(join(root, '.git/index.lock'), '');
    await expect(change()).rejects.toMatchObject({ code: 'git_busy', errorClass: 'lock' });
    expect((await readTree(root)).tree).toEqual({ '.git/index.lock': '' });
    setTimeout(() => void rm(join(root, '.git/index.lock')), 100);
    await change();
    expect((await readTree(root)).tree).toEqual({ x: '1' });
  });

  it('F-11: also in a linked work tree, and below the top of one', async () => {
    await mkdir(join(root, 'top/.git/worktrees/w'), { recursive: true });
    await mkdir(join(root, 'linked/below'), { recursive: true });
    await writeFile(join(root, 'linked/.git'), 'gitdir: ../top/.git/worktrees/w\n');
    await writeFile(join(root, 'top/.git/worktrees/w/index.lock'), '');
    root = join(root, 'linked/below');
    await expect(change()).rejects.toMatchObject({ code: 'git_busy' });
    root = join(root, '../..');
  });

  for (const state of ['MERGE_HEAD', 'CHERRY_PICK_HEAD', 'rebase-merge/done', 'rebase-apply/next']) {
    it(`F-11: ${state} is no reason to refuse: that is when cells are repaired`, async () => {
      await writeTree(root, { [`.git/${state}`]: '' });
      await change();
      expect(await readFile(join(root, 'x'), 'utf8')).toBe('1');
    });
  }
});
