// INV-18 for `clef edit`: under strace every system call that names a file or writes into one is watched, of clef and of the
// editor. Plaintext reaches files below /dev/shm alone, and none of them is left.
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clefPath, sandbox, succeed } from '../packages/cli/test/run-clef.ts';
import { hasPeer, runPeer } from './peers.ts';

const cell = 'database/development';
const old = 'CANARY-old-51b0c7';
const typed = 'CANARY-typed-9e2d44';
const calls =
  'openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,rename,renameat,renameat2,link,linkat,symlink,symlinkat';

describe.runIf(hasPeer('strace'))('INV-18: under strace', () => {
  it('edit: plaintext is in files of memory alone, and they are gone', async () => {
    const box = sandbox();
    await succeed(box.shell('git init --quiet .'));
    await succeed(box.clef(['init']));
    await succeed(box.clef(['set', cell, 'SECRET'], { input: old }));
    // As editors do: a swap file, a backup, a new file that takes the place of the old one, and a temporary file.
    const editor = box.write(
      'editor.sh',
      `set -e
       cp "$1" "$1~"; cp "$1" "$(dirname "$1")/.swp"
       sed -i 's/${old}/${typed}/' "$1"
       cat "$1" > "$(mktemp)"
       printf '%s' "$1" > place\n`,
    );
    const log = join(box.home, 'strace.log');
    const edit = await runPeer(
      'strace',
      [
        '-f',
        '-y',
        '-s',
        '1000000',
        '-e',
        `trace=${calls}`,
        '-o',
        log,
        process.execPath,
        clefPath,
        'edit',
        cell,
      ],
      { cwd: box.folder, environment: { ...box.environment, EDITOR: `sh '${editor}'` } },
    );
    expect(edit.stderr).toContain(`Stored in ${cell}: 0 added, 1 changed, 0 deleted`);
    expect((await succeed(box.clef(['get', cell, 'SECRET']))).stdout).toBe(typed);

    const lines = readFileSync(log, 'utf8').split('\n');
    const targets = lines.flatMap((line) => {
      const [, target] = /^\d+ +(?:write|pwrite64|writev|pwritev2?)\(\d+<(\/[^>]*)>/.exec(line) ?? [];
      return target !== undefined && (line.includes(old) || line.includes(typed)) ? [target] : [];
    });
    const place = dirname(box.read('place'));
    expect(place).toMatch(/^\/dev\/shm\/clef-edit-/);
    // The watch itself works: both values are seen on their way into memory (copies of files pass by another call).
    expect(targets.length).toBeGreaterThanOrEqual(2);
    expect(targets.filter((target) => !target.startsWith(`${place}/`))).toEqual([]);
    expect(existsSync(place)).toBe(false);

    const files = readdirSync(join(box.folder, '..'), { recursive: true, encoding: 'utf8' })
      .map((name) => join(box.folder, '..', name))
      .filter((path) => lstatSync(path).isFile() && path !== log && path !== editor);
    expect(files.filter((path) => readFileSync(path, 'latin1').includes('CANARY-'))).toEqual([]);
  });
});
