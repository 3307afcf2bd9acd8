import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createFileExclusive,
  ensurePrivateDirectory,
  fsyncDirectory,
  type HostCode,
  readRegularFile as readEitherWay,
  removeTemporaryFiles,
  replaceFile,
  runChild,
  stageFile,
  startChild,
  statRegularFile,
  temporaryFilePrefix,
} from '../src/index.ts';
import { failureOf, nobody, program, temporaryFolder, withoutPrivileges } from './fixtures.ts';

/** Reads through a thread and at once, which must come to the same. */
async function readRegularFile(...[path, options]: Parameters<typeof readEitherWay>): Promise<Uint8Array> {
  const [threaded, atOnce] = await Promise.allSettled([
    readEitherWay(path, options),
    readEitherWay(path, { ...options, atOnce: true }),
  ]);
  expect(outcomeOf(atOnce, path)).toEqual(outcomeOf(threaded, path));
  if (threaded.status === 'rejected') throw threaded.reason;
  return threaded.value;
}

/** Of /proc/self/status only that it can be read: it changes. */
function outcomeOf(result: PromiseSettledResult<Uint8Array>, path: string): unknown {
  if (result.status === 'rejected') return [result.reason.code, result.reason.message];
  return path.startsWith('/proc/') ? 'read' : text(result.value);
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: Uint8Array): string => new TextDecoder().decode(content);
const sentinel = 'SENTINEL-OUTSIDE';

/** A repository folder, and beside it a folder that nothing may reach. */
function twoFolders(): { root: string; outside: string } {
  const folder = temporaryFolder();
  const root = join(folder, 'repository');
  const outside = join(folder, 'outside');
  mkdirSync(join(root, 'cells'), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), sentinel);
  writeFileSync(join(root, 'cells', 'other'), 'other');
  return { root, outside };
}

async function makeFifo(path: string): Promise<void> {
  const { exitCode } = await runChild({
    command: 'mkfifo',
    args: [path],
    environment: { PATH: process.env['PATH'] },
    stdio: 'capture',
  });
  expect(exitCode).toBe(0);
}

async function makeSocket(path: string): Promise<() => void> {
  const server = createServer();
  await new Promise<void>((settle) => server.listen(path, settle));
  return () => server.close();
}

