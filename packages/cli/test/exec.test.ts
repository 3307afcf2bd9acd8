// `clef exec` as a process: exit codes, signals, arguments and streams are the command's own.
import { describe, expect, it } from 'vitest';
import { sandboxWith } from './run-clef.ts';

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
