// The rows of the fault catalogue that need the whole command, by number. F-01 to F-03, F-05, F-08: sweep.test.ts; F-17:
// power-loss.test.ts; F-04, F-06, F-09, F-10, F-11, F-12, F-13, F-16: core/test/transaction; F-15: cli/test; F-19: cli/test/exec.test.ts;
// F-20: core/test/git-and-init.test.ts; F-07 holds by construction, see the order below.

import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Step, scenarios } from './scenarios.ts';
import {
  clefPath,
  inTurns,
  judge,
  newBench,
  noticesIn,
  type Place,
  type Prepared,
  prepare,
  type Ran,
  readTree,
  removePlace,
  run,
} from './stage.ts';
import { reasons, spread } from './sweep.ts';

const bench = newBench();
const cellPath = 'secrets/database/development.enc.yaml';
const sidecarPath = 'secrets/database/development.meta.yaml';
let set: Prepared;
let namespace: Prepared;

const scenario = (name: string) => {
  const found = scenarios.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`No scenario "${name}"`);
  return found;
};

beforeAll(async () => {
  set = await prepare(bench, scenario('set, a value'));
  namespace = await prepare(bench, scenario('set, a new namespace'));
}, 120_000);
afterAll(() => rmSync(bench, { recursive: true, force: true }));

/** The number of the first call of the log that fits. */
const callOf = ({ log }: Prepared, op: string, path: RegExp): number => {
  const entry = log.find((candidate) => candidate.op === op && path.test(candidate.to ?? candidate.path));
  if (entry === undefined) throw new Error(`No ${op} of ${path}`);
  return entry.n;
};

describe('the order of calls', () => {
  it('F-07, INV-104: staged beside its destination and synced, names too, then the record, then the renames, then the folders', () => {
    for (const prepared of [set, namespace]) {
      const { log } = prepared;
      const record = callOf(prepared, 'rename', /\.clef\/journal$/);
      const isAfter = (op: string, path: string, than: number, before = Number.POSITIVE_INFINITY) =>
        log.some((entry) => entry.op === op && entry.path === path && entry.n > than && entry.n < before);
      const moves = log.filter(({ op, to }) => op === 'rename' && !to?.includes('/.clef/'));
      expect(moves.length).toBeGreaterThan(1);
      expect(isAfter('sync', 'work/.clef/journal.plan', 0, record)).toBe(true);
      expect(isAfter('sync', 'work/.clef', record, moves[0]?.n)).toBe(true);
      for (const { path, to, n } of moves) {
        expect(dirname(to ?? '')).toBe(dirname(path));
        const written = Math.max(
          ...log.filter((entry) => entry.path === path && entry.op === 'write').map((entry) => entry.n),
        );
        expect(isAfter('sync', path, written, record)).toBe(true);
        expect(isAfter('sync', dirname(path), written, record)).toBe(true);
        expect(n).toBeGreaterThan(record);
        expect(isAfter('sync', dirname(path), n, callOf(prepared, 'unlink', /\.clef\/journal$/))).toBe(true);
      }
    }
  });

  it('a change of one file has no record: two syncs and that of the lock', async () => {
    const service = await prepare(bench, scenario('service create'));
    const synced = service.log.filter(({ op, path }) => op === 'sync' && path.startsWith('work'));
    expect(synced.map(({ path }) => path.replace(/(lock|tmp).*/, '$1'))).toEqual([
      'work/.clef/lock',
      'work/.clef-tmp',
      'work',
    ]);
    expect(service.log.some(({ to }) => to?.endsWith('/journal'))).toBe(false);
  });
});

/** Starts the command, stops it before call `at`, does something, and lets it go on. */
async function stoppedAt(prepared: Prepared, at: number, meanwhile: (work: string) => unknown) {
  const place = prepared.copy();
  const here = join(dirname(place.work), 'waiting');
  const running = run(place, prepared.scenario.run, { at, action: `wait:${here}` });
  while (!existsSync(here)) await sleep(5);
  const seen = meanwhile(place.work);
  rmSync(here);
  const ran = await running;
  return { place, ran, seen };
}

