// The command line as a process: exit codes, what goes to which stream, JSON on request, standard input, and nothing that
// could be a secret repeated in an error.
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands, groups } from '../src/commands.ts';
import { exitCodes } from '../src/exit-codes.ts';
import { sandbox, sandboxWith, succeed } from './run-clef.ts';

const cell = 'database/development';
const shared = sandboxWith({ A: 'value of A', B: 'second' }).then((box) => {
  symlinkSync('loop', join(box.folder, 'loop'));
  return box;
});

/** Nobody writes into it. */
const still = sandboxWith({ A: 'value of A', B: 'second' });

type Row = {
  readonly title: string;
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stderr: RegExp;
};

/** What an error looks like: what failed, and what to do. */
const twoLines = /^clef: [^\n]+\nTry: [^\n]+\n$/;
const row = (title: string, args: readonly string[], exitCode: number, stderr = twoLines): Row => ({
  title,
  args,
  exitCode,
  stderr,
});

const wrongLines: readonly Row[] = [
  row('A01: no command', [], 2, /^Usage: clef/),
  row(
    'A01: an unknown command, with the near one',
    ['lst'],
    2,
    /Unknown command "lst"\nTry: did you mean list\?/,
  ),
  row('A01: an unknown command of a group', ['recipients', 'ad'], 2, /did you mean add\?/),
  row('A01: a group alone', ['recipients'], 2, /No command was given after.*\nTry: say which: list, add,/),
  row('A01: an unknown command with --help', ['lst', '--help'], 2, /^clef: Unknown command "lst"\n/),
  row('A01: help of an unknown command', ['help', 'lst'], 2, /^clef: Unknown command "lst"\nTry: did you/),
  row("A01: another tool's word", ['rm', cell, 'A'], 2, /Try: here it is "clef delete"/),
  row(
    'A02: an unknown option, with the near one',
    ['list', '--jsno'],
    2,
    /"--jsno"\nTry: did you mean --json\?/,
  ),
  row(
    'A02: an option twice with different values',
    ['export', cell, '--format', 'sh', '--format', 'json'],
    2,
    /"--format" is given twice/,
  ),
  row('A03: an option without its value', ['export', cell, '--format'], 2),
  row('an argument too many', ['get', cell, 'A', 'CANARY'], 2),
  row(
    'an argument too few',
    ['get', cell],
    2,
    /Missing required argument "key"\nTry: write: clef get <cell> <key>/,
  ),
  row(
    'the cell after the key',
    ['set', 'CANARY', cell, 'CANARY'],
    2,
    /before the key\nTry: write: clef set database\/d/,
  ),
  row(
    'the cell after the file',
    ['import', '.env', cell],
    2,
    /write: clef import database\/development <file>/,
  ),
  row('explain of a cell without a key', ['explain', cell], 2, /wants a key, or a cell and then a key/),
  row('A09: a value behind the key and "="', ['set', cell, 'A=CANARY'], 3, /Try: write the key alone/),
  row('A09: a value in the place of the key', ['set', cell, 'postgres://u:CANARY@h/db'], 3, /not shown/),
  row('an editor without a terminal', ['edit', cell], 2, /no terminal here/),
  row('A04: no slash', ['get', 'database', 'A'], 2, /wanted NAMESPACE\/ENVIRONMENT/),
  row('A05: a path', ['get', '../x/development', 'A'], 3),
  row(
    'A06: control characters are shown escaped',
    ['get', 'a\u001b]52;c;x\u0007/development', 'A'],
    3,
    /^[^\u001b\u0007]*\\x1b[^\u001b\u0007]*$/,
  ),
  row('A07: another case', ['get', 'Database/development', 'A'], 4, /Did you mean "database"\?/),
  row('A08: an empty value', ['set', cell, 'C', ''], 2, /The value is empty/),
  row('A08: an empty key', ['set', cell, '', 'CANARY'], 2),
  row('A09: no key name', ['set', cell, 'A-B', 'CANARY'], 3),
  row('A10: __proto__ that is not there', ['get', cell, '__proto__'], 4),
  row(
    'A12: a value on the command line of a protected cell',
    ['set', 'database/production', 'A', 'CANARY', '--yes'],
    2,
    /must not be an argument/,
  ),
  row(
    'A12: the same before anybody is asked',
    ['set', 'database/production', 'A', 'CANARY'],
    2,
    /must not be an argument/,
  ),
  row('A17: --dir that is a file', ['list', '--dir', 'clef.yaml'], 3),
  row('A17: --dir that does not exist', ['list', '--dir', 'nowhere'], 3),
  row('A17: --dir without a repository', ['list', '--dir', '/'], 3),
  row('A17: --dir that links to itself', ['list', '--dir', 'loop'], 3),
  row('A20: an empty name in a list', ['exec', cell, '--only', 'A,,B', '--', 'true'], 125, /empty name/),
  row('A20: an empty list', ['exec', cell, '--only', '', '--', 'true'], 125),
  row('A20: a key that is not there', ['exec', cell, '--only', 'A,NOPE', '--', 'true'], 125, /No key "NOPE"/),
  row(
    'A25: an unknown format, with the near one',
    ['export', cell, '--format', 'jsn'],
    2,
    /did you mean "json"\?/,
  ),
  row('A26: nobody to confirm', ['delete', 'database/production', 'A'], 4),
  row('a near miss of a namespace', ['set', 'databse/development', 'A', 'x'], 4, /pass --create/),
  row('a near miss of a key', ['get', cell, 'AA'], 4),
  row('a value that looks like an option', ['set', cell, 'C', '-CANARY1'], 2, /not shown here/),
  row('an option with a value that nobody knows', ['get', cell, 'A', '--token=CANARY'], 2, /not shown here/),
  row(
    'a private key as recipient',
    ['recipients', 'add', 'bob', `AGE-SECRET-KEY-1${'CANARY'.repeat(9)}`],
    3,
    /private key/,
  ),
  row('A22, A23: an unknown service', ['service', 'show', 'AGE-SECRET-KEY-1CANARY'], 4),
  row(
    '--to that means nothing',
    ['service', 'show', 'api', 'development', '--to', '/x'],
    2,
    /is for --iam and/,
  ),
  row(
    'a source that the agent cannot read',
    ['service', 'show', 'api', 'development', '--agent-env', '--to', 'x.json'],
    2,
    /wants an absolute path/,
  ),
  row(
    'A15: a duration that is none',
    ['pack', 'api', 'development', '--expires-in', '10m30'],
    2,
    /not a duration/,
  ),
  row('A16: a port that is none', ['kms', 'emulate', '--port', '7779x'], 2, /not a port/),
];

