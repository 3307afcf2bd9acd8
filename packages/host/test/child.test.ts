import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type HostCode, openChild, runChild, startChild } from '../src/index.ts';
import { failureOf, program, temporaryFolder } from './fixtures.ts';

const environment = { PATH: process.env['PATH'] };
const text = (content: Uint8Array): string => new TextDecoder().decode(content);

/** Runs JavaScript in a fresh node with exactly this environment. */
async function node(
  script: string,
  args: readonly string[] = [],
  given: Record<string, string | undefined> = {},
) {
  return await runChild({
    command: process.execPath,
    args: ['-e', script, '--', ...args],
    environment: given,
    stdio: 'capture',
  });
}

describe('the exit code', () => {
  it.each([0, 1, 2, 42, 125, 126, 127, 128, 255])('INV-95: %i comes back', async (code) => {
    const result = await runChild({
      command: 'sh',
      args: ['-c', `exit ${code}`],
      environment,
      stdio: 'capture',
    });
    expect(result).toMatchObject({ exitCode: code });
    expect(result.signal).toBeUndefined();
  });

  it.each([
    ['SIGHUP', 129],
    ['SIGINT', 130],
    ['SIGKILL', 137],
    ['SIGTERM', 143],
  ] as const)('INV-95: a child ended by %s gives %i', async (signal, code) => {
    const script = `kill -${signal.slice(3)} $$`;
    const result = await runChild({ command: 'sh', args: ['-c', script], environment, stdio: 'inherit' });
    expect(result).toMatchObject({ exitCode: code, signal });
  });
});

describe('what cannot be started', () => {
  const rows: readonly [row: string, title: string, command: (folder: string) => string, code: HostCode][] = [
    ['A19', 'a name that is nowhere in PATH', () => 'no-such-command-anywhere', 'command_not_found'],
    ['A19', 'a path to nothing', (folder) => join(folder, 'nothing'), 'command_not_found'],
    [
      'A19',
      'a file that is not executable',
      (folder) => {
        writeFileSync(join(folder, 'file'), '#!/bin/sh\n', { mode: 0o644 });
        return join(folder, 'file');
      },
      'command_not_executable',
    ],
    ['A19', 'the current directory', () => '.', 'command_not_executable'],
    [
      'A19',
      'a directory',
      (folder) => {
        mkdirSync(join(folder, 'directory'));
        return join(folder, 'directory');
      },
      'command_not_executable',
    ],
    [
      'A19',
      'a loop of symbolic links',
      (folder) => {
        symlinkSync('loop', join(folder, 'loop'));
        return join(folder, 'loop');
      },
      'command_not_executable',
    ],
    [
      'A19',
      'a script whose interpreter is missing',
      (folder) => {
        writeFileSync(join(folder, 'script'), '#!/no/such/interpreter\n');
        chmodSync(join(folder, 'script'), 0o755);
        return join(folder, 'script');
      },
      'command_not_found',
    ],
    [
      'A19',
      'a path through a file',
      (folder) => {
        writeFileSync(join(folder, 'file'), '');
        return join(folder, 'file', 'command');
      },
      'command_not_found',
    ],
    ['INV-95', 'a command with a NUL', () => 'sh\0x', 'invalid_argument'],
    ['INV-95', 'an empty command', () => '', 'invalid_argument'],
  ];
  it.each(rows)('%s: %s', async (_row, _title, commandIn, code) => {
    const command = commandIn(temporaryFolder());
    const failure = await failureOf(runChild({ command, args: [], environment, stdio: 'capture' }));
    expect(failure).toMatchObject({ code, path: command });
    expect((await failureOf(startChild({ command, args: [], environment }))).code).toBe(code);
  });

  it('a missing working directory is not mistaken for a missing command', async () => {
    const failure = await failureOf(
      runChild({ command: 'sh', args: [], environment, stdio: 'capture', cwd: '/no/such' }),
    );
    expect(failure.code).toBe('not_found');
  });

  it('the command is looked up in the PATH of the child, not in ours', async () => {
    const given = { PATH: '/nowhere' };
    expect(
      (await failureOf(runChild({ command: 'sh', args: [], environment: given, stdio: 'capture' }))).code,
    ).toBe('command_not_found');
  });
});

