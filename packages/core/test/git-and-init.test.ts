// `clef init` and what git has to do with a repository: none, inside, outside, worktrees, a subfolder; and the tree that
// must equal HEAD before a protected environment is packed.
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gitState, headCommit, pathsDifferentFromHead } from '../src/git/git.ts';
import { initRepository } from '../src/matrix/init-repository.ts';
import { isPlanted, openRepository } from '../src/repository.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import { setSecret } from '../src/secrets/set-secret.ts';
import { findConfig } from '../src/sops-files/recipients.ts';
import type { World } from '../src/world.ts';
import {
  emptyWorld,
  git,
  quietly,
  refusal,
  refused,
  repositoryWith,
  setting,
  temporaryFolder,
  withVariables,
} from './repository-with.ts';

const init = (world: World, directory?: string) =>
  initRepository(world, { withPassphrase: false, ...(directory !== undefined && { directory }) });

it('INV-110: a folder that a repository makes look like one without a work tree gets no command run', async () => {
  const folder = temporaryFolder();
  await git(folder, 'init', '--quiet', '--bare');
  const trace = join(folder, 'trace');
  await git(folder, 'config', 'core.bare', 'false');
  await git(folder, 'config', 'core.worktree', folder);
  await git(folder, 'config', 'core.fsmonitor', `touch ${trace}; false`);
  await git(folder, 'config', 'user.name', 'Mallory');
  const { world } = emptyWorld({ cwd: folder });
  writeFileSync(join(folder, 'clef.yaml'), '');
  await expect(pathsDifferentFromHead(world, folder, ['clef.yaml'])).rejects.toThrow(/no git repository/);
  expect(await gitState(world, folder)).toEqual({ kind: 'outside' });
  expect(() => readFileSync(trace)).toThrow(/ENOENT/);
});

it.each([
  ['', 'no PATH at all'],
  ['.', 'the folder itself'],
  ['/nowhere:', 'an entry that is empty, as of PATH=$PATH:$UNSET'],
  ['/nowhere:tools:', 'a folder of the repository'],
])('INV-110: a git that lies in the repository is never run: PATH=%j, %s', async (path) => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'tools'));
  for (const program of ['git', 'tools/git'])
    writeFileSync(join(folder, program), '#!/bin/sh\necho /mallory\n', { mode: 0o755 });
  const { world } = emptyWorld({ cwd: folder });
  expect(await gitState(withVariables(world, { PATH: path }), folder)).not.toHaveProperty('top');
});

describe('a file of somebody else above one', () => {
  it.each([
    [1000, 0, 0o1777, false, 'our own, in /tmp'],
    [0, 0, 0o1777, false, "root's"],
    [1001, 0, 0o1777, true, 'a stranger’s in /tmp'],
    [1001, 0, 0o777, true, 'the same without the sticky bit'],
    [1001, 1001, 0o777, false, 'in a folder of the same person, as a mounted disk shows it'],
    [1001, 1000, 0o775, false, 'in a checkout that people share'],
  ])('M2: of %d in a folder of %d, %o: planted is %s: %s', (uid, folderUid, mode, expected) => {
    expect(isPlanted({ uid }, { uid: folderUid, mode }, 1000)).toBe(expected);
  });

  // Only root can give a file away.
  it.runIf(process.getuid?.() === 0)('M2: its keys read nothing that one stores or encrypts', async () => {
    const everybodys = temporaryFolder();
    const own = join(everybodys, 'own');
    mkdirSync(own);
    chmodSync(everybodys, 0o1777);
    const hostile = await repositoryWith();
    const { world } = emptyWorld({ cwd: own });
    for (const [name, text] of [
      ['clef.yaml', hostile.read('clef.yaml')],
      ['.sops.yaml', 'creation_rules: []\n'],
    ] as const) {
      writeFileSync(join(everybodys, name), text);
      chownSync(join(everybodys, name), 65_534, 65_534);
    }
    expect((await refusal(openRepository(world))).code).toBe('bad_path');
    expect((await refusal(findConfig(world, undefined))).code).toBe('bad_path');
    expect(await init(world)).toMatchObject({ kind: 'created', root: own });
  });
});

