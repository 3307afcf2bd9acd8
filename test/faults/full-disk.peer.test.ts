// F-03 on a real disk that is full: a tmpfs of a few pages in a mount namespace of its own, with one page less to spare each
// time. And a real read-only one (F-08).

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hasPeer, runPeer } from '../peers.ts';
import { canary, scenarios } from './scenarios.ts';
import { clefPath, newBench, type Prepared, prepare } from './stage.ts';

const bench = newBench();
afterAll(() => rmSync(bench, { recursive: true, force: true }));

/**
 * Mounts a small disk on `work`, copies the tree to it, leaves `$1` pages free, runs the command, and prints its exit code,
 * how many files differ from the old tree, and the exit code of the next command once there is space again.
 */
const script = `
set -e
mount -t tmpfs -o size=1m tmpfs disk
cp -a old/. disk/
cd disk
dd if=/dev/zero of=.git/filler bs=4096 2>/dev/null || true
truncate -s "-$(($1 * 4096))" .git/filler
if [ "$2" = ro ]; then mount -o remount,ro "$PWD"; fi
code=0; node "$CLEF" set database/development DB_URL < ../value > /dev/null 2> ../stderr || code=$?
if [ "$2" = ro ]; then mount -o remount,rw "$PWD"; fi
rm .git/filler
changed=$(diff -rq ../old . | grep -v -e 'Only in ./.clef' | wc -l)
next=0; node "$CLEF" get database/development DB_URL > ../value-after 2>/dev/null || next=$?
left=$(find . -name '.clef-tmp-*' -o -name 'journal*' -path '*/.clef/*' | wc -l)
echo "$code $changed $next $left"
`;

describe.runIf(hasPeer('unshare'))('a disk without space', () => {
  const scenario = scenarios.find(({ name }) => name === 'set, a value');

  let prepared: Prepared | undefined;

  async function runOn(pages: number, kind: 'full' | 'ro') {
    if (scenario === undefined) throw new Error('No scenario');
    prepared ??= await prepare(bench, scenario);
    const place = prepared.copy();
    const top = join(place.work, '..');
    cpSync(place.work, join(top, 'old'), { recursive: true });
    rmSync(place.work, { recursive: true });
    writeFileSync(join(top, 'value'), `${canary}-${'x'.repeat(20_000)}`);
    const { exitCode, stdout, stderr } = await runPeer(
      'unshare',
      ['-rm', 'sh', '-c', `mkdir disk; ${script}`, 'sh', String(pages), kind],
      { cwd: top, environment: { HOME: place.home, CLEF_KEYCHAIN: 'off', CLEF: clefPath } },
    );
    expect([exitCode, stderr]).toEqual([0, '']);
    const [code, changed, next, left] = stdout.trim().split(' ').map(Number);
    return { pages, code, changed, next, left, stderr: readFileSync(join(top, 'stderr'), 'utf8') };
  }

  it('F-03: with ever less space, all or nothing is written, and what is missing is said without the value', async () => {
    const ends = [];
    for (const pages of [0, 1, 2, 4, 6, 8, 30]) ends.push(await runOn(pages, 'full'));
    for (const end of ends) {
      expect(end).toMatchObject(
        end.code === 0 ? { changed: 2, next: 0, left: 0 } : { code: 8, changed: 0, next: 0, left: 0 },
      );
      if (end.code !== 0) expect(end.stderr).toMatch(/the disk is full/);
      expect(end.stderr).not.toContain(canary);
    }
    expect([ends[0]?.code, ends.at(-1)?.code]).toEqual([8, 0]);
  });

  it('F-08: a read-only file system', async () => {
    expect(await runOn(30, 'ro')).toMatchObject({
      code: 8,
      changed: 0,
      next: 0,
      left: 0,
      stderr: expect.stringMatching(/read-only/),
    });
  });
});
