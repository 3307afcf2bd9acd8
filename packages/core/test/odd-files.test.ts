// Cells, sidecars and manifests that are no plain files of this repository (INV-14), and cells that somebody made with
// real keys but not with Clef (catalogue C09, C19, C20, C22).
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '@clef/host';
import {
  encryptTree,
  formatSopsFile,
  mappingOf,
  type Recipient,
  stringLeaf,
  type TreeNode,
} from '@clef/sops';
import { describe, expect, it } from 'vitest';
import { addRecipient } from '../src/people/recipients.ts';
import { listKeys } from '../src/secrets/list-keys.ts';
import {
  quietly,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  temporaryFolder,
  yes,
} from './repository-with.ts';

const cell = 'database/development';
const path = 'secrets/database/development.enc.yaml';
const sidecar = 'secrets/database/development.meta.yaml';

/** Puts something else in the place of a file. */
type Replace = (file: string, repository: TestRepository) => Promise<void> | void;

const linkTo =
  (target: (repository: TestRepository) => string): Replace =>
  (file, repository) => {
    rmSync(file);
    symlinkSync(target(repository), file);
  };

const oddFiles: readonly [title: string, replace: Replace][] = [
  ['a symbolic link to /etc/passwd', linkTo(() => '/etc/passwd')],
  ['a symbolic link to itself', (file) => linkTo(() => file)(file, undefined as never)],
  ['a symbolic link to another cell', linkTo(({ root }) => join(root, 'secrets/database/staging.enc.yaml'))],
  ['a dangling symbolic link', linkTo(() => 'nowhere')],
  [
    'a named pipe',
    async (file) => {
      rmSync(file);
      await runChild({ command: 'mkfifo', args: [file], environment: process.env, stdio: 'capture' });
    },
  ],
  [
    'a folder',
    (file) => {
      rmSync(file);
      mkdirSync(file);
    },
  ],
  ['a file with a second hard link', (file) => linkSync(file, join(temporaryFolder(), 'second'))],
];

async function readAndWrite(repository: TestRepository): Promise<readonly unknown[]> {
  return [
    await refused(repository, () => repository.get(cell, 'A')),
    await refused(repository, () => repository.set(cell, 'B', 'CANARY')),
  ];
}

describe('INV-14, C23: what is not a regular file of its own is neither read nor written', () => {
  it.each(oddFiles)('a cell that is %s', async (_, replace) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' }, 'database/staging': { A: 'CANARY' } });
    await replace(join(repository.root, path), repository);
    const startedAt = performance.now();
    expect(await readAndWrite(repository)).toEqual([quietly('bad_path'), quietly('bad_path')]);
    expect(await refused(repository, async () => listKeys(await repository.open(), { cell }))).toEqual(
      quietly('bad_path'),
    );
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });

  it.each(oddFiles)('a sidecar that is %s', async (_, replace) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' }, 'database/staging': { A: 'CANARY' } });
    await replace(join(repository.root, sidecar), repository);
    expect(await refused(repository, () => repository.set(cell, 'B', 'CANARY'))).toEqual(quietly('bad_path'));
  });

  it.each(oddFiles.filter(([title]) => !title.includes('another cell')))(
    'a clef.yaml that is %s',
    async (_, replace) => {
      const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
      await replace(join(repository.root, 'clef.yaml'), repository);
      expect(await readAndWrite(repository)).toEqual([quietly('bad_path'), quietly('bad_path')]);
    },
  );

  it('a folder on the way that is a symbolic link out of the repository', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const outside = join(temporaryFolder(), 'database');
    renameSync(join(repository.root, 'secrets/database'), outside);
    symlinkSync(outside, join(repository.root, 'secrets/database'));
    const before = readFileSync(join(outside, 'development.enc.yaml'));
    expect(await readAndWrite(repository)).toEqual([quietly('bad_path'), quietly('bad_path')]);
    expect(readFileSync(join(outside, 'development.enc.yaml'))).toEqual(before);
  });

  it('a new cell is not written through a folder that is a link', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const outside = temporaryFolder();
    symlinkSync(outside, join(repository.root, 'secrets/payments'));
    const set = () => repository.set('payments/development', 'A', 'CANARY');
    expect(await refused(repository, set)).toEqual(quietly('bad_path'));
  });
});

/** A cell file that somebody makes with the engine and the public keys alone. */
async function forge(
  entries: readonly (readonly [string, TreeNode])[],
  recipients: readonly string[],
  randomBytes: (length: number) => Uint8Array,
): Promise<string> {
  const file = await encryptTree(
    { documents: [mappingOf(entries)] },
    {
      format: 'yaml',
      recipients: recipients.map((recipient): Recipient => ({ type: 'age', recipient })),
      now: Date.UTC(2026, 0, 31),
      randomBytes,
    },
  );
  return new TextDecoder().decode(formatSopsFile(file));
}

