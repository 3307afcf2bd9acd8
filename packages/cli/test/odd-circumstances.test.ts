// Command lines and surroundings that nobody plans for, by the rows of the catalogue.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sandbox, sandboxWith, succeed } from './run-clef.ts';

const cell = 'database/development';
const sshFile = fileURLToPath(new URL('../../sops/test/ssh-keys/ed25519-open', import.meta.url));
const sshKey = readFileSync(sshFile, 'utf8');
const sshLine = readFileSync(`${sshFile}.pub`, 'utf8').trim();
const shared = sandboxWith({ A: 'value of A', B: 'second' });

describe('A22: what excludes each other is refused with 2, before anything is asked or written', () => {
  it.concurrent.each([
    ['two sources of a value', ['set', cell, 'X', '--generate', '--file', 'f']],
    ['a value and a file', ['set', cell, 'X', 'CANARY', '--file', 'f']],
    ['a new value and none yet', ['set', cell, 'X', '--generate', '--pending']],
    ['a length for a value that is given', ['set', cell, 'X', 'CANARY', '--length', '9']],
    ['some keys, and all but some', ['export', cell, '--only', 'A', '--except', 'B']],
    ['one target and all', ['rotate', cell, '--all']],
  ])('%s', async (_, args) => {
    const { clef } = await shared;
    const ran = await clef(args);
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' });
    expect(ran.stderr).not.toContain('CANARY');
  });
});