describe('a name that is not a plain regular file is refused for reading and for writing', () => {
  type Row = {
    title: string;
    make: (path: string, folders: { root: string; outside: string }) => unknown;
    read: HostCode;
    write: HostCode | 'allowed';
  };
  const rows: readonly Row[] = [
    {
      title: 'a symbolic link to a file outside',
      make: (path, { outside }) => symlinkSync(join(outside, 'file'), path),
      read: 'symlink',
      write: 'symlink',
    },
    {
      title: 'a symbolic link to /etc/passwd',
      make: (path) => symlinkSync('/etc/passwd', path),
      read: 'symlink',
      write: 'symlink',
    },
    {
      title: 'a symbolic link to itself',
      make: (path) => symlinkSync(path, path),
      read: 'symlink',
      write: 'symlink',
    },
    {
      title: 'a symbolic link to another cell',
      make: (path) => symlinkSync('other', path),
      read: 'symlink',
      write: 'symlink',
    },
    {
      title: 'a dangling symbolic link',
      make: (path, { outside }) => symlinkSync(join(outside, 'new'), path),
      read: 'symlink',
      write: 'symlink',
    },
    { title: 'a named pipe', make: (path) => makeFifo(path), read: 'not_regular', write: 'not_regular' },
    { title: 'a socket', make: (path) => makeSocket(path), read: 'not_regular', write: 'not_regular' },
    { title: 'a directory', make: (path) => mkdirSync(path), read: 'not_regular', write: 'not_regular' },
    {
      title: 'a symbolic link to a device',
      make: (path) => symlinkSync('/dev/zero', path),
      read: 'symlink',
      write: 'symlink',
    },
    {
      title: 'a hard link (replacing it only takes the name away)',
      make: (path, { outside }) => linkSync(join(outside, 'file'), path),
      read: 'not_regular',
      write: 'allowed',
    },
    { title: 'nothing', make: () => undefined, read: 'not_found', write: 'allowed' },
  ];

  it.each(rows)('C23, INV-14: $title', async ({ make, read, write }) => {
    const folders = twoFolders();
    const path = join(folders.root, 'cells', 'cell');
    const undo = await make(path, folders);
    const before = readdirSync(join(folders.root, 'cells'));
    const started = performance.now();

    expect((await failureOf(readRegularFile(path, { maxBytes: 1_000, root: folders.root }))).code).toBe(read);
    if (write !== 'allowed') {
      expect((await failureOf(replaceFile(path, bytes('new'), { root: folders.root }))).code).toBe(write);
      expect((await failureOf(replaceFile(path, bytes('new')))).code).toBe(write);
      expect((await failureOf(createFileExclusive(path, bytes('new'), { mode: 0o600 }))).code).toBe('exists');
      expect(readdirSync(join(folders.root, 'cells'))).toEqual(before);
    } else {
      await replaceFile(path, bytes('new'), { root: folders.root });
      expect(readFileSync(path, 'utf8')).toBe('new');
    }

    expect(performance.now() - started).toBeLessThan(10_000);
    expect(readFileSync(join(folders.outside, 'file'), 'utf8')).toBe(sentinel);
    expect(readdirSync(folders.outside)).toEqual(['file']);
    expect(readFileSync(join(folders.root, 'cells', 'other'), 'utf8')).toBe('other');
    if (typeof undo === 'function') undo();
  });

  it('C23: a device is refused without being read', async () => {
    expect((await failureOf(readRegularFile('/dev/zero', { maxBytes: 1_000 }))).code).toBe('not_regular');
    expect((await failureOf(readRegularFile('/dev/null', { maxBytes: 1_000 }))).code).toBe('not_regular');
    expect((await failureOf(statRegularFile('/dev/null'))).code).toBe('not_regular');
  });

  it('C23: a file of mode 000 is a clear refusal', async () => {
    const folder = temporaryFolder();
    await withoutPrivileges(folder, async () => {
      const path = join(folder, 'cell');
      writeFileSync(path, 'x');
      chmodSync(path, 0o000);
      expect((await failureOf(readRegularFile(path, { maxBytes: 10 }))).code).toBe('permission');
    });
  });

  it('F-08: in a directory without write permission nothing changes', async () => {
    const folder = temporaryFolder();
    await withoutPrivileges(folder, async () => {
      const directory = join(folder, 'closed');
      mkdirSync(directory);
      writeFileSync(join(directory, 'cell'), 'old');
      chmodSync(directory, 0o500);
      expect((await failureOf(replaceFile(join(directory, 'cell'), bytes('new')))).code).toBe('permission');
      expect(
        (await failureOf(createFileExclusive(join(directory, 'other'), bytes(''), { mode: 0o600 }))).code,
      ).toBe('permission');
      expect(readFileSync(join(directory, 'cell'), 'utf8')).toBe('old');
      expect(readdirSync(directory)).toEqual(['cell']);
      chmodSync(directory, 0o700);
    });
  });
});