describe('arguments', () => {
  it.each([
    [[]],
    [['']],
    [['', ' ', '']],
    [['a b', '"', "'", '\\', '$HOME', '`id`', '$(id)', '*', '~', '&', '|', ';', '>x', '#', '!']],
    [['-', '--', '--x=--', '-c', '--', '--inspect']],
    [['é', '漢字', '😀', '\u202e', '\n', '\t', '\r\n', '\x1b[0m', '\x7f']],
    [['%PATH%', '^', '{a,b}', '[a]', 'a=b', '=', '(', ')']],
    [['x'.repeat(100_000)]],
  ])('INV-95: arrive as they are, with no shell between: %j', async (args: string[]) => {
    const { stdout } = await node('process.stdout.write(JSON.stringify(process.argv.slice(1)))', args);
    expect(JSON.parse(text(stdout))).toEqual(args);
  });

  it('INV-95: with a NUL are refused', async () => {
    const failure = await failureOf(
      runChild({ command: 'sh', args: ['a\0b'], environment, stdio: 'capture' }),
    );
    expect(failure.code).toBe('invalid_argument');
  });
});

describe('the environment', () => {
  const dump = 'process.stdout.write(JSON.stringify(process.env))';

  it('INV-94: is exactly what was given: nothing of ours, and no variable without a value', async () => {
    const given = {
      A: '1',
      EMPTY: '',
      NONE: undefined,
      'odd.name%%': 'x',
      ['__proto__']: 'data',
      constructor: 'c',
    };
    const { stdout } = await node(dump, [], Object.fromEntries(Object.entries(given)));
    const seen = Object.entries(JSON.parse(text(stdout)) as object);
    expect(new Map(seen)).toEqual(
      new Map([
        ['A', '1'],
        ['EMPTY', ''],
        ['odd.name%%', 'x'],
        ['__proto__', 'data'],
        ['constructor', 'c'],
      ]),
    );
  });

  it('is not mixed with inherited properties', async () => {
    const given = Object.create({ INHERITED: 'x' }) as Record<string, string>;
    given['OWN'] = 'y';
    const { stdout } = await node(dump, [], given);
    expect(JSON.parse(text(stdout))).toEqual({ OWN: 'y' });
  });

  it.each([
    'plain',
    ' spaces ',
    'a=b=c',
    '"quotes\'',
    '$HOME `id` $(id)',
    'line\nbreak\r\n',
    '\t\x01\x7f',
    'é漢😀',
    '\u2028',
    "'; rm -rf /; '",
  ])('carries the value %j unchanged', async (value) => {
    const { stdout } = await node(dump, [], { VALUE: value });
    expect(JSON.parse(text(stdout))).toEqual({ VALUE: value });
  });

  it.each([
    ['INV-92: a name with "="', { 'LD_PRELOAD=/x #': 'CANARY' }],
    ['INV-92: an empty name', { '': 'CANARY' }],
    ['INV-92: a name with NUL', { 'A\0': 'CANARY' }],
    ['a value with NUL', { SECRET: 'CANARY\0' }],
  ])('%s is refused without its value in the message', async (_title, given) => {
    const failure = await failureOf(
      runChild({ command: 'true', args: [], environment: { ...environment, ...given }, stdio: 'capture' }),
    );
    expect(failure.code).toBe('invalid_argument');
    expect(JSON.stringify([failure.message, String(failure.cause), failure.stack])).not.toContain('CANARY');
  });

  describe.runIf(process.platform === 'linux')('INV-97: one string of KEY=VALUE', () => {
    it('of 131,071 bytes passes, and the system really refuses more', async () => {
      const result = await node('process.stdout.write(String(process.env.K.length))', [], {
        K: 'v'.repeat(131_069),
      });
      expect(text(result.stdout)).toBe('131069');
    });

    it.each([
      ['one byte more', 'v'.repeat(131_070)],
      ['counted in bytes, not in characters', 'é'.repeat(65_535)],
    ])('%s is refused by the name of its key', async (_title, value) => {
      const failure = await failureOf(
        runChild({ command: 'true', args: [], environment: { ...environment, K: value }, stdio: 'capture' }),
      );
      expect(failure.code).toBe('argument_too_large');
      expect(failure.message).toContain('the variable "K"');
      expect(failure.message.length).toBeLessThan(200);
    });

    it('an argument of that length is refused too', async () => {
      const failure = await failureOf(
        runChild({ command: 'true', args: ['x'.repeat(131_072)], environment, stdio: 'capture' }),
      );
      expect(failure.code).toBe('argument_too_large');
    });

    it('many that are too much together are refused by the system, and we say so', async () => {
      const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`K${n}`, 'v'.repeat(130_000)]));
      const failure = await failureOf(
        runChild({ command: 'true', args: [], environment: { ...environment, ...many }, stdio: 'capture' }),
      );
      expect(failure.code).toBe('argument_too_large');
    });
  });
});

