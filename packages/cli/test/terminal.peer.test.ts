// What only a real terminal, a real first process and a real shell can show.
import { describe, expect, it } from 'vitest';
import { hasPeer, runPeer } from '../../../test/peers.ts';
import { clefPath, sandboxWith } from './run-clef.ts';

const cell = 'database/development';

/** Runs a command line in a terminal of its own, writes on all that it is sent, and types keys once it shows "ready". */
const inTerminal = `
import os, pty, sys
keys = sys.argv[1].encode().decode("unicode_escape").encode()
def read(fd):
    global keys
    data = os.read(fd, 65536)
    if b"ready" in data and keys:
        os.write(fd, keys)
        keys = b""
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], read)))`;

describe.runIf(hasPeer('python3'))('on a terminal', () => {
  const evil = {
    OSC: 'a\u001b]52;c;Y2Fu\u0007b',
    CSI: 'a\u001b[2J\u009b31mb',
    BIDI: 'a\u202eb\u2066c',
    CR: 'visible\rhidden',
    MIX: 'line one\n\ttabbed\u007f',
  };
  const shared = sandboxWith(evil);
  const onTerminal = async (...args: readonly string[]) => typing('', args);
  const typing = async (keys: string, args: readonly string[], node: readonly string[] = []) => {
    const box = await shared;
    const line = ['-c', inTerminal, keys, process.execPath, ...node, clefPath, ...args];
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

  it.each([
    ['export', cell, '--except', 'CR'],
    ['export', cell, '--format', 'sh'],
    ['export', cell, '--format', 'json'],
    ['sops', 'decrypt', 'secrets/database/development.enc.yaml', '--output-type', 'dotenv'],
    ['sops', 'decrypt', 'secrets/database/development.enc.yaml', '--extract', '["CSI"]'],
  ])('INV-20: nothing of a value acts on a terminal: %s %s %s %s %s', async (...args) => {
    const { stdout, exitCode } = await onTerminal(...args.filter((word) => word !== undefined));
    expect(exitCode).toBe(0);
    expect(stdout).toContain('31mb');
    expect(stdout.replaceAll('\r\n', '\n')).not.toMatch(/[^\P{Cc}\n\t]|\p{Bidi_Control}/u);
  });

  it('INV-20: what search and an error repeat of a person’s words is escaped too', async () => {
    const { stdout } = await onTerminal('get', cell, 'A\u001b]52;c;x\u0007');
    expect(stdout).not.toMatch(/\u001b\]|\u0007/);
  });

  it('INV-20: JSON has nothing that acts on a terminal either, and its readers get the exact value', async () => {
    for (const key of ['OSC', 'CSI', 'BIDI', 'MIX'] as const) {
      const { stdout } = await onTerminal('get', cell, key, '--json');
      expect(stdout).not.toMatch(/[\u0080-\u009f\u007f\p{Bidi_Control}]/u);
      expect(JSON.stringify(JSON.parse(stdout))).toContain(JSON.stringify(evil[key]));
    }
  });

  describe('--redact gives the command a terminal of its own, where the optional package is installed', () => {
    const redacted = (script: string, keys = '', node: readonly string[] = []) =>
      typing(keys, ['exec', cell, '--only', 'CR', '--redact', '--', 'sh', '-c', script], node);

    it('all three streams are it, its size is ours, and values are masked', async () => {
      const script = 'test -t 0 && test -t 1 && test -t 2 && stty size; printf "a %s b\\n" "$CR" >&2; exit 7';
      const ran = await redacted(script);
      expect(ran).toEqual({ exitCode: 7, stdout: '24 80\r\na [redacted] b\r\n', stderr: '' });
    });

    it('what is typed arrives, and Ctrl-C ends the command once', async () => {
      const answered = await redacted('echo ready; read x; echo "got $x"', 'hello\\r');
      expect(answered).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/got hello\r\n$/) });
      expect((await redacted('echo ready; exec sleep 60', '\\x03')).exitCode).toBe(130);
    });

    it.each([
      ['no-such-command', 127],
      ['./clef.yaml', 126],
      ['.', 126],
    ])('INV-95: %s', async (command, exitCode) => {
      expect(await onTerminal('exec', cell, '--redact', '--', command)).toMatchObject({ exitCode });
    });

    it('without the package it is a pipe, and that is said', async () => {
      const box = await shared;
      const hook = `const m = require('node:module'); const load = m._load; m._load = (name, ...more) => { if (name === '@lydell/node-pty') throw new Error('absent'); return load(name, ...more); };`;
      const ran = await redacted('test -t 1 || echo a pipe', '', [
        '--require',
        box.write('absent.cjs', hook),
      ]);
      expect(ran.stdout).toMatch(/^under --redact the command writes to a pipe.*\r\na pipe\r\n$/);
    });
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
