// `clef exec` as a process: exit codes, signals, arguments and streams are the command's own.
import { describe, expect, it } from 'vitest';
import { sandboxWith, succeed } from './run-clef.ts';

const cell = 'database/development';
const shared = sandboxWith({ A: 'value of A', B: 'line\nline' });

describe('INV-95: exit codes', () => {
  it.concurrent.each([0, 1, 2, 3, 7, 42, 70, 124, 125, 126, 127, 128, 130, 254, 255])(
    "the command's own %i",
    async (code) => {
      const { clef } = await shared;
      expect(await clef(['exec', cell, '--', 'sh', '-c', `exit ${code}`])).toEqual({
        exitCode: code,
        stdout: '',
        stderr: '',
      });
    },
  );

  it.concurrent.each([
    ['KILL', 137],
    ['TERM', 143],
    ['INT', 130],
    ['SEGV', 139],
    ['PIPE', 141],
  ])('128 + N where SIG%s ended it', async (signal, code) => {
    const { clef } = await shared;
    expect((await clef(['exec', cell, '--', 'sh', '-c', `kill -${signal} $$`])).exitCode).toBe(code);
  });

  it.concurrent.each([
    ['A18: no "--"', ['exec', cell, 'true'], 125, /needs "--"/],
    ['A18: nothing after "--"', ['exec', cell, '--'], 125, /no command after "--"/],
    ['A18: an empty command', ['exec', cell, '--', ''], 125, /no command after "--"/],
    ['A18: "--" as the value of an option', ['exec', cell, '--only', '--', 'true'], 125, /argument missing/],
    ['A19: not found', ['exec', cell, '--', 'no-such-command'], 127, /no such command/],
    ['A19: a path that is not there', ['exec', cell, '--', './nope'], 127, /no such command/],
    ['A19: not executable', ['exec', cell, '--', './clef.yaml'], 126, /./],
    ['A19: a folder', ['exec', cell, '--', '.'], 126, /./],
    ['an unknown environment', ['exec', 'database/nope', '--', 'true'], 125, /No environment "nope"/],
    ['an unknown option', ['exec', cell, '--nope', '--', 'true'], 125, /Unknown option/],
    ['A20: an empty name in a list', ['exec', cell, '--only', 'A,,B', '--', 'true'], 125, /empty name/],
    ['A20: an empty list', ['exec', cell, '--except', '', '--', 'true'], 125, /empty name/],
    ['A20: a key that is not there', ['exec', cell, '--only', 'A,NOPE', '--', 'true'], 125, /No key "NOPE"/],
    ['A20: one that is left out', ['exec', cell, '--except', 'NOPE', '--', 'true'], 125, /No key "NOPE"/],
    [
      'A22: --only and --except',
      ['exec', cell, '--only', 'A', '--except', 'B', '--', 'true'],
      125,
      /together/,
    ],
    ['A21: --prefix "A="', ['exec', cell, '--prefix', 'A=', '--', 'true'], 125, /cannot begin/],
    ['A21: --prefix 1', ['exec', cell, '--prefix', '1', '--', 'true'], 125, /cannot begin/],
    ['A21: an empty prefix', ['exec', cell, '--prefix', '', '--', 'true'], 125, /empty/],
    [
      'A21: a prefix that makes a dangerous name',
      ['exec', cell, '--prefix', 'LD_', '--', 'true'],
      125,
      /"LD_A"/,
    ],
    ['J18: a cell twice', ['exec', cell, '--also', cell, '--', 'true'], 125, /twice/],
    ['A21: a dangerous name in --only', ['exec', cell, '--only', 'LD_PRELOAD', '--', 'true'], 125, /No key/],
  ] as const)('%s', async (_, args, code, stderr) => {
    const { clef } = await shared;
    const ran = await clef(args);
    expect(ran).toMatchObject({ exitCode: code, stdout: '' });
    expect(ran.stderr).toMatch(stderr);
  });
});