describe('a command line that cannot be run', () => {
  it.concurrent.each(wrongLines)('$title', async ({ args, exitCode, stderr }) => {
    const { clef } = await shared;
    const ran = await clef(args);
    expect({ exitCode: ran.exitCode, stdout: ran.stdout }).toEqual({ exitCode, stdout: '' });
    expect(ran.stderr).toMatch(stderr);
    expect(ran.stderr).not.toMatch(/CANARY|undefined|\[object| at .*:\d+/);
  });

  it.concurrent.each(wrongLines.filter(({ args }) => args.length > 1))(
    '$title, with --json',
    async ({ args, exitCode }) => {
      const { clef } = await shared;
      const at = args.indexOf('--');
      const asked = at < 0 ? [...args, '--json'] : [...args.slice(0, at), '--json', ...args.slice(at)];
      const ran = await clef(asked);
      // An option that lacks its value takes the next word for it.
      if (args.at(-1) === '--format') return;
      expect({ exitCode: ran.exitCode, stdout: ran.stdout }).toEqual({ exitCode, stdout: '' });
      const lines = ran.stderr.trimEnd().split('\n');
      const { error } = JSON.parse(lines.at(-1) ?? '');
      expect(error).toMatchObject({
        class: expect.any(String),
        code: expect.any(String),
        message: expect.any(String),
        hint: expect.any(String),
      });
      if (exitCode !== 125) expect(exitCodes[error.class as keyof typeof exitCodes]).toBe(exitCode);
      expect(ran.stderr).not.toContain('CANARY');
    },
  );
});

describe('help', () => {
  const forPeople = commands.filter(({ hidden }) => hidden !== true).map(({ name }) => name);
  const names = [...forPeople, ...Object.keys(groups)].map((name) => name.split(' '));

  it.concurrent.each(names.map((words) => [words.join(' '), words] as const))(
    'clef %s --help reads well and exits 0',
    async (name, words) => {
      const { clef } = sandbox();
      const { exitCode, stdout, stderr } = await clef([...words, '--help']);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout).toMatch(/^Usage: clef/);
      expect(stdout).not.toMatch(/undefined|\[object|null/);
      expect(stdout.length).toBeGreaterThan(100);
      if (name !== 'agent') expect(stdout.split('\n').filter((line) => line.length > 200)).toEqual([]);
    },
  );

  it.concurrent.each([['--help'], ['help'], ['help', 'set'], ['--version'], ['version']])(
    'clef %s %s',
    async (...args) => {
      const ran = await sandbox().clef(args.filter((word) => word !== undefined));
      expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
    },
  );

  it('help of two words is that of the command, and the whole help lists every exit code', async () => {
    const { clef } = sandbox();
    expect((await clef(['help', 'service', 'create'])).stdout).toMatch(/^Usage: clef service create /);
    const { stdout } = await clef(['--help']);
    const told = stdout.slice(stdout.indexOf('Exit codes:')).match(/\d+/g);
    const own = Object.values(exitCodes).filter((code) => code !== 126 && code !== 127);
    expect(own.filter((code) => !told?.includes(String(code)))).toEqual([]);
    expect(stdout.split('\n').filter((line) => /^Commands:/.test(line))).toEqual([]);
  });

  it('every command has an example that begins with its own words or leads to them', () => {
    const without = commands.filter(
      ({ name, hidden, summary, examples = [] }) =>
        hidden !== true &&
        !['version', 'agent'].includes(name) &&
        summary !== 'Not covered' &&
        !examples.some(({ line }) => line.includes(`clef ${name}`)),
    );
    expect(without.map(({ name }) => name)).toEqual([]);
  });

  it('with --json and no command there is one error object and no help', async () => {
    const { exitCode, stderr } = await sandbox().clef(['--json']);
    expect([exitCode, JSON.parse(stderr)]).toMatchObject([2, { error: { class: 'usage' } }]);
  });

  it('works in a broken repository', async () => {
    const box = sandbox();
    box.write('clef.yaml', 'version: [');
    expect(await box.clef(['--help'])).toMatchObject({ exitCode: 0 });
    expect(await box.clef(['list'])).toMatchObject({ exitCode: 3, stdout: '' });
  });
});

describe('set reads what is given, byte for byte', () => {
  it.concurrent.each([
    ['a pipe', ['K1'], 'from a pipe', 'from a pipe'],
    ['a pipe, named -', ['K2', '-'], 'from a pipe', 'from a pipe'],
    ['a final newline is kept', ['K3'], 'line\n', 'line\n'],
    ['--trim-newline takes one', ['K4', '--trim-newline'], 'line\n\n', 'line\n'],
    ['--trim-newline without one', ['K5', '--trim-newline'], 'line', 'line'],
    ['a byte order mark, CRLF and blanks', ['K6'], '\ufeff a\r\n ', '\ufeff a\r\n '],
    ['an argument', ['K7', ' as it is '], '', ' as it is '],
    ['an argument that begins with a hyphen', ['K8', '--', '-rf'], '', '-rf'],
    ['an argument that is two hyphens', ['K9', '--', '--'], '', '--'],
    ['the largest value', ['K10'], 'x'.repeat(262_144), 'x'.repeat(262_144)],
    [
      'the largest value and a newline',
      ['K11', '--trim-newline'],
      `${'x'.repeat(262_144)}\n`,
      'x'.repeat(262_144),
    ],
  ])('%s', async (_, [key = '', ...rest], input, expected) => {
    const { clef } = await shared;
    await succeed(clef(['set', cell, key, ...rest], { input }));
    const { stdout } = await succeed(clef(['get', cell, key]));
    expect(stdout === expected).toBe(true);
    expect(JSON.parse((await succeed(clef(['get', cell, key, '--json']))).stdout)).toEqual({
      key,
      value: expected,
    });
  });

  it.concurrent.each([
    ['A08: nothing', '', 2],
    ['A08: only the newline that is taken off', '\n', 2],
    ['A13: one byte too many', 'x'.repeat(262_145), 3],
    ['A13: far too much', 'x'.repeat(5_000_000), 3],
    ['A13: a NUL', 'a\0b', 3],
    ['A13: invalid UTF-8', new Uint8Array([65, 255]), 3],
  ])('%s is refused', async (_, input, exitCode) => {
    const { clef } = await shared;
    expect(await clef(['set', cell, 'REFUSED', '--trim-newline'], { input })).toMatchObject({
      exitCode,
      stdout: '',
    });
    expect(await clef(['get', cell, 'REFUSED'])).toMatchObject({ exitCode: 4 });
  });

  it.concurrent('A14: closed standard input is empty', async () => {
    const { shell } = await shared;
    expect(await shell(`$CLEF set ${cell} REFUSED <&-`)).toMatchObject({ exitCode: 2, stdout: '' });
  });

  it.concurrent('a value that ends in a newline is noted, and the value is in no output', async () => {
    const { clef } = await shared;
    const ran = await clef(['set', cell, 'NOTED'], { input: 'CANARY\n' });
    expect(ran).toMatchObject({ exitCode: 0, stdout: '' });
    expect(ran.stderr).toMatch(/ends in a newline/);
    expect(ran.stderr).not.toContain('CANARY');
  });
});

describe('streams', () => {
  it.concurrent('data goes to stdout without a final newline where it is no terminal, talk to stderr', async () => {
    const { clef } = await shared;
    expect(await clef(['get', cell, 'A'])).toEqual({ exitCode: 0, stdout: 'value of A', stderr: '' });
    expect(await clef(['get', cell, 'A', '--raw'])).toEqual({
      exitCode: 0,
      stdout: 'value of A',
      stderr: '',
    });
  });

  it.concurrent('no colours, whatever is asked for', async () => {
    const { clef } = await shared;
    for (const environment of [{ NO_COLOR: '1' }, { FORCE_COLOR: '1' }, { TERM: 'dumb' }]) {
      const ran = await clef(['get', cell, 'NOPE'], { environment });
      expect(ran.stderr).not.toContain('\u001b');
    }
  });

  it.concurrent.each([
    ['list', '[{"cell":"database/development"'],
    ['list database/development', '[{"name":"A","changedAt"'],
    ['recipients list', '{"people":[{"name"'],
    ['service list', '[]'],
    ['version', '{"version"'],
    ['completion bash', '{"shell":"bash"'],
    ['export database/development', '{"A":"value of A"'],
  ])('clef %s --json prints one JSON document', async (line, start) => {
    const { clef } = await still;
    const { stdout } = await succeed(clef([...line.split(' '), '--json']));
    expect(JSON.stringify(JSON.parse(stdout))).toMatch(
      new RegExp(`^${start.replaceAll(/[[\]{}]/g, '\\$&')}`),
    );
    expect((await succeed(clef(['--json', ...line.split(' ')]))).stdout).toBe(stdout);
  });

  it.concurrent('F-15: a reader that goes away ends clef quietly, as it ends other programs', async () => {
    const { shell } = await shared;
    const big = `$CLEF export ${cell} --format json`;
    expect(await shell(`{ ${big}; echo "code $?" >&2; } | head -c 1`)).toMatchObject({
      stdout: '{',
      stderr: expect.stringMatching(/^code (141|0)\n$/),
    });
    const gone = await shell(`{ sleep 0.3; $CLEF list; echo "code $?" >&2; } | true`);
    expect(gone).toMatchObject({ stdout: '', stderr: 'code 141\n' });
  });

  it.concurrent('F-15: nobody who reads stderr is no reason to fail', async () => {
    const { shell } = await shared;
    expect(
      await shell(
        `{ sleep 0.3; $CLEF set ${cell} QUIET x; echo "code $?"; } 2>&1 >"$PWD/code" | true; sleep 1; cat "$PWD/code"`,
      ),
    ).toMatchObject({ stdout: 'code 0\n' });
  });

  it.concurrent('a full disk behind stdout is an error of the machine', async () => {
    const { shell } = await shared;
    const ran = await shell(`$CLEF get ${cell} A >/dev/full`);
    expect(ran).toMatchObject({
      exitCode: 8,
      stderr: expect.stringMatching(/^clef: Cannot write to standard output/),
    });
    expect(ran.stderr).not.toContain('value of A');
  });

  it.concurrent('a folder that is gone', async () => {
    const { shell } = await shared;
    expect(await shell('mkdir gone && cd gone && rmdir ../gone && $CLEF list')).toMatchObject({
      exitCode: 8,
      stdout: '',
    });
  });
});

describe('a bug', () => {
  const breakIt = `
    const split = String.prototype.split;
    String.prototype.split = function (separator, ...rest) {
      if (separator === '/' && String(this).startsWith('bug/')) throw new TypeError('CANARY ' + this);
      return split.call(this, separator, ...rest);
    };`;
  const breakLater = `process.nextTick(() => setTimeout(() => { throw new RangeError('CANARY'); }, 1)); setInterval(() => {}, 1000);`;

  it.each([
    ['while a command runs', breakIt, ['get', 'bug/development', 'A'], 70],
    ['in exec', breakIt, ['exec', 'bug/development', '--', 'true'], 125],
    ['outside of everything', breakLater, ['exec', cell, '--', 'sleep', '1'], 125],
  ])(
    '%s is exit 70, with call frames only where they are asked for, and never a message',
    async (_, preload, args, exitCode) => {
      const box = await shared;
      const file = box.write('preload.cjs', preload);
      const environment = { NODE_OPTIONS: `--require ${file}` };
      const ran = await box.clef(args, { environment });
      expect(ran).toMatchObject({
        exitCode,
        stdout: '',
        stderr: expect.stringMatching(/^clef: This is a bug in Clef \(\w+Error\)\nTry: .*\n$/),
      });
      const at = args.indexOf('--');
      const debug = await box.clef(
        [...args.slice(0, at < 0 ? args.length : at), '--debug', ...(at < 0 ? [] : args.slice(at))],
        { environment },
      );
      expect(debug.stderr).toMatch(/^ {4}at /m);
      expect(`${ran.stderr}${debug.stderr}`).not.toContain('CANARY');
    },
  );
});