describe('under a root', () => {
  const rows: readonly [
    title: string,
    path: (f: { root: string; outside: string }) => string,
    code: HostCode,
  ][] = [
    [
      'a directory that is a symbolic link to the outside',
      (f) => {
        symlinkSync(f.outside, join(f.root, 'away'));
        return join(f.root, 'away', 'file');
      },
      'outside',
    ],
    [
      'a directory that is a symbolic link to another one inside',
      (f) => {
        symlinkSync('cells', join(f.root, 'alias'));
        return join(f.root, 'alias', 'other');
      },
      'symlink',
    ],
    ['a path that climbs out', (f) => join(f.root, '..', 'outside', 'file'), 'outside'],
    ['an absolute path elsewhere', () => '/etc/passwd', 'outside'],
    [
      'a sibling whose name begins like the root',
      (f) => {
        mkdirSync(`${f.root}-evil`);
        writeFileSync(join(`${f.root}-evil`, 'file'), sentinel);
        return join(`${f.root}-evil`, 'file');
      },
      'outside',
    ],
    [
      'a loop of symbolic links on the way',
      (f) => {
        symlinkSync('loop', join(f.root, 'loop'));
        return join(f.root, 'loop', 'file');
      },
      'symlink',
    ],
    ['a file where a directory should be', (f) => join(f.root, 'cells', 'other', 'file'), 'not_found'],
    ['a missing directory', (f) => join(f.root, 'nowhere', 'file'), 'not_found'],
  ];
  it.each(rows)('INV-14: %s is refused', async (_title, pathOf, code) => {
    const folders = twoFolders();
    const path = pathOf(folders);
    expect((await failureOf(readRegularFile(path, { maxBytes: 1_000, root: folders.root }))).code).toBe(code);
    expect((await failureOf(replaceFile(path, bytes('new'), { root: folders.root }))).code).toBe(code);
    expect(readFileSync(join(folders.outside, 'file'), 'utf8')).toBe(sentinel);
  });

  it('a root that is itself reached through a symbolic link is the place it leads to', async () => {
    const { root } = twoFolders();
    symlinkSync(root, `${root}-link`);
    const path = join(`${root}-link`, 'cells', 'other');
    expect(text(await readRegularFile(path, { maxBytes: 10, root: `${root}-link` }))).toBe('other');
    await replaceFile(path, bytes('new'), { root: `${root}-link` });
    expect(readFileSync(join(root, 'cells', 'other'), 'utf8')).toBe('new');
  });

  it.runIf(process.platform === 'linux')(
    'F-09: a directory swapped for a link to the outside after staging is not followed',
    async () => {
      const { root, outside } = twoFolders();
      const staged = await stageFile(join(root, 'cells', 'file'), bytes('new'), { root });
      renameSync(join(root, 'cells'), join(root, 'moved'));
      symlinkSync(outside, join(root, 'cells'));
      await staged.commit();
      expect(readFileSync(join(outside, 'file'), 'utf8')).toBe(sentinel);
      expect(readFileSync(join(root, 'moved', 'file'), 'utf8')).toBe('new');
    },
  );
});

describe('readRegularFile', () => {
  it('reads up to the limit, and one byte more is too large', async () => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, '12345');
    expect(text(await readRegularFile(path, { maxBytes: 5 }))).toBe('12345');
    expect((await failureOf(readRegularFile(path, { maxBytes: 4 }))).code).toBe('too_large');
  });

  it.each([0, 1, 65_535, 65_536, 65_537, 1_000_000])('reads %i bytes whole', async (size) => {
    const path = join(temporaryFolder(), 'file');
    const content = new Uint8Array(size).map((_, at) => at % 251);
    writeFileSync(path, content);
    expect(Buffer.from(content).equals(await readRegularFile(path, { maxBytes: 1_000_000 }))).toBe(true);
  });

  it('does not hold a sparse file of 1 TiB in memory to find it too large', async () => {
    const path = join(temporaryFolder(), 'file');
    const handle = await open(path, 'w');
    await handle.truncate(2 ** 40);
    await handle.close();
    expect((await failureOf(readRegularFile(path, { maxBytes: 1_000 }))).code).toBe('too_large');
  });

  it.runIf(process.platform === 'linux')(
    'reads files that do not tell their size, with the same limit',
    async () => {
      expect(text(await readRegularFile('/proc/self/status', { maxBytes: 100_000 }))).toMatch(/^Name:/);
      expect((await failureOf(readRegularFile('/proc/self/status', { maxBytes: 10 }))).code).toBe(
        'too_large',
      );
    },
  );

  it.each([
    ['grows', 20],
    ['shrinks', 3],
  ])('sees that a file %s while it is read', async (_title, size) => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, '1234567890');
    const restore = await onHandles('stat', async function (this: FileHandle, original) {
      const facts = await original.call(this);
      writeFileSync(path, 'x'.repeat(size));
      return facts;
    });
    expect((await failureOf(readEitherWay(path, { maxBytes: 100 }))).code).toBe('changed');
    restore();
  });
});

describe('statRegularFile', () => {
  it('says what there is, or undefined', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'file');
    expect(await statRegularFile(path)).toBeUndefined();
    writeFileSync(path, '123');
    chmodSync(path, 0o640);
    expect(await statRegularFile(path)).toMatchObject({ mode: 0o640, size: 3, uid: process.getuid?.() });
    symlinkSync(path, join(folder, 'link'));
    expect((await failureOf(statRegularFile(join(folder, 'link')))).code).toBe('symlink');
  });
});