describe('a cell made by somebody else', () => {
  it('C02, 1.3 #6, #9: a comment and a version, which no key covers, decide nothing and are not shown', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY', B: 'two' } });
    const good = repository.read(path);
    repository.write(path, `# CANARY comment\n${good.replace(/^( +version:) .*$/m, '$1 3.1.2')}`);
    expect(await repository.values(cell)).toEqual({ A: 'CANARY', B: 'two' });
    const listed = await listKeys(await repository.open(), { cell });
    expect(JSON.stringify([listed, repository.notices])).not.toContain('CANARY');
    await repository.set(cell, 'B', 'three');
    const lineOf = (text: string): string | undefined => /^A: .*$/m.exec(text)?.[0];
    expect(lineOf(repository.read(path))).toBe(lineOf(good));
    expect(repository.read(path)).not.toContain('three');
  });

  it('C02, 1.3 #18: forged with the public key alone it reads; only a seal will tell', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const { world, recipient } = repository;
    repository.write(path, await forge([['A', stringLeaf('forged')]], [recipient], world.randomBytes));
    expect(await repository.get(cell, 'A')).toBe('forged');
  });

  it('C19: a value of another file under the same name does not open', async () => {
    const repository = await repositoryWith({
      [cell]: { A: 'CANARY' },
      'database/staging': { A: 'CANARY two' },
    });
    const line = /^A: .*$/m.exec(repository.read('secrets/database/staging.enc.yaml'))?.[0] ?? '';
    repository.write(path, repository.read(path).replace(/^A: .*$/m, line));
    expect(await readAndWrite(repository)).toEqual([quietly('cell_tampered'), quietly('cell_tampered')]);
  });

  it('C20, C02, 1.3 #19: a file in the place of another one is told by its recipients; between equal ones only a seal will', async () => {
    const repository = await repositoryWith({
      [cell]: { A: 'CANARY' },
      'database/staging': { A: 'CANARY 2' },
    });
    const [development, staging] = [path, 'secrets/database/staging.enc.yaml'] as const;
    const bob = { person: 'bob', keys: [strangersKey().recipient], environments: ['staging'] };
    repository.write(development, repository.read(staging));
    expect(await repository.get(cell, 'A')).toBe('CANARY 2');
    await addRecipient(await repository.open(), { ...bob, confirm: yes });
    repository.write(development, repository.read(staging));
    repository.notices.length = 0;
    expect(await repository.get(cell, 'A')).toBe('CANARY 2');
    expect(repository.notices.map(({ level }) => level)).toContain('warning');
    expect(await refused(repository, () => repository.set(cell, 'B', 'x'))).toEqual(
      quietly('recipients_differ'),
    );
  });

  it.each([
    ['a NUL', new Uint8Array([67, 0, 67])],
    ['invalid UTF-8', new Uint8Array([67, 255, 67])],
  ])('C22: a value with %s', async (_, bytes) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const { world, recipient } = repository;
    repository.write(path, await forge([['A', stringLeaf(bytes)]], [recipient], world.randomBytes));
    expect(await readAndWrite(repository)).toEqual([quietly('bad_format'), quietly('bad_format')]);
  });

  it('a cell without keys is valid: the last key may be deleted', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const { world, recipient } = repository;
    repository.write(path, await forge([], [recipient], world.randomBytes));
    expect(await repository.values(cell)).toEqual({});
    await repository.set(cell, 'B', 'b');
    expect(await repository.values(cell)).toEqual({ B: 'b' });
  });

  it.each([0, 16, 31, 33])('C09: a data key of %i bytes', async (length) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const { encryptToAgeRecipient } = await import('../../sops/src/age/age-encryption.ts');
    const armored = await encryptToAgeRecipient(
      new Uint8Array(length),
      repository.recipient,
      repository.world.randomBytes,
    );
    const indented = armored
      .trimEnd()
      .split('\n')
      .map((line) => `            ${line}\n`)
      .join('');
    const text = repository.read(path).replace(/( +enc: \|\n)(?: {8,}.*\n)+?(?=\S| {4}\S)/, `$1${indented}`);
    repository.write(path, text);
    expect(await readAndWrite(repository)).toEqual([quietly('cell_tampered'), quietly('cell_tampered')]);
  });

  it('C02, 1.3 #18: forged for strangers it opens to nobody here', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const text = await forge(
      [['A', stringLeaf('x')]],
      [strangersKey().recipient],
      repository.world.randomBytes,
    );
    repository.write(path, text);
    expect(await readAndWrite(repository)).toEqual([quietly('cannot_decrypt'), quietly('recipients_differ')]);
  });
});

it('C01: a file over the limit is not parsed', async () => {
  const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
  writeFileSync(join(repository.root, path), new Uint8Array(64 * 1024 * 1024 + 1));
  expect(await readAndWrite(repository)).toEqual([quietly('limit'), quietly('limit')]);
});

describe('INV-17: an accident is called by its name, with the way out and without a value', () => {
  const shared = repositoryWith({ [cell]: { A: 'CANARY' } });

  it.each([
    [
      'C25: a pointer of Git LFS',
      'version https://git-lfs.github.com/spec/v1\noid sha256:00\n',
      'pointer of Git LFS',
    ],
    ['C25: git-crypt', '\0GITCRYPT\0CANARY', 'encrypted with git-crypt'],
    ['C25: zeros after a crash', '\0'.repeat(100), 'all zero bytes'],
    ['C26: a merge conflict', '<<<<<<< ours\nA: CANARY\n=======\nA: b\n>>>>>>> theirs\n', 'merge conflict'],
    ['C01: plaintext', 'A: CANARY\n', 'not encrypted'],
    ['C01: nothing', '', 'it is empty'],
  ])('%s', async (_, text, words) => {
    const repository = await shared;
    repository.write(path, text);
    expect(await readAndWrite(repository)).toEqual([quietly('bad_format'), quietly('bad_format')]);
    await expect(repository.get(cell, 'A')).rejects.toThrow(words);
  });
});