describe('capturing', () => {
  it('keeps stdout and stderr apart, and bytes as they are', async () => {
    const script = 'process.stdout.write(Buffer.from([0, 255, 10])); process.stderr.write("err")';
    const { stdout, stderr } = await node(script);
    expect(stdout).toEqual(Uint8Array.of(0, 255, 10));
    expect(text(stderr)).toBe('err');
  });

  it('gives the input, or an empty stdin', async () => {
    const run = { command: 'cat', args: [], environment, stdio: 'capture' } as const;
    const large = new Uint8Array(1_000_000).fill(7);
    expect(Buffer.from(large).equals((await runChild({ ...run, input: large })).stdout)).toBe(true);
    expect((await runChild(run)).stdout).toEqual(new Uint8Array());
  });

  it('does not mind a child that does not read its input', async () => {
    const run = { command: 'true', args: [], environment, stdio: 'capture' } as const;
    expect((await runChild({ ...run, input: new Uint8Array(5_000_000) })).exitCode).toBe(0);
  });

  it('kills a child that writes too much', async () => {
    const run = { command: 'yes', args: [], environment, stdio: 'capture', maxOutputBytes: 10_000 } as const;
    expect((await failureOf(runChild(run))).code).toBe('too_large');
  });

  it('kills a child that takes too long, and does not wait for its grandchildren', async () => {
    const started = performance.now();
    const run = {
      command: 'sh',
      args: ['-c', 'sleep 20 & wait'],
      environment,
      stdio: 'capture',
      timeoutSeconds: 0.2,
    } as const;
    expect((await failureOf(runChild(run))).code).toBe('timeout');
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('runs in the directory that it is told', async () => {
    const cwd = temporaryFolder();
    const { stdout } = await runChild({ command: 'pwd', args: [], environment, stdio: 'capture', cwd });
    expect(text(stdout)).toBe(`${cwd}\n`);
  });
});

describe('startChild', () => {
  it('reports lines as they come, and the end', async () => {
    const lines: string[] = [];
    const child = await startChild({
      command: 'sh',
      args: ['-c', 'echo one; echo two >&2; printf three; exit 7'],
      environment,
      onLine: (line, stream) => lines.push(`${stream} ${line}`),
    });
    expect(child.pid).toBeGreaterThan(1);
    expect(await child.exited).toEqual({ exitCode: 7 });
    expect(lines.sort()).toEqual(['stderr two', 'stdout one', 'stdout three']);
    expect(text(child.stdout())).toBe('one\nthree');
    expect(text(child.stderr())).toBe('two\n');
  });

  it('waits for a line, past or future', async () => {
    const child = await startChild({
      command: 'sh',
      args: ['-c', 'echo first; sleep 0.2; echo second 2; exec sleep 20'],
      environment,
    });
    expect(await child.waitForLine(/^second (\d)$/, 10)).toBe('second 2');
    expect(await child.waitForLine(/first/, 10)).toBe('first');
    expect((await failureOf(child.waitForLine(/third/, 0.1))).code).toBe('timeout');
    child.kill('SIGTERM');
    expect(await child.exited).toEqual({ exitCode: 143, signal: 'SIGTERM' });
    expect((await failureOf(child.waitForLine(/third/, 10))).code).toBe('io');
  });

  it('reads characters that are cut between two writes', async () => {
    const script =
      'process.stdout.write(Buffer.from([0xc3])); setTimeout(() => process.stdout.write(Buffer.from([0xa9, 10])), 50)';
    const child = await startChild({ command: process.execPath, args: ['-e', script], environment });
    expect(await child.waitForLine(/./, 10)).toBe('é');
    await child.exited;
  });
});

describe('signals', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const)(
    'INV-95: %s is passed on once, and the code of the child comes back',
    async (signal) => {
      const name = signal.slice(3);
      const script = `n=0; trap 'n=$((n+1)); echo got ${name} $n' ${name}; echo ready; while [ $n -lt 1 ]; do sleep 0.05; done; sleep 0.2; exit $((40+n))`;
      const { command, args } = program('forward');
      const parent = await startChild({
        command,
        args: [...args, 'sh', '-c', script],
        environment: process.env,
      });
      await parent.waitForLine(/^ready$/, 20);
      parent.kill(signal);
      await parent.waitForLine(new RegExp(`^got ${name} 1$`), 10);
      expect(await parent.exited).toEqual({ exitCode: 41 });
    },
  );

  it('F-19: a child that ignores SIGTERM is waited for, and killing it ends both', async () => {
    const { command, args } = program('forward');
    const script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
    const parent = await startChild({
      command,
      args: [...args, 'sh', '-c', script],
      environment: process.env,
    });
    const pid = Number(await parent.waitForLine(/^\d+$/, 20));
    parent.kill('SIGTERM');
    await new Promise((settle) => setTimeout(settle, 300));
    process.kill(pid, 0);
    process.kill(pid, 'SIGKILL');
    expect(await parent.exited).toEqual({ exitCode: 137 });
  });

  it('INV-95: the exit codes of what cannot be started are those of env', async () => {
    const { command, args } = program('forward');
    const run = async (name: string): Promise<number> =>
      (await runChild({ command, args: [...args, name], environment: process.env, stdio: 'capture' }))
        .exitCode;
    expect([await run('no-such-command'), await run('.')]).toEqual([127, 126]);
  });

  it('leaves no listener behind', async () => {
    const before = process.listenerCount('SIGTERM');
    await runChild({ command: 'true', args: [], environment, stdio: 'capture', forwardSignals: true });
    await failureOf(
      runChild({ command: 'nope-nope', args: [], environment, stdio: 'capture', forwardSignals: true }),
    );
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});

describe('a conversation', () => {
  const open = (script: string, limits: { maxOutputBytes?: number; timeoutSeconds?: number } = {}) =>
    openChild({ command: process.execPath, args: ['-e', script], environment: {}, ...limits });

  it('goes back and forth, line by line', async () => {
    const child = await open(`
      process.stdin.setEncoding('utf8');
      process.stdin.on('data', (text) => process.stdout.write('heard ' + text));
      process.stdin.on('end', () => { process.stdout.write('rest'); process.exitCode = 3; });
    `);
    child.write(Buffer.from('one\n'));
    expect(await child.readLine()).toBe('heard one');
    child.write(Buffer.from('two\nthree\n'));
    expect([await child.readLine(), await child.readLine()]).toEqual(['heard two', 'three']);
    child.endInput();
    expect([await child.readLine(), await child.readLine()]).toEqual(['rest', undefined]);
    expect(await child.exited).toEqual({ exitCode: 3 });
    child.write(Buffer.from('nobody hears this\n'));
  });

  it.each<[title: string, script: string, limits: object, code: HostCode]>([
    [
      'a flood',
      `setInterval(() => process.stdout.write('x'.repeat(65536)), 1)`,
      { maxOutputBytes: 100_000 },
      'too_large',
    ],
    ['silence', 'setInterval(() => undefined, 1000)', { timeoutSeconds: 0.3 }, 'timeout'],
  ])('ends with %s', async (_title, script, limits, code) => {
    const child = await open(script, limits);
    expect(await failureOf(child.readLine())).toMatchObject({ code });
    expect(await child.exited).toMatchObject({ signal: 'SIGKILL' });
  });

  it('cannot be begun with a command that is not there', async () => {
    const start = openChild({ command: '/nonexistent/program', args: [], environment: {} });
    expect(await failureOf(start)).toMatchObject({ code: 'command_not_found' });
  });
});