describe('A24: very long command lines', () => {
  it.concurrent('10,000 arguments', async () => {
    const { clef } = await shared;
    const many = Array.from({ length: 10_000 }, (_, index) => `K${index}`);
    const began = performance.now();
    expect(await clef(['get', cell, ...many])).toMatchObject({ exitCode: 2, stdout: '' });
    expect(await clef(['delete', cell, ...many])).toMatchObject({ exitCode: 4, stdout: '' });
    const rest = await succeed(clef(['exec', cell, '--', 'sh', '-c', 'echo $#', 'sh', ...many]));
    expect(rest.stdout).toBe('10000\n');
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  it.concurrent.each([
    ['a cell', (long: string) => ['get', `${long}/x`, 'A'], 3],
    ['an environment', (long: string) => ['get', `database/${long}`, 'A'], 3],
    ['a key', (long: string) => ['get', cell, long], 3],
    ['a command', (long: string) => [long], 2],
    ['an option', (long: string) => ['list', `--${long}`], 2],
    ['a list of keys', (long: string) => ['export', cell, '--only', long], 3],
  ])('120 KB as %s: refused in a few words', async (_, line, exitCode) => {
    const { clef } = await shared;
    const ran = await clef(line('x'.repeat(120_000)));
    expect({ exitCode: ran.exitCode, stdout: ran.stdout }).toEqual({ exitCode, stdout: '' });
    expect(ran.stderr.length).toBeLessThan(1_000);
  });

  it.concurrent('120 KB as a value is one', async () => {
    const { clef } = await shared;
    await succeed(clef(['set', cell, 'LONG_ONE', 'x'.repeat(120_000)]));
    expect((await succeed(clef(['get', cell, 'LONG_ONE']))).stdout).toBe('x'.repeat(120_000));
  });
});

describe('A25', () => {
  it.concurrent.each(['yml', 'YAML', '', 'json,yaml'])('--format "%s" is no format', async (format) => {
    const { clef } = await shared;
    expect(await clef(['export', cell, '--format', format])).toMatchObject({ exitCode: 2, stdout: '' });
  });
});

describe('J17: exec with more than a system takes', () => {
  it.concurrent.each([
    ['2 MB in all', 20, 128_000],
    ['10,000 keys', 10_000, 300],
  ])('%s: 125, and the limit is named', async (_, count, size) => {
    const box = sandbox();
    await succeed(box.clef(['init']));
    const lines = Array.from(
      { length: count },
      (_each, index) => `K${index}=${'CANARY'.padEnd(size, 'x')}\n`,
    );
    await succeed(box.clef(['import', cell, '-'], { input: lines.join('') }));
    const ran = await box.clef(['exec', cell, '--json', '--', 'true']);
    expect(ran).toMatchObject({ exitCode: 125, stdout: '' });
    expect(JSON.parse(ran.stderr).error).toMatchObject({ class: 'limit' });
    expect(ran.stderr).not.toContain('CANARY');
  });
});

describe('F-19: a child that leaves children behind', () => {
  it.concurrent('is not waited for longer than itself, and its code comes back', async () => {
    const { shell } = await shared;
    const script = '(setsid sleep 7.31 >/dev/null 2>&1 </dev/null &) ; exit 5';
    const began = performance.now();
    expect(await shell(`$CLEF exec ${cell} -- sh -c '${script}'`)).toMatchObject({ exitCode: 5 });
    expect(performance.now() - began).toBeLessThan(7_000);
  });
});

describe('doctor', () => {
  it('says what "exec --redact" lacks without the optional package', async () => {
    const box = await shared;
    const hook = `const m = require('node:module'); const load = m._load; m._load = (name, ...more) => { if (name === '@lydell/node-pty') throw new Error('absent'); return load(name, ...more); };`;
    const environment = { NODE_OPTIONS: `--require=${box.write('absent.cjs', hook)}` };
    const { stdout } = await succeed(box.clef(['doctor'], { environment }));
    expect(stdout).toMatch(/^ok +machine +without the optional package @lydell\/node-pty, a command/m);
    expect((await succeed(box.clef(['doctor']))).stdout).not.toContain('node-pty');
  });
});

describe('two at once', () => {
  it('INV-102: no process that adds a key takes the key of another out of the list', async () => {
    const box = sandbox();
    const lines = Array.from({ length: 8 }, () => box.clef(['key', 'generate', '--json']));
    const made = (await Promise.all(lines.map(succeed))).map(
      ({ stdout }) => JSON.parse(stdout) as { recipient: string },
    );
    const { stdout } = await succeed(box.clef(['key', 'list', '--json']));
    const listed = JSON.parse(stdout) as readonly { recipient: string }[];
    const names = (keys: readonly { recipient: string }[]) => keys.map(({ recipient }) => recipient).sort();
    expect(names(listed)).toEqual(names(made));
  });
});

describe('H12: a home that is none', () => {
  it.concurrent.each<readonly [string, Readonly<Record<string, string>>]>([
    ['HOME is empty', { HOME: '' }],
    ['HOME is relative', { HOME: 'home' }],
    ['HOME is /', { HOME: '/nonexistent' }],
    ['XDG_CONFIG_HOME is relative', { XDG_CONFIG_HOME: 'config' }],
    ['TMPDIR is missing', { TMPDIR: '/nonexistent/tmp' }],
  ])('%s: an answer, and no file beside the repository', async (_, environment) => {
    const box = await sandboxWith({ A: 'one' });
    const ran = await box.clef(['list'], { environment });
    expect(ran).toMatchObject({ exitCode: 0 });
    const read = await box.clef(['get', cell, 'A'], { environment });
    expect([0, 3, 5, 8]).toContain(read.exitCode);
    expect(read.stderr).not.toMatch(/bug|undefined/);
    const { stdout } = await succeed(box.shell('ls -A'));
    expect(stdout.trim().split('\n')).toEqual(['.clef', 'clef.yaml', 'secrets']);
  });
});

describe('H12: a home that no folder can be found in', () => {
  it.concurrent.each([
    ['empty', 'HOME='],
    ['relative', 'HOME=home'],
  ])(
    'HOME is %s: what needs no home works, the rest says what to set; no key comes from the repository',
    async (_, home) => {
      const box = await sandboxWith({ A: 'one' });
      const run = (line: string) => box.shell(`${home} $CLEF ${line}`);
      for (const line of ['version', 'list', `list ${cell}`, 'recipients list', 'namespace add web'])
        expect(await run(line), line).toMatchObject({ exitCode: 0 });
      for (const line of ['key list', 'key generate', 'init', `get ${cell} A`, `exec ${cell} -- true`]) {
        const { exitCode, stdout, stderr } = await run(line);
        expect([line, stdout, exitCode]).toEqual([line, '', line.startsWith('exec') ? 125 : 3]);
        expect(stderr).toMatch(/HOME is not an absolute path\nTry: set CLEF_CONFIG_DIR/);
      }
      expect((await run('doctor')).stdout).toMatch(/^ok +git +git \d[\s\S]*^PROBLEM +keys +.*HOME is not/m);
      for (const folder of ['', 'home/']) box.write(`${folder}.ssh/id_ed25519`, sshKey);
      box.write('a.yaml', 'A: one\n');
      await succeed(box.shell(`$CLEF sops encrypt --in-place --age '${sshLine}' a.yaml`));
      expect(await run('sops decrypt a.yaml')).toMatchObject({ exitCode: 128, stdout: '' });
    },
  );

  it("HOME is not set: the home is that of the system's list of users", async () => {
    const box = await sandboxWith({ A: 'one' });
    const read = await box.shell(`CLEF_CONFIG_DIR="$HOME/.config/clef" env -u HOME $CLEF get ${cell} A`);
    expect(read).toMatchObject({ exitCode: 0, stdout: 'one' });
    expect(await box.shell('env -u HOME $CLEF list')).toMatchObject({ exitCode: 0 });
  });
});

describe('H14: plain terminals', () => {
  it.concurrent.each<readonly [string, Readonly<Record<string, string>>]>([
    ['locale C', { LC_ALL: 'C', LANG: 'C' }],
    ['TERM=dumb', { TERM: 'dumb' }],
    ['NO_COLOR', { NO_COLOR: '1' }],
    ['one column', { COLUMNS: '1' }],
    ['no column', { COLUMNS: '0' }],
  ])('%s changes no byte of data and adds no colour', async (_, environment) => {
    const { clef } = await shared;
    expect((await succeed(clef(['get', cell, 'A'], { environment }))).stdout).toBe('value of A');
    const help = await succeed(clef(['--help'], { environment }));
    expect(help.stdout).toMatch(/^Usage: clef/);
    expect(help.stdout).not.toContain('\u001b');
  });
});

describe('H16: any umask', () => {
  it.concurrent.each(['000', '077'])(
    'umask %s: the key is 0600 in a folder of 0700, and all works',
    async (mask) => {
      const box = sandbox();
      await succeed(
        box.shell(`umask ${mask}; $CLEF init && printf one | $CLEF set ${cell} A && $CLEF get ${cell} A`),
      );
      const [key = ''] = (await succeed(box.shell('ls $HOME/.config/clef/keys'))).stdout.trim().split('\n');
      const modeOf = (name: string): number => statSync(join(box.home, '.config/clef', name)).mode & 0o777;
      expect([modeOf(''), modeOf('keys'), modeOf(`keys/${key}`)].map((mode) => mode.toString(8))).toEqual([
        '700',
        '700',
        '600',
      ]);
      expect(statSync(join(box.folder, 'secrets/database/development.enc.yaml')).mode & 0o022).toBe(0);
    },
  );

  it.concurrent('umask 777: done with the right modes, or an error of the machine', async () => {
    const box = sandbox();
    const ran = await box.shell('umask 777; $CLEF init');
    expect([0, 8]).toContain(ran.exitCode);
    expect(ran.stderr).not.toMatch(/bug/);
  });
});

describe('INV-110, H13: a cloned repository that wants more than to be read', () => {
  const wishes: readonly (readonly [string, string])[] = [
    ['.clef/config.yaml', 'editor: ./evil\nageKeyCommand: ./evil\ntelemetryUrl: http://127.0.0.1:9/\n'],
    ['.clef/plugins.yaml', 'version: 1\nplugins:\n  yubikey: /bin/sh\n'],
    ['.env', 'CLEF_AGE_KEY_CMD=./evil\nEDITOR=./evil\nAWS_ENDPOINT_URL_KMS=http://127.0.0.1:9\n'],
    ['.npmrc', 'script-shell=./evil\n'],
    ['keys.yaml', 'version: 1\n'],
    ['node_modules/@clef/core/index.js', 'require("fs").writeFileSync("ran", "x")\n'],
    ['node_modules/yaml/index.js', 'require("fs").writeFileSync("ran", "x")\n'],
    ['evil', '#!/bin/sh\n: > ran\n'],
    ['git', '#!/bin/sh\n: > ran\n'],
    ['age-plugin-yubikey', '#!/bin/sh\n: > ran\n'],
  ];

  it('its files are no settings: nothing of it runs, and everything works as without', async () => {
    const box = await sandboxWith({ A: 'one' });
    for (const [name, text] of wishes) box.write(name, text);
    await succeed(box.shell('chmod +x evil git age-plugin-yubikey'));
    for (const args of [
      ['get', cell, 'A'],
      ['list'],
      ['doctor'],
      ['exec', cell, '--', 'true'],
      ['set', cell, 'B', 'x'],
    ])
      await succeed(box.clef(args));
    expect((await box.shell('test -e ran')).exitCode).toBe(1);
  });

  it.each([
    ['an unknown field that names a program', (text: string) => `${text}editor: ./evil\n`],
    ['a home-relative pattern', (text: string) => text.replace('file_pattern: ', 'file_pattern: ~/')],
    ['a pattern outside', (text: string) => text.replace('file_pattern: ', 'file_pattern: ../')],
    [
      'an endpoint in a key',
      (text: string) =>
        text.replace(
          '- name: development',
          '- name: development\n    encrypt_to: hashivault://evil.example:8200/transit/k?address=http://127.0.0.1:9',
        ),
    ],
    [
      'a role in a key',
      (text: string) =>
        text.replace(
          '- name: development',
          '- name: development\n    encrypt_to: awskms:///arn:aws:kms:eu-west-1:111122223333:key/0291dd12-df25-4b8f-a315-18d83fa3bcf5?role=x',
        ),
    ],
  ])('clef.yaml with %s is refused', async (_, spoil) => {
    const box = await sandboxWith({ A: 'one' });
    box.write('clef.yaml', spoil(box.read('clef.yaml')));
    expect(await box.clef(['get', cell, 'A'])).toMatchObject({ exitCode: 3, stdout: '' });
  });
});