describe('what else happens meanwhile', () => {
  it('INV-18, INV-105: journal and staged files are for the owner or public as the file, and hold ciphertext and names alone', async () => {
    const { place, seen } = await stoppedAt(set, callOf(set, 'rename', /sidecar|\.meta\.yaml$/), (work) => ({
      mode: statSync(join(work, '.clef/journal')).mode & 0o777,
      text: readFileSync(join(work, '.clef/journal'), 'utf8'),
      files: readTree({ work, home: work }).leftovers,
    }));
    const { mode, text, files } = seen as { mode: number; text: string; files: string[] };
    expect(mode).toBe(0o600);
    expect(Object.keys(JSON.parse(text.split('\n')[0] as string) as object)).toEqual([
      'version',
      'root',
      'purpose',
      'files',
      'folders',
      'discard',
    ]);
    expect(files).toHaveLength(3);
    removePlace(place);
  });

  it('F-10, INV-101, INV-106: an editor that saves at any moment keeps its bytes, and hears of it', async () => {
    const theirs = 'theirs: ENC[edited]\n';
    const rename = callOf(set, 'rename', /development\.enc\.yaml$/);
    const from = callOf(set, 'open', /journal\.plan$/);
    // Between the last look and the rename there is no call at which one could be stopped but the rename itself: an edit
    // in these microseconds is lost, and no call of the system that Node offers could prevent it.
    const moments = spread(set.calls - from, 12)
      .map((at) => at + from)
      .filter((at) => at !== rename);
    const ends = await inTurns(
      moments.map((at, index) => async () => {
        const { place, ran } = await stoppedAt(set, at, (work) => {
          const path = join(work, cellPath);
          if (index % 2 === 0) writeFileSync(path, theirs);
          else {
            writeFileSync(`${path}.swp`, theirs);
            renameSync(`${path}.swp`, path);
          }
        });
        const { tree, leftovers } = readTree(place);
        removePlace(place);
        const isBefore = at < rename;
        return {
          at,
          isKept: tree[cellPath] === theirs,
          isTold: !isBefore || (ran.exitCode === 9 && ran.stderr.includes(cellPath)),
          isWhole: !isBefore || tree[sidecarPath] === set.old[sidecarPath],
          leftovers,
        };
      }),
    );
    expect(ends.length).toBeGreaterThan(8);
    expect(ends).toEqual(
      ends.map(({ at }) => ({ at, isKept: true, isTold: true, isWhole: true, leftovers: [] })),
    );
  }, 60_000);

  it('F-09: a folder that is replaced by a link meanwhile leads nothing outside', async () => {
    const { place, ran } = await stoppedAt(set, callOf(set, 'open', /development|\.clef-tmp-/), (work) => {
      const outside = join(dirname(work), 'outside');
      mkdirSync(outside);
      renameSync(join(work, 'secrets/database'), join(work, 'secrets/moved'));
      symlinkSync(outside, join(work, 'secrets/database'));
    });
    expect([3, 8, 9]).toContain(ran.exitCode);
    expect(existsSync(join(dirname(place.work), 'outside', 'development.enc.yaml'))).toBe(false);
    removePlace(place);
  });
});

describe('F-14: signals', () => {
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`${signal} at any moment of a change: whole or taken back at once, nothing left, exit ${exitCode}`, async () => {
      const from = callOf(namespace, 'open', /journal\.plan$/);
      const last = callOf(namespace, 'unlink', /\.clef\/journal$/);
      const ends = await inTurns(
        spread(last - from, 5).map((at) => async () => {
          const place = namespace.copy();
          const started = performance.now();
          const ran = await run(place, namespace.scenario.run, { at: at + from, action: `signal:${signal}` });
          const { tree, leftovers } = readTree(place);
          const isLocked = existsSync(join(place.work, '.clef/lock'));
          removePlace(place);
          return {
            exitCode: ran.exitCode,
            isWhole: judge(namespace, tree) !== 'mixed',
            leftovers,
            isLocked,
            isSoon: performance.now() - started < 8000,
          };
        }),
      );
      const right = { exitCode, isWhole: true, leftovers: [], isLocked: false, isSoon: true };
      expect(ends).toEqual(ends.map(() => right));
    }, 60_000);
  }

  it('a second SIGINT ends it at once and leaves the journal, which the next command settles', async () => {
    const place = namespace.copy();
    const at = callOf(namespace, 'rename', /\.clef\/journal$/);
    const ran = await run(place, namespace.scenario.run, { at, action: 'signal:SIGINT', stays: true });
    expect(ran.exitCode).toBe(130);
    expect(readTree(place).leftovers).toContain('.clef/journal');
    expect(noticesIn((await run(place, { args: ['list'] })).stderr)).toBe(1);
    expect(judge(namespace, readTree(place).tree)).toBe('new');
    removePlace(place);
  });
});

