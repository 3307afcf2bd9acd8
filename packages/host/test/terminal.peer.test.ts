// What only a real terminal and a real tracer can show: Ctrl-C arrives once; nothing is renamed before it is synced.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runChild, startChild } from '../src/index.ts';
import { program, temporaryFolder } from './fixtures.ts';

const quoteForShell = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

it('INV-95: Ctrl-C in a terminal reaches the child once, not twice (peer: script of util-linux)', async () => {
  const { command, args } = program('forward');
  const folder = temporaryFolder();
  const count =
    'n=0; trap \'n=$((n+1))\' INT; echo ready; i=0; while [ $i -lt 30 ]; do sleep 0.1; i=$((i+1)); done; echo "count=$n"; exit 7';
  const inner = [command, ...args, 'sh', '-c', count].map(quoteForShell).join(' ');
  // The reader of the output types Ctrl-C once the child is ready.
  const outer = `mkfifo keys; script -qec ${quoteForShell(inner)} log < keys > out & exec 3> keys; until grep -q ready out; do sleep 0.1; done; printf '\\003' >&3; wait $!`;
  const { exitCode } = await runChild({
    command: 'sh',
    args: ['-c', outer],
    environment: process.env,
    stdio: 'capture',
    cwd: folder,
    timeoutSeconds: 60,
  });
  expect(readFileSync(join(folder, 'out'), 'utf8')).toContain('count=1');
  expect(exitCode).toBe(7);
});

it('INV-95: SIGTSTP to us stops the child and then us, SIGCONT to us wakes both, at once again too (peer: python3, for a group of its own)', async () => {
  const { command, args } = program('forward');
  // The trap first: a signal that comes before it wakes the child and says nothing.
  const script =
    "n=0; trap 'n=$((n+1)); echo woken $n; test $n = 1 || exit 5' CONT; echo child $$; while :; do sleep 0.05; done";
  // A group of its own below a parent of the same session, as a shell's jobs have: the system stops no orphaned group. Not bash,
  // which has no jobs in a session without a terminal.
  const parentOfGroup = [
    'import os, sys',
    'pid = os.fork()',
    'if pid == 0: os.setpgid(0, 0); os.execvp(sys.argv[1], sys.argv[1:])',
    "print('parent', pid, flush=True)",
    'sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))',
  ].join('\n');
  const shell = await startChild({
    command: 'python3',
    args: ['-c', parentOfGroup, command, ...args, 'sh', '-c', script],
    environment: process.env,
  });
  const child = Number((await shell.waitForLine(/^child \d+$/, 20)).split(' ')[1]);
  const parent = Number((await shell.waitForLine(/^parent \d+$/, 20)).split(' ')[1]);
  for (const round of [1, 2]) {
    process.kill(parent, 'SIGTSTP');
    await until(() => stateOf(child) === 'T' && stateOf(parent) === 'T');
    process.kill(parent, 'SIGCONT');
    await shell.waitForLine(new RegExp(`^woken ${round}$`), 10);
  }
  expect((await shell.exited).exitCode).toBe(5);
});

/** The letter of a process's state in /proc: T is stopped. */
function stateOf(pid: number): string | undefined {
  return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1];
}

async function until(isTrue: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error('it did not come true in 10 s');
    await new Promise((settle) => setTimeout(settle, 50));
  }
}

it('INV-104: write, fsync, rename, fsync of the directory, in this order (peer: strace)', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'file');
  writeFileSync(path, 'old');
  const { command, args } = program('replace');
  const trace = join(folder, 'trace');
  const calls = 'trace=openat,write,pwrite64,fsync,rename,renameat,renameat2,fchmod';
  const run = await runChild({
    command: 'strace',
    args: ['-f', '-y', '-qq', '-o', trace, '-e', calls, command, ...args, path, '10', '1'],
    environment: process.env,
    stdio: 'capture',
  });
  expect(run.exitCode).toBe(0);
  const steps = readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => line.includes(folder) || line.includes('.clef-tmp-'))
    .map((line) => {
      const call = /^\d+ +(\w+)\(/.exec(line)?.[1] ?? '';
      const isDirectory = line.includes(`<${folder}>)`) || line.includes('O_DIRECTORY');
      if (call === 'openat')
        return isDirectory
          ? 'open directory'
          : /O_CREAT\|O_EXCL\|O_NOFOLLOW/.test(line)
            ? 'create exclusively'
            : 'open';
      return call === 'fsync'
        ? `fsync ${isDirectory ? 'directory' : 'file'}`
        : call.replace(/^(rename|write|pwrite).*/, '$1');
    });
  expect(steps).toEqual([
    'open directory',
    'create exclusively',
    'fchmod',
    'write',
    'fsync file',
    'rename',
    'fsync directory',
  ]);
});
