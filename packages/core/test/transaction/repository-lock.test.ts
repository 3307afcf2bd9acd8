// One writer at a time: living holders are waited for, dead ones replaced, and what cannot be judged is never free.

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ClefError } from '../../src/errors.ts';
import { withRepositoryLock } from '../../src/transaction/commit-files.ts';
import {
  describeThisProcess,
  formatLock,
  judgeHolder,
  type LockHolder,
  parseLock,
} from '../../src/transaction/lock-holder.ts';
import { type Bench, openBench } from './bundle-child.ts';
import { options } from './disk-scenarios.ts';

let bench: Bench;
let root: string;
let self: LockHolder;
const nonce = '0123456789abcdef0123456789abcdef';

beforeAll(async () => {
  bench = await openBench();
  self = await describeThisProcess('a test', 1_700_000_000_000, nonce);
});
afterAll(async () => {
  await rm(bench.folder, { recursive: true, force: true });
});
beforeEach(async () => {
  root = await mkdtemp(join(bench.folder, 'l-'));
  await mkdir(join(root, '.clef'));
});

const take = (more: { waitSeconds?: number; breakLock?: boolean } = {}) =>
  withRepositoryLock(root, { ...options, waitSeconds: 0.2, ...more }, async () => 'taken').catch(
    (error: ClefError) => error,
  );

const lockWith = (holder: object) => writeFile(join(root, '.clef/lock'), JSON.stringify(holder));