describe('the keys of a person, which are in no repository', () => {
  it('F-01, F-03: key generate, killed or failing at any call: every listed key opens, and the next one is made', async () => {
    const prepared = await prepare(bench, {
      ...scenario('set, a value'),
      name: 'key generate',
      run: { args: ['key', 'generate'] },
    });
    expect(prepared.calls).toBeGreaterThan(8);
    const faults = spread(prepared.calls, 6).flatMap((at, index) => [
      { at, action: 'kill-before' },
      { at, action: 'error', errno: Object.keys(reasons)[index % 6] as string, stays: true },
    ]);
    const ends = await inTurns(
      faults.map((fault) => async () => {
        const place = prepared.copy();
        const failed = await run(place, prepared.scenario.run, fault);
        const keys = await listedKeys(place);
        const shown = await inTurns(
          keys.map((key) => () => run(place, { args: ['key', 'show', key, '--private'] })),
        );
        const next = await run(place, prepared.scenario.run);
        const after = await listedKeys(place);
        removePlace(place);
        return {
          ...fault,
          isClear: isClear(failed, fault.errno),
          isTold: failed.exitCode !== 0 || keys.length === 2,
          opening: shown.filter(({ stdout }) => stdout.includes('AGE-SECRET-KEY-1')).length - keys.length,
          next: next.exitCode,
          more: after.length - keys.length,
        };
      }),
    );
    const right = {
      isClear: true,
      isTold: true,
      opening: 0,
      next: 0,
      more: 1,
    };
    expect(ends).toEqual(faults.map((fault) => ({ ...fault, ...right })));
  }, 60_000);

  /** Done, killed, or refused with what to do. */
  const isClear = ({ exitCode, stderr }: Ran, errno: string | undefined): boolean =>
    exitCode === 0 ||
    (errno === undefined ? exitCode === 137 : exitCode === 8 && reasons[errno]?.test(stderr) === true);

  async function listedKeys(place: Place): Promise<readonly string[]> {
    const { stdout } = await run(place, { args: ['key', 'list', '--json'] });
    return (JSON.parse(stdout) as { recipient: string }[]).map(({ recipient }) => recipient);
  }
});

describe('locks', () => {
  it('F-12: --break-lock takes the lock of a host that is gone', async () => {
    const place = set.copy();
    const holder = { host: `not-${hostname()}`, pid: 1, purpose: 'set', since: 1, nonce: '0'.repeat(32) };
    writeFileSync(join(place.work, '.clef/lock'), JSON.stringify(holder));
    const through = await run(place, {
      ...set.scenario.run,
      args: ['--break-lock', ...set.scenario.run.args],
    });
    expect([through.exitCode, judge(set, readTree(place).tree)]).toEqual([0, 'new']);
    removePlace(place);
  }, 60_000);

  it('INV-102: of fifty processes that each store twenty keys, every key is there or its process said why not', async () => {
    const place = set.copy();
    const writers = Array.from({ length: 50 }, (_, writer) => ({
      keys: Array.from({ length: 20 }, (_, key) => `W${writer}_K${key}`),
    }));
    const ends = await inTurns(
      writers.map(({ keys }) => async () => ({
        keys,
        ran: await run(place, { args: ['set', 'database/development', ...keys, '--generate'] }),
      })),
      50,
    );
    const stored = ends.filter(({ ran }) => ran.exitCode === 0).flatMap(({ keys }) => keys);
    for (const { ran } of ends.filter(({ ran }) => ran.exitCode !== 0)) {
      expect(ran.exitCode).toBe(9);
      expect(ran.stderr).toMatch(/process \d+ on/);
    }
    process.stderr.write(`fifty writers: ${stored.length} of 1000 keys stored, the rest reported\n`);
    const { stdout } = await run(place, { args: ['list', 'database/development', '--json'] });
    const listed = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
    expect(listed.filter((key) => key.startsWith('W')).sort()).toEqual(stored.sort());
    expect(stored.length).toBeGreaterThan(100);
    removePlace(place);
  }, 300_000);
});

