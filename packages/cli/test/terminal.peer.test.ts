// What only a real terminal, a real first process and a real shell can show.
import { describe, expect, it } from 'vitest';
import { hasPeer, runPeer } from '../../../test/peers.ts';
import { clefPath, sandboxWith } from './run-clef.ts';

const cell = 'database/development';

/** Runs a command line in a terminal of its own, and writes on all that the terminal is sent. */
const inTerminal = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

describe.runIf(hasPeer('python3'))('on a terminal', () => {
  const evil = {
    OSC: 'a\u001b]52;c;Y2Fu\u0007b',
    CSI: 'a\u001b[2J\u009b31mb',
    BIDI: 'a\u202eb\u2066c',
    CR: 'visible\rhidden',
    MIX: 'line one\n\ttabbed\u007f',
  };
  const shared = sandboxWith(evil);
  const onTerminal = async (...args: readonly string[]) => {
    const box = await shared;
    const line = ['-c', inTerminal, process.execPath, clefPath, ...args];
    return runPeer('python3', line, { cwd: box.folder, environment: { ...box.environment, TERM: 'xterm' } });
  };

  it.each<readonly [keyof typeof evil, string]>([
    ['OSC', 'a\\x1b]52;c;Y2Fu\\x07b\r\n'],
    ['CSI', 'a\\x1b[2J\\x9b31mb\r\n'],
    ['BIDI', 'a\\u202eb\\u2066c\r\n'],
    ['CR', 'visible\\rhidden\r\n'],
    ['MIX', 'line one\r\n\ttabbed\\x7f\r\n'],
  ])('INV-20: get shows %s escaped, and --raw as it is', async (key, shown) => {
    expect((await onTerminal('get', cell, key)).stdout).toBe(shown);
    expect((await onTerminal('get', cell, key, '--raw')).stdout).toBe(
      `${evil[key].replaceAll('\n', '\r\n')}\r\n`,
    );
  });

  it('INV-20: what search and an error repeat of a person’s words is escaped too', async () => {
    const { stdout } = await onTerminal('get', cell, 'A\u001b]52;c;x\u0007');
    expect(stdout).not.toMatch(/\u001b\]|\u0007/);
  });

  it('--redact says that the command has no terminal', async () => {
    const ran = await onTerminal('exec', cell, '--redact', '--', 'sh', '-c', 'test -t 1 || echo a pipe');
    expect(ran.stdout).toMatch(/^note: under --redact the command writes to a pipe/);
    expect(ran.stdout).toMatch(/a pipe\r\n$/);
  });
});

describe.runIf(hasPeer('unshare'))('INV-95: as the first process of a container', () => {
  it('warns that orphans need an init, passes SIGTERM on, and gives the code back', async () => {
    const box = await sandboxWith({ A: 'one' });
    const script = 'trap "exit 9" TERM; kill -TERM 1; while :; do sleep 0.1; done';
    const line = ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc', process.execPath, clefPath];
    const ran = await runPeer('unshare', [...line, 'exec', cell, '--', 'sh', '-c', script], {
      cwd: box.folder,
      environment: box.environment,
    });
    expect(ran).toMatchObject({ exitCode: 9, stdout: '' });
    expect(ran.stderr).toMatch(/cannot reap orphans/);
  });
});