describe('INV-95: what the command gets', () => {
  it.concurrent('arguments byte for byte, also those that are options of ours', async () => {
    const { clef } = await shared;
    const args = [
      '',
      ' ',
      '--',
      '--json',
      '--help',
      '-x',
      '$HOME',
      '`id`',
      '$(id)',
      '*',
      '"',
      "'",
      '\\',
      'é😀',
      'a\nb',
      '\t',
    ];
    const script = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))';
    const ran = await clef(['exec', cell, '--', process.execPath, '-e', script, '--', ...args]);
    expect(JSON.parse(ran.stdout)).toEqual(args);
  });

  it.concurrent('its values, and a newline in one', async () => {
    const { clef } = await shared;
    const script = 'process.stdout.write(JSON.stringify([process.env.A, process.env.B]))';
    const ran = await clef(['exec', cell, '--', process.execPath, '-e', script]);
    expect(JSON.parse(ran.stdout)).toEqual(['value of A', 'line\nline']);
  });

  it.concurrent('our standard input, to the end', async () => {
    const { shell } = await shared;
    const ran = await shell(`printf 'piped through' | $CLEF exec ${cell} -- cat`);
    expect(ran).toEqual({ exitCode: 0, stdout: 'piped through', stderr: '' });
  });

  it.concurrent('both output streams', async () => {
    const { clef } = await shared;
    expect(await clef(['exec', cell, '--', 'sh', '-c', 'echo out; echo err >&2'])).toEqual({
      exitCode: 0,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  it.concurrent('none of the variables that open secrets (INV-94), and no sign of the SDK', async () => {
    const { clef, home } = await shared;
    const environment = {
      CLEF_AGENT_TOKEN: 'CANARY',
      SOPS_AGE_KEY: 'CANARY',
      CLEF_CONFIG_DIR: `${home}/.config/clef`,
    };
    const ran = await clef(['exec', cell, '--', 'env'], { environment });
    expect(ran.exitCode).toBe(0);
    expect(ran.stdout).toMatch(/^A=value of A$/m);
    expect(ran.stdout).not.toMatch(/CANARY|AWS_SDK_JS/);
  });

  it.concurrent('--json changes nothing but errors', async () => {
    const { clef } = await shared;
    expect(await clef(['exec', cell, '--json', '--', 'echo', '--json'])).toMatchObject({
      exitCode: 0,
      stdout: '--json\n',
    });
    const failed = await clef(['exec', cell, '--json', '--', 'no-such-command']);
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: { class: 'command_not_found' } });
  });
});

describe('several cells', () => {
  const two = (async () => {
    const box = await sandboxWith({ A: 'one', SHARED: 'first' });
    await succeed(box.clef(['set', 'payments/development', 'SHARED'], { input: 'second' }));
    return box;
  })();
  const show = ['--', 'sh', '-c', 'echo "$APP_A $APP_SHARED"'];

  it.concurrent('J18: the later cell counts, and it is said by name', async () => {
    const { clef } = await two;
    const ran = await clef(['exec', cell, '--also', 'payments/development', '--prefix', 'APP_', ...show]);
    expect(ran).toEqual({
      exitCode: 0,
      stdout: 'one second\n',
      stderr: '"SHARED" of "database/development" is replaced by that of "payments/development"\n',
    });
  });

  it.concurrent('J18: --strict makes it an error', async () => {
    const { clef } = await two;
    const ran = await clef(['exec', cell, '--also', 'payments/development', '--strict', '--json', ...show]);
    expect(ran).toMatchObject({ exitCode: 125, stdout: '' });
    expect(JSON.parse(ran.stderr)).toMatchObject({
      error: { code: 'key_conflict', location: { key: 'SHARED' } },
    });
  });

  it.concurrent('J17, INV-97: a value that is too large is named, and so is what makes all too large', async () => {
    const box = await sandboxWith({ BIG: 'x'.repeat(131_068) });
    const ran = await box.clef(['exec', cell, '--json', '--', 'true']);
    expect(ran.exitCode).toBe(125);
    expect(JSON.parse(ran.stderr).error).toMatchObject({ class: 'limit' });
    expect(JSON.parse(ran.stderr).error.message).toContain('"BIG"');
    expect(await box.clef(['exec', cell, '--except', 'BIG', '--', 'true'])).toMatchObject({ exitCode: 0 });
  });
});