describe('limits of the machine', () => {
  it('F-18: 1,000 cells are read with 64 files open at most, by every command that looks at all of them', async () => {
    const place = set.copy();
    const at = (path: string): string => join(place.work, path);
    const names = (prefix: string, count: number): string =>
      Array.from({ length: count }, (_, index) => `  - name: ${prefix}${index}\n`).join('');
    const text = readFileSync(at('clef.yaml'), 'utf8')
      .replace(/^environments:\n(?: .*\n)+/m, `environments:\n${names('e', 25)}`)
      .replace(/^namespaces:\n(?: .*\n)+/m, `namespaces:\n${names('n', 40)}`);
    writeFileSync(at('clef.yaml'), text);
    for (let namespace = 0; namespace < 40; namespace += 1) {
      mkdirSync(at(`secrets/n${namespace}`));
      for (let environment = 0; environment < 25; environment += 1)
        copyFileSync(at(cellPath), at(`secrets/n${namespace}/e${environment}.enc.yaml`));
    }
    const script = (args: string): Step => ({
      program: 'sh',
      args: ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, clefPath, ...args.split(' ')],
    });
    const commands = [
      'list',
      'explain DB_URL',
      'search DB',
      'doctor',
      'environment rename e1 dev --yes',
      'rotate --all --dry-run',
    ];
    for (const command of commands) {
      const { stdout, stderr, exitCode } = await run(place, script(command));
      expect([command, `${stdout}${stderr}`.match(/.*too many.*/g)?.slice(0, 2), exitCode]).toEqual([
        command,
        undefined,
        0,
      ]);
    }
    removePlace(place);
  }, 60_000);

  it('F-08: as a user who may not write here: refused with 8, nothing changed, and reading still works', async () => {
    const place = set.copy();
    const isRoot = process.getuid?.() === 0;
    const asNobody = (args: readonly string[]): Promise<{ code: number | null; stderr: string }> =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [clefPath, ...args], {
          cwd: place.work,
          env: { PATH: process.env['PATH'], HOME: place.home, CLEF_KEYCHAIN: 'off' },
          stdio: ['pipe', 'ignore', 'pipe'],
          ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
        });
        let stderr = '';
        child.stderr.on('data', (chunk) => {
          stderr += String(chunk);
        });
        child.on('error', reject);
        child.on('close', (code) => resolve({ code, stderr }));
        child.stdin.end('value');
      });
    const { chmodSync, chownSync } = await import('node:fs');
    // The bench of this test is for its owner alone.
    chmodSync(bench, 0o755);
    if (isRoot) chownSync(join(place.work, '.clef'), 0, 0);
    chmodSync(join(place.work, '.clef'), 0o555);
    // Root would write anywhere: the refusal is shown to be one of the system first.
    await expect(
      new Promise((resolve, reject) => {
        const probe = spawn(
          'touch',
          [join(place.work, '.clef/probe')],
          isRoot ? { uid: 65_534, gid: 65_534 } : {},
        );
        probe.on('error', reject);
        probe.on('close', resolve);
      }),
    ).resolves.toBe(1);
    const refused = await asNobody([
      'recipients',
      'add',
      'carol',
      'age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj',
      '--environments',
      'development',
      '--yes',
    ]);
    expect(refused.stderr).toMatch(/permission/);
    expect(refused.code).toBe(8);
    expect((await asNobody(['list'])).code).toBe(0);
    expect(judge(set, readTree(place).tree)).toBe('old');
    chmodSync(join(place.work, '.clef'), 0o755);
    removePlace(place);
  }, 30_000);
});