describe('init', () => {
  it("the article's next line works, outside git too", async () => {
    const { world } = emptyWorld({ cwd: temporaryFolder() });
    const result = await init(world);
    expect(result).toMatchObject({
      kind: 'created',
      git: 'outside',
      madeKey: true,
      person: 'tester',
      environments: ['development', 'staging', 'production'],
    });
    const repository = await openRepository(world);
    const url = 'postgres://localhost:5432/myapp';
    await setSecret(repository, setting('database/development', 'DB_URL', url));
    expect(
      await getSecret(await openRepository(world), { cell: 'database/development', key: 'DB_URL' }),
    ).toBe(url);
    expect(repository.manifest.environments.map(({ protected: isProtected }) => isProtected)).toEqual([
      false,
      false,
      true,
    ]);
    expect(repository.manifest.repository).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('without git on the machine', async () => {
    const { world } = emptyWorld({ cwd: temporaryFolder() });
    expect(await init(withVariables(world, { PATH: '/nowhere' }))).toMatchObject({
      kind: 'created',
      git: 'no_git',
    });
  });

  it.each([
    ['Zoë O’Brien-Smith 3rd', 'zoe-o-brien-smith-3rd'],
    ['  42 Björn  ', 'bjorn'],
    ['漢字', 'tester'],
    ['null', 'tester'],
    ['x'.repeat(100), 'x'.repeat(63)],
  ])('a person called %j is "%s"', async (name, slug) => {
    const folder = temporaryFolder();
    await git(folder, 'init', '--quiet');
    await git(folder, 'config', 'user.name', name);
    expect(await init(emptyWorld({ cwd: folder }).world)).toMatchObject({ git: 'inside', person: slug });
  });

  it('again: nothing is changed, and the person is known', async () => {
    const repository = await repositoryWith({ 'database/development': { A: '1' } });
    const before = repository.snapshot();
    const result = await init(repository.world);
    expect(result).toMatchObject({ kind: 'joined', person: 'alice', madeKey: false });
    expect(result).not.toHaveProperty('inviteLine');
    expect(repository.snapshot()).toEqual(before);
  });

  it('somebody new gets a key and the line for a teammate', async () => {
    const repository = await repositoryWith({ 'database/development': { A: '1' } });
    const { world } = emptyWorld({ cwd: repository.root, userName: 'Bob' });
    const result = await init(world);
    expect(result).toMatchObject({
      kind: 'joined',
      madeKey: true,
      inviteLine: `clef recipients add bob ${result.recipient} --environments development`,
    });
  });

  it.each(['packages/api', 'packages'])(
    'in %s below a repository in the same work tree it joins that one',
    async (below) => {
      const top = temporaryFolder();
      await git(top, 'init', '--quiet');
      mkdirSync(join(top, 'packages/api'), { recursive: true });
      const { world } = emptyWorld({ cwd: top });
      await init(world, below === 'packages' ? undefined : 'packages');
      expect(await init({ ...world, cwd: join(top, below) })).toMatchObject({ kind: 'joined' });
    },
  );

  it('a repository above the work tree is not joined', async () => {
    const repository = await repositoryWith();
    const inner = join(repository.root, 'vendor');
    mkdirSync(inner);
    await git(inner, 'init', '--quiet');
    expect(await init({ ...repository.world, cwd: inner })).toMatchObject({ kind: 'created', root: inner });
  });

  it('through a folder that is a link', async () => {
    const top = temporaryFolder();
    await git(top, 'init', '--quiet');
    const { world } = emptyWorld({ cwd: top });
    await init(world);
    mkdirSync(join(top, 'real'));
    const link = join(temporaryFolder(), 'link');
    symlinkSync(join(top, 'real'), link);
    expect(await init({ ...world, cwd: link })).toMatchObject({ kind: 'joined' });
  });

  it('where only clef.yaml is gone', async () => {
    const { world } = emptyWorld({ cwd: temporaryFolder() });
    await init(world);
    rmSync(join(world.cwd, 'clef.yaml'));
    writeFileSync(join(world.cwd, '.clef/clef.schema.json'), 'old');
    expect(await init(world)).toMatchObject({ kind: 'created', madeKey: false });
    expect(readFileSync(join(world.cwd, '.clef/clef.schema.json'), 'utf8')).toMatch(/^\{/);
  });

  it.each([
    ['A17: a folder that does not exist', 'missing', 'bad_path'],
    ['A17: a file', 'clef.yaml', 'bad_path'],
  ] as const)('%s', async (_, directory, code) => {
    const repository = await repositoryWith();
    expect(await refused(repository, () => init(repository.world, directory))).toEqual(quietly(code));
  });

  it('a clef.yaml that does not parse is not written over', async () => {
    const repository = await repositoryWith();
    repository.write('clef.yaml', 'version: 2\n');
    expect(await refused(repository, () => init(repository.world))).toEqual(quietly('manifest_invalid'));
  });

  it('a link in the place of clef.yaml is not written through', async () => {
    const folder = temporaryFolder();
    const outside = join(temporaryFolder(), 'outside');
    symlinkSync(outside, join(folder, 'clef.yaml'));
    expect((await refusal(init(emptyWorld({ cwd: folder }).world))).code).toBe('bad_path');
  });
});

describe('git', () => {
  const scope = ['clef.yaml', 'secrets/database/production.enc.yaml'];

  /** A repository in a subfolder of a work tree, everything committed. */
  async function committed(folder = 'below') {
    const repository = await repositoryWith(
      { 'database/production': { A: '1' } },
      { folder: `top/${folder}` },
    );
    const top = join(repository.root, '..');
    await git(top, 'init', '--quiet');
    await git(top, 'add', '--all');
    await git(top, 'commit', '--quiet', '--message', 'all');
    return {
      ...repository,
      top,
      different: () => pathsDifferentFromHead(repository.world, repository.root, scope),
    };
  }

  it('K08: a subfolder as repository: paths are named from it', async () => {
    const { different, write, read, root, world } = await committed();
    expect(await different()).toEqual([]);
    write('clef.yaml', `${read('clef.yaml')}\n`);
    expect(await different()).toEqual(['clef.yaml']);
    expect((await gitState(world, root)).kind).toBe('inside');
    expect(await headCommit(world, root)).toMatch(/^[0-9a-f]{40}$/);
  });

  it.each([
    ['changed', async (file: string) => writeFileSync(file, 'x')],
    ['removed', async (file: string) => rmSync(file)],
    [
      'changed and staged',
      async (file: string, top: string) => {
        writeFileSync(file, 'x');
        await git(top, 'add', '--all');
      },
    ],
    [
      'staged and changed back',
      async (file: string, top: string) => {
        const before = readFileSync(file);
        writeFileSync(file, 'x');
        await git(top, 'add', '--all');
        writeFileSync(file, before);
      },
    ],
    [
      'removed from the index only',
      async (_: string, top: string) => void (await git(top, 'rm', '--quiet', '--cached', '-r', '.')),
    ],
    [
      'ignored and never committed',
      async (file: string, top: string) => {
        await git(top, 'rm', '--quiet', '--cached', '-r', '.');
        await git(top, 'commit', '--quiet', '--message', 'gone');
        writeFileSync(join(top, '.gitignore'), 'below/secrets/\nbelow/clef.yaml\n');
        readFileSync(file);
      },
    ],
  ])('a cell that is %s differs from HEAD', async (_, change) => {
    const { different, root, top } = await committed();
    await change(join(root, scope[1] as string), top);
    expect((await different()).length).toBeGreaterThan(0);
  });

  it('file names that are patterns to git are taken as they are', async () => {
    const { world, root, write, top } = await committed();
    write('[a]*.yaml', 'x');
    write('a1.yaml', 'y');
    await git(top, 'add', '--all');
    await git(top, 'commit', '--quiet', '--message', 'more');
    write('a1.yaml', 'z');
    expect(await pathsDifferentFromHead(world, root, ['[a]*.yaml'])).toEqual([]);
  });

  it('K08: a linked worktree', async () => {
    const { world, top } = await committed();
    const linked = join(temporaryFolder(), 'linked');
    await git(top, 'worktree', 'add', '--quiet', linked);
    const root = join(linked, 'below');
    expect(await pathsDifferentFromHead(world, root, scope)).toEqual([]);
    expect(
      await getSecret(await openRepository(world, root), { cell: 'database/production', key: 'A' }),
    ).toBe('1');
  });

  it('K08: no commit yet: everything differs, and HEAD is nothing', async () => {
    const repository = await repositoryWith({ 'database/production': { A: '1' } });
    await git(repository.root, 'init', '--quiet');
    expect(await headCommit(repository.world, repository.root)).toBeUndefined();
    expect(await pathsDifferentFromHead(repository.world, repository.root, scope)).toEqual(scope);
  });

  it('F-20: outside git and without git', async () => {
    const repository = await repositoryWith({ 'database/production': { A: '1' } });
    const { world, root } = repository;
    expect(await headCommit(world, root)).toBeUndefined();
    const ask = (one: World) => () => pathsDifferentFromHead(one, root, scope);
    expect(await refused(repository, ask(world))).toEqual(quietly('git'));
    const gitless = withVariables(world, { PATH: '/nowhere' });
    expect(await refused(repository, ask(gitless))).toEqual(quietly('git'));
    expect(await gitState(gitless, root)).toEqual({ kind: 'no_git' });
  });
});