describe('--redact', () => {
  const box = sandboxWith({
    PW: 'hunter22-CANARY',
    SHORT: 'abc',
    PEM: 'first long line\nsecond long line\n',
  });
  const redacted = async (script: string) =>
    (await box).clef(['exec', cell, '--redact', '--', 'sh', '-c', script]);

  it.concurrent('masks values in both streams, whole, line by line and encoded; the exit code is the command’s', async () => {
    const script = 'echo "pw $PW"; echo "$PEM" | tail -2 >&2; printf %s "$PW" | base64; exit 7';
    expect(await redacted(script)).toEqual({
      exitCode: 7,
      stdout: 'pw [redacted]\n[redacted]\n',
      stderr: 'warning: not masked, as shorter than 4 characters: "SHORT"\n[redacted]\n\n',
    });
  });

  it.concurrent('also where a value is written in two halves', async () => {
    const ran = await redacted('printf "a hunter22"; sleep 0.2; printf "%s b" "-CANARY"');
    expect(ran.stdout).toBe('a [redacted] b');
  });

  it.concurrent('a prompt without a line end is shown while the command waits for the answer', async () => {
    const { shell } = await box;
    const line = `mkfifo in; $CLEF exec ${cell} --redact -- sh -c 'printf "Password: "; read x; echo "got $x"' < in > out & exec 3> in; until grep -q "Password: " out; do sleep 0.1; done; echo yes >&3; wait $!; cat out`;
    expect((await shell(line)).stdout).toBe('Password: got yes\n');
  });

  it.concurrent('everything arrives, however much it is; a reader that goes away ends it', async () => {
    const { shell } = await box;
    const run = `$CLEF exec ${cell} --redact --`;
    expect((await shell(`${run} seq 1 100000 | tail -1`)).stdout).toBe('100000\n');
    expect((await shell(`${run} yes | head -1`)).stdout).toBe('y\n');
  });

  it.concurrent('signals reach the command, 128 + N comes back', async () => {
    const { start } = await box;
    const child = await start(['exec', cell, '--redact', '--', 'sh', '-c', 'echo ready; exec sleep 60']);
    await child.waitForLine(/^ready/, 20);
    child.kill('SIGTERM');
    expect((await child.exited).exitCode).toBe(143);
  });
});

describe('INV-95: signals', () => {
  const trap = `
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT'])
      process.on(signal, () => { process.stdout.write('got ' + signal + '\\n'); process.exit(33); });
    process.stdout.write('ready ' + process.pid + '\\n');
    setInterval(() => {}, 1000);`;

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT'] as const)(
    '%s reaches the command, whose exit code counts',
    async (signal) => {
      const { start } = await shared;
      const child = await start(['exec', cell, '--', process.execPath, '-e', trap]);
      await child.waitForLine(/^ready/, 20);
      child.kill(signal);
      expect((await child.exited).exitCode).toBe(33);
      expect(Buffer.from(child.stdout()).toString()).toContain(`got ${signal}`);
    },
  );

  it('a command that a forwarded signal ends gives 128 + N', async () => {
    const { start } = await shared;
    const child = await start(['exec', cell, '--', 'sh', '-c', 'echo ready; exec sleep 60']);
    await child.waitForLine(/^ready/, 20);
    child.kill('SIGTERM');
    expect((await child.exited).exitCode).toBe(143);
  });
});