describe('replaceFile', () => {
  it.each([
    ['0600 when the file is new', undefined, undefined, 0o600],
    ['that of the old file', 0o640, undefined, 0o640],
    ['the one given', 0o640, 0o600, 0o600],
    ['the one given, for a new file', undefined, 0o644, 0o644],
    ['without set-user-ID', 0o4755, undefined, 0o755],
  ])('gives the mode: %s', async (_title, old, mode, expected) => {
    const path = join(temporaryFolder(), 'file');
    if (old !== undefined) {
      writeFileSync(path, 'old');
      chmodSync(path, old);
    }
    await replaceFile(path, bytes('new'), mode === undefined ? {} : { mode });
    expect(lstatSync(path).mode & 0o7777).toBe(expected);
    expect(readFileSync(path, 'utf8')).toBe('new');
  });

  describe('H16: whatever the umask', () => {
    let before = 0;
    afterEach(() => void process.umask(before));
    it.each([0o000, 0o077, 0o777])('%o', async (umask) => {
      const folder = temporaryFolder();
      before = process.umask(umask);
      await replaceFile(join(folder, 'a'), bytes('a'));
      await replaceFile(join(folder, 'b'), bytes('b'), { mode: 0o644 });
      await createFileExclusive(join(folder, 'c'), bytes('c'), { mode: 0o400 });
      await ensurePrivateDirectory(join(folder, 'd'));
      process.umask(before);
      expect(['a', 'b', 'c', 'd'].map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([
        0o600, 0o644, 0o400, 0o700,
      ]);
    });
  });

  it('F-07, INV-105: the temporary file is in the same directory, 0600, with a random name, and gone afterwards', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'file');
    const first = await stageFile(path, bytes('new'));
    const second = await stageFile(path, bytes('newer'), { mode: 0o600 });
    const names = readdirSync(folder);
    expect(names).toHaveLength(2);
    for (const name of names) {
      expect(name).toMatch(new RegExp(`^${temporaryFilePrefix.replaceAll('.', '\\.')}[0-9a-f]{24}$`));
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    }
    await first.commit();
    await second.discard();
    await second.discard();
    expect(readdirSync(folder)).toEqual(['file']);
    expect(readFileSync(path, 'utf8')).toBe('new');
  });

  it('a link that is there already is refused before anything is written', async () => {
    const folder = temporaryFolder();
    symlinkSync('/etc/passwd', join(folder, 'file'));
    expect((await failureOf(stageFile(join(folder, 'file'), bytes('new')))).code).toBe('symlink');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('a link that appears between staging and committing is not replaced', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'file');
    const staged = await stageFile(path, bytes('new'));
    symlinkSync('/etc/passwd', path);
    expect((await failureOf(staged.commit())).code).toBe('symlink');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('refuses a name that is too long, whole', async () => {
    const folder = temporaryFolder();
    expect((await failureOf(replaceFile(join(folder, 'x'.repeat(256)), bytes('new')))).code).toBe('io');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('when the disk fails', () => {
  let folder = '';
  let path = '';
  let restore: (() => void) | undefined;
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder, 'file');
    writeFileSync(path, 'old');
  });
  afterEach(() => restore?.());

  const faults: readonly [
    row: string,
    method: 'write' | 'sync' | 'chmod' | 'close',
    errno: string,
    code: HostCode,
  ][] = [
    ['F-03', 'write', 'ENOSPC', 'disk_full'],
    ['F-03', 'write', 'EDQUOT', 'quota'],
    ['F-03', 'sync', 'EMFILE', 'too_many_files'],
    ['F-05', 'write', 'EIO', 'io'],
    ['F-05', 'sync', 'EIO', 'io'],
    ['F-05', 'sync', 'ENOSPC', 'disk_full'],
    ['F-05', 'close', 'EIO', 'io'],
    ['F-08', 'chmod', 'EROFS', 'read_only'],
    ['F-08', 'chmod', 'EPERM', 'permission'],
  ];
  it.each(faults)(
    '%s: %s reports %s, the old file stays and nothing is left over',
    async (_row, method, errno, code) => {
      const fail = async (): Promise<never> => {
        throw Object.assign(new Error(errno), { code: errno });
      };
      // `close` belongs to each handle, not to their prototype: it is reached when the handle is first used.
      restore = await onHandles(
        method === 'close' ? 'chmod' : method,
        async function (this: FileHandle, original, ...args) {
          if (method !== 'close') return await fail();
          const close = this.close;
          this.close = async () => {
            await close();
            await fail();
          };
          return await original.apply(this, args);
        },
      );
      const failure = await failureOf(replaceFile(path, bytes('new')));
      const created = await failureOf(
        createFileExclusive(join(folder, 'created'), bytes('new'), { mode: 0o600 }),
      );
      restore();
      expect(failure.code).toBe(code);
      expect(created.code).toBe(code);
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(folder)).toEqual(['file']);
    },
  );

  it('F-05: fsync is not tried again on the same descriptor', async () => {
    let calls = 0;
    restore = await onHandles('sync', async () => {
      calls += 1;
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    });
    await failureOf(replaceFile(path, bytes('new')));
    expect(calls).toBe(1);
  });

  it('F-06: short writes go on until all is written', async () => {
    let calls = 0;
    restore = await onHandles('write', async function (this: FileHandle, original, ...args) {
      calls += 1;
      return await original.call(this, args[0], args[1], 1);
    });
    await replaceFile(path, bytes('hello'));
    expect(calls).toBe(5);
    expect(readFileSync(path, 'utf8')).toBe('hello');
  });

  it('F-03, F-06: a limit of the system that cuts a real write leaves the old file', async () => {
    const { command, args } = program('replace');
    const { exitCode, stdout } = await runChild({
      command: 'bash',
      // 4 blocks of 1,024 bytes: the first write is short, the next one fails with EFBIG.
      args: ['-c', 'ulimit -f 4; exec "$0" "$@"', command, ...args, path, '10000', '1'],
      environment: process.env,
      stdio: 'capture',
    });
    expect(text(stdout)).toBe('refused: quota\n');
    expect(exitCode).toBe(1);
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('F-01: a process killed at any moment leaves one whole content, and what is left over can be swept', async () => {
    const { command, args } = program('replace');
    for (const delay of [0, 3, 11, 29]) {
      const child = await startChild({
        command,
        args: [...args, path, '300000', '1000000'],
        environment: process.env,
      });
      await child.waitForLine(/begun/, 20);
      await new Promise((settle) => setTimeout(settle, delay));
      child.kill('SIGKILL');
      expect((await child.exited).signal).toBe('SIGKILL');
      const content = readFileSync(path, 'latin1');
      expect(content).toHaveLength(300_000);
      expect(new Set(content).size).toBe(1);
    }
    await removeTemporaryFiles(folder);
    expect(readdirSync(folder)).toEqual(['file']);
  });
});

describe('createFileExclusive', () => {
  it('creates once', async () => {
    const path = join(temporaryFolder(), 'file');
    await createFileExclusive(path, bytes('one'), { mode: 0o400 });
    expect((await failureOf(createFileExclusive(path, bytes('two'), { mode: 0o400 }))).code).toBe('exists');
    expect(readFileSync(path, 'utf8')).toBe('one');
    expect(statSync(path).mode & 0o777).toBe(0o400);
  });

  it('lets exactly one of many win', async () => {
    const path = join(temporaryFolder(), 'lock');
    const attempts = Array.from({ length: 20 }, (_, n) =>
      createFileExclusive(path, bytes(String(n)), { mode: 0o600 }),
    );
    const outcomes = await Promise.allSettled(attempts);
    const winners = outcomes.flatMap((outcome, n) => (outcome.status === 'fulfilled' ? [String(n)] : []));
    expect(winners).toEqual([readFileSync(path, 'utf8')]);
  });
});

describe('ensurePrivateDirectory', () => {
  it('makes the directory and its parents for us alone, and is content with its own work', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'a', 'b');
    await ensurePrivateDirectory(path);
    await ensurePrivateDirectory(path);
    expect([path, join(folder, 'a')].map((name) => statSync(name).mode & 0o777)).toEqual([0o700, 0o700]);
  });

  it('takes an existing one that others can only read, and leaves its mode alone', async () => {
    const path = temporaryFolder();
    chmodSync(path, 0o755);
    await ensurePrivateDirectory(path);
    expect(statSync(path).mode & 0o777).toBe(0o755);
  });

  const refusals: readonly [title: string, make: (folder: string) => string, code: HostCode][] = [
    [
      'a symbolic link',
      (folder) => {
        mkdirSync(join(folder, 'real'), { mode: 0o700 });
        symlinkSync('real', join(folder, 'link'));
        return join(folder, 'link');
      },
      'symlink',
    ],
    [
      'a file',
      (folder) => {
        writeFileSync(join(folder, 'file'), '');
        return join(folder, 'file');
      },
      'exists',
    ],
    [
      'a path through a file',
      (folder) => {
        writeFileSync(join(folder, 'file'), '');
        return join(folder, 'file', 'directory');
      },
      'not_found',
    ],
    [
      'one that the group may write to',
      (folder) => {
        chmodSync(folder, 0o770);
        return folder;
      },
      'permission',
    ],
    [
      'one that everybody may write to',
      (folder) => {
        chmodSync(folder, 0o1777);
        return folder;
      },
      'permission',
    ],
    [
      "another user's",
      (folder) => {
        if (process.getuid?.() !== 0) return '/usr';
        chownSync(folder, nobody, nobody);
        return folder;
      },
      'permission',
    ],
  ];
  it.each(refusals)('H11: refuses %s', async (_title, make, code) => {
    const path = make(temporaryFolder());
    const before = existsSync(path) ? statSync(path).mode : undefined;
    expect((await failureOf(ensurePrivateDirectory(path))).code).toBe(code);
    expect(existsSync(path) ? statSync(path).mode : before).toBe(before);
  });
});

describe('removeTemporaryFiles', () => {
  it('removes only what carries the prefix', async () => {
    const folder = temporaryFolder();
    await stageFile(join(folder, 'a'), bytes('a'));
    writeFileSync(join(folder, 'b'), 'b');
    expect(await removeTemporaryFiles(folder)).toBe(1);
    expect(readdirSync(folder)).toEqual(['b']);
  });

  it('INV-110: leaves a folder with the prefix alone, which a repository may bring to keep us from writing', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, '.clef-tmp-x', 'y'), { recursive: true });
    symlinkSync('/nowhere', join(folder, '.clef-tmp-link'));
    expect(await removeTemporaryFiles(folder)).toBe(1);
    expect(readdirSync(folder)).toEqual(['.clef-tmp-x']);
  });
});