describe('a holder that lives', () => {
  it('INV-102: is named after the wait, and the lock is free when it ends', async () => {
    const holder = bench.start('hold', root);
    expect(await holder.firstLine()).toBe('held');
    const error = (await take()) as ClefError;
    expect([error.code, error.errorClass]).toEqual(['lock_held', 'lock']);
    expect(error.message).toMatch(
      /^Another process is writing to this repository: process \d+ on .* \(hold on\)$/,
    );
    const waiting = take({ waitSeconds: 10 });
    holder.kill();
    await holder.end;
    expect(await waiting).toBe('taken');
  });

  it('INV-102: a wait of zero is one try', async () => {
    await lockWith(self);
    const started = performance.now();
    expect(((await take({ waitSeconds: 0 })) as ClefError).code).toBe('lock_held');
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('a holder that is dead', () => {
  const rows: readonly [string, () => LockHolder][] = [
    ['F-12: no process has its id', () => ({ ...self, pid: 4_194_304 })],
    ['F-12: its id was given to another process', () => ({ ...self, started: '1' })],
    ['F-12: the machine was started again', () => ({ ...self, boot: 'another-boot pid:[1]' })],
  ];
  for (const [title, holder] of rows) {
    it(`${title}: the lock is taken over, whatever its age`, async () => {
      await lockWith({ ...holder(), since: Number.MAX_SAFE_INTEGER });
      expect(await take()).toBe('taken');
      expect((await readdir(join(root, '.clef'))).sort()).toEqual(['.gitignore']);
    });
  }

  it('F-02, INV-103: also when one that was about to take it over died in its turn, and the next too', async () => {
    const dead = { ...self, pid: 4_194_304 };
    const [first, second] = ['1'.repeat(32), '2'.repeat(32)];
    await lockWith({ ...dead, nonce });
    await writeFile(join(root, `.clef/lock.break.${nonce}`), JSON.stringify({ ...dead, nonce: first }));
    await writeFile(join(root, `.clef/lock.break.${first}`), JSON.stringify({ ...dead, nonce: second }));
    await writeFile(join(root, `.clef/lock.4194304.${second}`), '');
    expect(await take()).toBe('taken');
    expect((await readdir(join(root, '.clef'))).sort()).toEqual(['.gitignore']);
  });

  it('F-12: of many who find it dead, each gets its turn and none at the same time', async () => {
    await lockWith({ ...self, pid: 4_194_304 });
    let inside = 0;
    const turns = Array.from({ length: 12 }, () =>
      withRepositoryLock(root, { ...options, waitSeconds: 10 }, async () => {
        inside += 1;
        expect(inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 2));
        inside -= 1;
      }),
    );
    await Promise.all(turns);
  });
});

describe('a lock that cannot be judged', () => {
  const rows: readonly [string, () => Promise<unknown>][] = [
    ['F-12: of another host', () => lockWith({ ...self, host: 'elsewhere' })],
    [
      'F-12: of another container of this host',
      () => lockWith({ ...self, boot: `${self.boot?.split(' ')[0]} pid:[1]` }),
    ],
    ['F-13: empty', () => writeFile(join(root, '.clef/lock'), '')],
    ['F-13: cut short', () => writeFile(join(root, '.clef/lock'), formatLock(self).subarray(0, 40))],
    ['F-13: not JSON', () => writeFile(join(root, '.clef/lock'), 'pid 1\n')],
    ['F-13: without a usable process id', () => lockWith({ ...self, pid: -1 })],
    ['F-13: larger than any lock', () => writeFile(join(root, '.clef/lock'), ' '.repeat(10_000))],
  ];
  for (const [title, prepare] of rows) {
    it(`${title}: is never taken for free, and --break-lock is the way through`, async () => {
      await prepare();
      const error = (await take()) as ClefError;
      expect(error.code).toBe('lock_held');
      expect(error.hint).toContain('--break-lock');
      expect(await take({ breakLock: true })).toBe('taken');
    });
  }

  it('F-13: a folder of that name', async () => {
    await mkdir(join(root, '.clef/lock'));
    expect(((await take()) as ClefError).code).toBe('lock_held');
  });

  it('F-13: a dangling link of that name', async () => {
    await symlink(join(root, 'nowhere'), join(root, '.clef/lock'));
    expect(((await take()) as ClefError).code).toBe('lock_held');
  });

  it('--break-lock does not take the lock from a process that lives', async () => {
    await lockWith(self);
    expect(((await take({ breakLock: true })) as ClefError).code).toBe('lock_held');
  });
});

describe('the lock file', () => {
  it('reads back as it was written', () => {
    expect(parseLock(formatLock(self))).toEqual(self);
  });

  it('says who holds it, and hides control characters of the purpose', async () => {
    await withRepositoryLock(root, { ...options, purpose: 'set \u001b[31m\u202e' }, async () => {
      const holder = parseLock(await readFile(join(root, '.clef/lock')));
      expect([holder?.pid, holder?.host, holder?.purpose]).toEqual([
        process.pid,
        hostname(),
        'set \\x1b[31m\\u202e',
      ]);
    });
  });

  it('a process that this one may not signal is alive', async () => {
    expect(await judgeHolder({ ...self, pid: 1, started: (await describeInit()) ?? '' })).toBe('alive');
  });

  async function describeInit(): Promise<string | undefined> {
    const stat = await readFile('/proc/1/stat', 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  }
});

describe('many processes', () => {
  it('INV-102: 20 processes append to one file, and every line that was reported is there', async () => {
    await writeFile(join(root, 'shared.enc.yaml'), '');
    const ends = await Promise.all(
      Array.from({ length: 20 }, (_, index) => bench.run('write', root, `w${index}`, '3')),
    );
    const reported = ends.map(({ stdout, stderr }) => `${stderr}${stdout.trim()}`);
    expect(reported).toEqual(Array.from({ length: 20 }, () => '3'));
    const lines = (await readFile(join(root, 'shared.enc.yaml'), 'utf8')).trim().split('\n');
    expect(lines.sort()).toEqual(
      Array.from({ length: 20 }, (_, w) => [0, 1, 2].map((r) => `w${w}.${r}`))
        .flat()
        .sort(),
    );
    expect((await readdir(join(root, '.clef'))).sort()).toEqual(['.gitignore']);
  });
});