describe('messages', () => {
  it('name the file with its control characters escaped, and carry the cause', async () => {
    const path = join(mkdtempSync('/tmp/clef-host-'), 'a\u001b[31m\n');
    const failure = await failureOf(readRegularFile(path, { maxBytes: 1 }));
    expect(failure).toMatchObject({ code: 'not_found', path });
    expect(failure.message).not.toMatch(/[\u0000-\u001f]/);
    expect(failure.cause).toMatchObject({ code: 'ENOENT' });
    rmSync(join(path, '..'), { recursive: true });
  });

  it('fsyncDirectory refuses a missing directory', async () => {
    expect((await failureOf(fsyncDirectory('/nowhere/at/all'))).code).toBe('not_found');
    await fsyncDirectory(temporaryFolder());
  });
});

type Method = (this: FileHandle, ...args: unknown[]) => Promise<unknown>;

/** Puts a fault between the code and the system, on the one prototype that all open files share. */
async function onHandles(
  method: 'write' | 'sync' | 'chmod' | 'stat',
  replacement: (this: FileHandle, original: Method, ...args: unknown[]) => Promise<unknown>,
): Promise<() => void> {
  const probe = await open('/dev/null', 'r');
  const prototype = Object.getPrototypeOf(probe) as Record<string, Method>;
  await probe.close();
  const original = prototype[method] as Method;
  const spy = vi.spyOn(prototype, method).mockImplementation(function (this: FileHandle, ...args: unknown[]) {
    return replacement.call(this, original, ...args);
  });
  return () => spy.mockRestore();
}
