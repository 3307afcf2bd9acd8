// `clef edit`: a script in the place of an editor sees the values in memory alone; what it does not touch comes back byte for
// byte, and what somebody typed is not lost to a mistake.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findMemoryFolder, HostError, startChild, withPrivateFolder } from '@clef/host';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClefError } from '../src/errors.ts';
import { type EditRequest, type EditResult, editSecrets } from '../src/secrets/edit-secrets.ts';
import { formatEditText, withNotes } from '../src/secrets/edit-text.ts';
import { readYaml } from '../src/secrets/import-formats/yaml.ts';
import { oddValues } from './odd-values.ts';
import {
  fillCell,
  no,
  quietly,
  refusal,
  refused,
  repositoryWith,
  type TestRepository,
  temporaryFolder,
  withVariables,
  yes,
} from './repository-with.ts';

const cell = 'database/development';

/** An editor that runs this program, with `text` to change, and in which `log` keeps what is told. */
function editor(program: string): {
  readonly variables: Record<string, string>;
  readonly log: () => readonly string[];
} {
  const folder = temporaryFolder();
  const script = join(folder, 'editor.cjs');
  writeFileSync(
    script,
    `const fs = require('node:fs'), path = process.argv[2];
     let text = fs.readFileSync(path, 'utf8');
     const log = (line) => fs.appendFileSync(${JSON.stringify(join(folder, 'log'))}, line + '\\n');
     const times = fs.existsSync(${JSON.stringify(join(folder, 'times'))}) ? fs.readFileSync(${JSON.stringify(join(folder, 'times'))}).length : 0;
     fs.appendFileSync(${JSON.stringify(join(folder, 'times'))}, 'x');
     ${program}
     fs.writeFileSync(path, text);`,
  );
  const command = `'${process.execPath}' '${script}'`;
  return {
    variables: { EDITOR: command },
    log: () =>
      existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').trimEnd().split('\n') : [],
  };
}

function request(changes: Partial<EditRequest> = {}): EditRequest {
  return { cell, createNamespace: false, allowedEnvironmentNames: [], confirm: yes, ...changes };
}

const editing =
  (
    repository: TestRepository,
    program: string | { readonly variables: Record<string, string> },
    changes: Partial<EditRequest> = {},
  ) =>
  async (): Promise<EditResult> => {
    const { variables } = typeof program === 'string' ? editor(program) : program;
    const world = withVariables(repository.world, variables);
    return editSecrets(await repository.open({ environment: world.environment }), request(changes));
  };

describe('the text', () => {
  const readBack = (values: ReadonlyMap<string, string>) => {
    const found = readYaml(Buffer.from(formatEditText(cell, values, [])), { maxBytes: 1e8, isAllText: true });
    expect(found.faults).toEqual([]);
    return found.values.map(({ name, value }) => [name, value]);
  };

  it.each(Object.entries(oddValues))('holds %s exactly', (_, value) => {
    const values = new Map([
      ['KEY', value],
      ['no', value],
      ['__proto__', 'x'],
    ]);
    expect(readBack(values)).toEqual([...values]);
  });

  it('holds any value exactly', () => {
    const pieces = fc.oneof(
      fc.constantFrom(
        'a',
        ' ',
        '#',
        "'",
        '"',
        '\\',
        '\n',
        '\r',
        '\t',
        ':',
        '- ',
        '|',
        '>',
        '%',
        '@',
        '`',
        '\u2028',
        '\ufeff',
        '\u0085',
        '?',
        '~',
        '0',
        '---',
        '...',
        '{',
        '[',
        '&',
        '*',
        '!',
      ),
      fc.string({ unit: 'binary' }),
    );
    const value = fc
      .array(pieces, { minLength: 1, maxLength: 10 })
      .map((parts) => parts.join('').replaceAll('\0', ''));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (values) => {
        const map = new Map(values.map((each, index) => [`K${index}`, each] as const));
        expect(readBack(map)).toEqual([...map]);
      }),
      { numRuns: 500, seed: 20260131 },
    );
  });

  it('is what a person would write', () => {
    const values = new Map(
      Object.entries({
        URL: 'postgres://u:p@h:5432/d?x=1',
        PORT: '5432',
        WORDS: 'two words',
        PEM: 'a\nb\n',
        NOTE: "it's",
        ESC: '\u001b[31m',
      }),
    );
    expect(formatEditText(cell, values, ['LATER']).split('\n').slice(2)).toEqual([
      '# Announced, without a value yet: LATER',
      'URL: postgres://u:p@h:5432/d?x=1',
      "PORT: '5432'",
      "WORDS: 'two words'",
      'PEM: |',
      '  a',
      '  b',
      "NOTE: 'it''s'",
      'ESC: "\\x1b[31m"',
      '',
    ]);
  });

  it('takes notes on top, and replaces them', () => {
    const once = withNotes('A: x\n', (shift) => ['one', `line ${1 + shift}`]);
    expect(once).toEqual({ text: '#! one\n#! line 3\nA: x\n', shift: 2 });
    expect(withNotes(once.text, (shift) => [`line ${3 + shift}`])).toEqual({
      text: '#! line 2\nA: x\n',
      shift: -1,
    });
  });
});

describe('editing', () => {
  it('adds, changes and deletes; what is left alone keeps its ciphertext and its date', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: 'two', C: 'x\ny\n', D: '4' } });
    const before = repository.read('secrets/database/development.enc.yaml').split('\n');
    repository.clock.milliseconds += 86_400_000;
    const result = await editing(
      repository,
      `text = text.replace("B: two", "B: zwei").replace("D: '4'\\n", "") + "E: 5\\n";`,
    )();
    expect(result).toEqual({ cell, change: 'updated', added: ['E'], changed: ['B'], removed: ['D'] });
    expect(await repository.values(cell)).toEqual({ A: '1', B: 'zwei', C: 'x\ny\n', E: '5' });
    const after = repository.read('secrets/database/development.enc.yaml').split('\n');
    const lineOf = (lines: readonly string[], key: string) =>
      lines.find((line) => line.startsWith(`${key}: `));
    for (const key of ['A', 'C']) expect(lineOf(after, key)).toBe(lineOf(before, key));
    expect(lineOf(after, 'B')).not.toBe(lineOf(before, 'B'));
    expect(repository.read('secrets/database/development.meta.yaml')).toMatch(
      /A: \{ changed: 2026-01-31.*\n {2}B: \{ changed: 2026-02-01/,
    );
  });

  it('INV-18: the file is in memory, 0600 in a folder of 0700, and gone with all that the editor left beside it', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const fake = editor(`
      const dir = require('node:path').dirname(path);
      log(path); log((fs.statSync(path).mode & 0o777).toString(8)); log((fs.statSync(dir).mode & 0o777).toString(8));
      log(String(process.env.TMPDIR === dir && process.env.XDG_STATE_HOME === dir));
      log(String(process.env.CLEF_AGE_KEY));
      for (const name of ['.x.swp', 'x~', '#x#', '.x.un~']) fs.writeFileSync(dir + '/' + name, text);`);
    const secret = { ...fake.variables, CLEF_AGE_KEY: repository.identity };
    expect(await editing(repository, { variables: secret })()).toMatchObject({ change: 'unchanged' });
    const [path = '', ...rest] = fake.log();
    expect(path).toMatch(/^\/dev\/shm\/clef-edit-[^/]+\/database\.development\.yaml$/);
    expect(rest).toEqual(['600', '700', 'true', 'undefined']);
    expect(existsSync(dirname(path))).toBe(false);
  });

  it('a new cell, and an announced key that gets its value', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    repository.write('secrets/database/development.meta.yaml', 'version: 1\nkeys: {}\npending: [B]\n');
    const fake = editor("log(String(text.includes('without a value yet: B'))); text += 'B: 2\\n';");
    await editing(repository, fake)();
    expect(fake.log()).toEqual(['true']);
    expect(repository.read('secrets/database/development.meta.yaml')).not.toContain('pending');
    const created = await editing(repository, "text += 'A: 1\\n';", { cell: 'payments/staging' })();
    expect(created).toMatchObject({ change: 'created', added: ['A'] });
  });

  it('nothing typed makes nothing, not even a cell', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const before = repository.snapshot();
    expect(await editing(repository, '', { cell: 'payments/staging' })()).toMatchObject({
      change: 'unchanged',
    });
    expect(await editing(repository, "text += '# a comment\\n';")()).toMatchObject({ change: 'unchanged' });
    expect(repository.snapshot()).toEqual(before);
  });

  it('A26: a protected cell is not even shown without a yes', async () => {
    const repository = await repositoryWith({ 'database/production': { A: 'CANARY' } });
    const fake = editor("log('opened');");
    const refusing = editing(repository, fake, { cell: 'database/production', confirm: no });
    expect(await refused(repository, refusing)).toEqual(quietly('protected'));
    expect(fake.log()).toEqual([]);
  });
});

describe('INV-110: the editor comes from the person alone', () => {
  it('VISUAL goes before EDITOR; no shell sees the command', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const visual = editor("log('visual');");
    const marker = join(temporaryFolder(), 'marker');
    await editing(repository, { variables: { VISUAL: visual.variables['EDITOR'] ?? '', EDITOR: 'false' } })();
    expect(visual.log()).toEqual(['visual']);
    const injected = { variables: { EDITOR: `true; touch ${marker}; $(touch ${marker})` } };
    expect((await refusal(editing(repository, injected)())).code).toBe('settings_invalid');
    expect(existsSync(marker)).toBe(false);
  });

  it("a repository's git configuration chooses none", async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const marker = join(repository.root, 'marker');
    repository.write('.git/config', `[core]\n\teditor = touch ${marker}\n`);
    await refusal(editing(repository, { variables: { EDITOR: 'no-such-editor' } })());
    expect(existsSync(marker)).toBe(false);
  });

  it.each([
    ['ends with an error', 'false', 'io'],
    ['is not there', 'no-such-editor', 'settings_invalid'],
    ['has an open quote', "vim '", 'settings_invalid'],
  ] as const)('one that %s changes nothing', async (_, command, code) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    expect(await refused(repository, editing(repository, { variables: { EDITOR: command } }))).toEqual(
      quietly(code),
    );
  });
});

describe('mistakes', () => {
  it('without anybody to ask: every fault with its line, and nothing is changed', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const program = "text = 'A: x\\nA-B: CANARY\\nC:\\nD: { E: CANARY }\\n';";
    expect(await refused(repository, editing(repository, program))).toEqual(quietly('bad_format'));
    expect(repository.notices.at(-1)?.message).toBe('Nothing was changed; the edited text was not kept');
    const { faults } = await refusal(editing(repository, program)());
    expect(faults.map(({ line, message }) => `${line}: ${message}`)).toEqual([
      '2: The key name "A-B" wants letters, digits and underscores, and no digit first',
      '3: The value of "C" is empty, and SOPS would keep that unauthenticated in the clear',
      '4: "D" holds other names or a list',
    ]);
  });

  it.each([
    ['YAML that is none', "text = 'A: [CANARY\\n';", 'bad_format'],
    ['a name twice', "text += 'A: CANARY\\n';", 'bad_format'],
    ['INV-93: a dangerous name', "text += 'LD_PRELOAD: CANARY\\n';", 'dangerous_name'],
    [
      'a text that is no UTF-8',
      'fs.writeFileSync(path, Buffer.from([0x41, 0x3a, 0x20, 0xff])); process.exit(0);',
      'bad_format',
    ],
    ['a text that was deleted', 'fs.unlinkSync(path); process.exit(0);', 'io'],
    [
      'a text that became a link',
      "fs.unlinkSync(path); fs.symlinkSync('/etc/passwd', path); process.exit(0);",
      'bad_path',
    ],
  ] as const)('%s', async (_, program, code) => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    expect(await refused(repository, editing(repository, program))).toEqual(quietly(code));
  });

  it('on a terminal the text is opened again with what is wrong on top, and nothing typed is lost', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const fake = editor(`
      if (times === 0) text += 'A-B: typed\\n';
      if (times === 1) { log(text); text = text.replace(/^A-B/m, 'A_B').replace(/^A: .*$/m, 'A:'); }
      if (times === 2) { log(text); text = text.replace(/^A:$/m, 'A: 2'); }`);
    const asked: ClefError[] = [];
    const retry = async (problem: ClefError) => asked.push(problem) < 5;
    const confirms: string[] = [];
    const confirm = async (question: string) => confirms.push(question) > 0;
    const result = await editing(repository, fake, { retry, confirm })();
    expect(result).toMatchObject({ added: ['A_B'], changed: ['A'] });
    expect(await repository.values(cell)).toEqual({ A: '2', A_B: 'typed' });
    expect(asked.map(({ code }) => code)).toEqual(['bad_name', 'bad_format']);
    const log = fake.log();
    const second = log.lastIndexOf('#! Not stored yet. These lines go away by themselves.');
    expect(log.slice(0, 2)).toEqual([
      '#! Not stored yet. These lines go away by themselves.',
      '#! line 6: The key name "A-B" wants letters, digits and underscores, and no digit first',
    ]);
    expect(log[5]).toBe('A-B: typed');
    expect(log.slice(second + 1, second + 2)).toEqual([
      '#! line 5: The value of "A" is empty, and SOPS would keep that unauthenticated in the clear',
    ]);
    expect(log.filter((line) => line.startsWith('#! Not'))).toHaveLength(2);
  });

  it('whoever declines is told, and nothing is left', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const fake = editor("log(path); text += 'A-B: CANARY\\n';");
    const declining = editing(repository, fake, { retry: no });
    expect(await refused(repository, declining)).toEqual(quietly('bad_name'));
    expect(existsSync(dirname(fake.log()[0] ?? '/'))).toBe(false);
  });

  it('a schema is checked line by line, for what was changed alone', async () => {
    const repository = await repositoryWith({ [cell]: { OLD: 'wrong', PORT: '1' } });
    repository.write(
      'clef.yaml',
      repository.read('clef.yaml').replace('- name: database', '- name: database\n    schema: s.yaml'),
    );
    repository.write(
      's.yaml',
      'version: 1\nkeys: { OLD: { type: integer }, PORT: { type: integer }, N: { max_length: 2 } }\n',
    );
    const program = "text = text.replace(\"'1'\", 'CANARY') + 'N: CANARY\\n';";
    expect(await refused(repository, editing(repository, program))).toEqual(quietly('schema_violation'));
    const { faults } = await refusal(editing(repository, program)());
    expect(faults.map(({ line, message }) => `${line}: ${message}`)).toEqual([
      '4: "PORT" wants a whole number, without plus or leading zeros',
      '5: "N" wants 2 characters or less',
    ]);
    expect(await editing(repository, "text = text.replace(\"'1'\", '2');")()).toMatchObject({
      changed: ['PORT'],
    });
  });
});

describe('somebody else writes meanwhile', () => {
  const meanwhile = (repository: TestRepository, values: Record<string, string>) => ({
    /** The first question is asked when the text is saved: by then the other has written. */
    write: () => fillCell(repository, cell, values),
  });

  /** An editor, and a World in which the other writes while it is open. */
  async function raced(
    repository: TestRepository,
    program: string,
    values: Record<string, string>,
    changes: Partial<EditRequest> = {},
  ) {
    const { variables, log } = editor(`
      if (times === 0) { fs.writeFileSync(${JSON.stringify(join(repository.root, '..', 'open'))}, ''); while (!fs.existsSync(${JSON.stringify(join(repository.root, '..', 'go'))})) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5); }
      ${program}`);
    const work = editing(repository, { variables }, changes)();
    const settled = work.then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    );
    while (!existsSync(join(repository.root, '..', 'open')))
      await new Promise((resolve) => setTimeout(resolve, 5));
    await meanwhile(repository, values).write();
    writeFileSync(join(repository.root, '..', 'go'), '');
    return { ...(await settled), log };
  }

  it('another key: both changes are there', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: '1' } });
    const { error } = (await raced(repository, "text = text.replace(\"A: '1'\", 'A: mine');", {
      B: 'theirs',
      C: 'new',
    })) as { error?: unknown };
    expect(error).toBeUndefined();
    expect(await repository.values(cell)).toEqual({ A: 'mine', B: 'theirs', C: 'new' });
  });

  it('the same key: refused by name; saving the text again replaces it', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: '1' } });
    const asked: string[] = [];
    const retry = async (problem: ClefError) => {
      asked.push(`${problem.code}: ${problem.message}`);
      expect(await repository.values(cell)).toEqual({ A: 'theirs', B: '1' });
      return true;
    };
    await raced(
      repository,
      "if (times === 0) text = text.replace(\"A: '1'\", 'A: mine');",
      { A: 'theirs' },
      { retry },
    );
    expect(asked).toEqual([
      'changed_meanwhile: "A" in "database/development" was changed by somebody else meanwhile',
    ]);
    expect(await repository.values(cell)).toEqual({ A: 'mine', B: '1' });
  });

  it('the same key, with nobody to ask: theirs stays', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const { error } = (await raced(repository, "text = text.replace(\"A: '1'\", 'A: mine');", {
      A: 'theirs',
    })) as { error?: ClefError };
    expect(error?.code).toBe('changed_meanwhile');
    expect(await repository.values(cell)).toEqual({ A: 'theirs' });
  });
});

describe('storage', () => {
  it('INV-18: without memory-backed storage nothing is opened, and the reason is given', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const fake = editor("log('opened');");
    const { environment } = withVariables(repository.world, { ...fake.variables, XDG_RUNTIME_DIR: tmpdir() });
    const onMac = async () =>
      editSecrets(await repository.open({ environment, platform: 'darwin' }), request());
    expect(await refused(repository, onMac)).toEqual(quietly('no_memory_storage'));
    expect((await refusal(onMac())).message).toContain(
      'no memory-backed folder that Clef can recognise on darwin',
    );
    expect(fake.log()).toEqual([]);
  });

  it('a folder on a disk is not taken for memory; one that is not there neither', async () => {
    const folder = mkdtempSync(join(process.cwd(), 'node_modules', '.clef-test-'));
    try {
      expect(await findMemoryFolder([undefined, '', 'dev/shm', '/no/such', folder])).toBeUndefined();
      expect(await findMemoryFolder([folder, '/dev/shm'])).toBe('/dev/shm');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('the folder is gone after an error, and has mode 0700', async () => {
    let folder = '';
    const failing = withPrivateFolder('/dev/shm', 'clef-test-', async (made) => {
      folder = made;
      expect(statSync(made).mode & 0o777).toBe(0o700);
      writeFileSync(join(made, 'x'), '');
      throw new HostError('io', 'x');
    });
    await expect(failing).rejects.toThrow(HostError);
    expect(existsSync(folder)).toBe(false);
  });

  async function startEditing(prefix: string, then: string) {
    const host = JSON.stringify(new URL('../../host/src/index.ts', import.meta.url).href);
    const program = `
      import { withPrivateFolder } from ${host};
      import { writeFileSync } from 'node:fs';
      await withPrivateFolder('/dev/shm', '${prefix}', async (folder) => {
        writeFileSync(folder + '/x', 'x');
        console.log('folder ' + folder);
        ${then}
      });`;
    const child = await startChild({
      command: process.execPath,
      args: ['--import', 'tsx', '--conditions=clef-source', '--input-type=module', '-e', program],
      environment: { PATH: process.env['PATH'], HOME: temporaryFolder() },
    });
    const folder = (await child.waitForLine(/^folder /, 30)).slice('folder '.length);
    return { child, folder };
  }
  const wait = 'await new Promise((done) => setTimeout(done, 60000));';

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'exit'] as const)(
    'and after %s while nobody else listens',
    async (how) => {
      const { child, folder } = await startEditing('clef-test-', how === 'exit' ? 'process.exit(3);' : wait);
      if (how !== 'exit') process.kill(child.pid, how);
      const exit = await child.exited;
      expect(how === 'exit' ? exit.exitCode : exit.signal).toBe(how === 'exit' ? 3 : how);
      expect(existsSync(folder)).toBe(false);
    },
  );

  it('INV-18: what SIGKILL leaves is removed by the next, and nothing of those who live or count elsewhere', async () => {
    const prefix = `clef-test-${process.pid}-`;
    const [killed, living] = await Promise.all([startEditing(prefix, wait), startEditing(prefix, wait)]);
    const elsewhere = killed.folder.replace(/-(\d+)-(\d+)-(\w+)$/, '-1-$2-$3');
    const link = killed.folder.replace(/\w+$/, 'link');
    const outside = temporaryFolder();
    writeFileSync(join(outside, 'kept'), '');
    mkdirSync(elsewhere);
    symlinkSync(outside, link);
    process.kill(killed.child.pid, 'SIGKILL');
    await killed.child.exited;
    expect(existsSync(join(killed.folder, 'x'))).toBe(true);

    await withPrivateFolder('/dev/shm', prefix, async () => undefined);

    expect(
      [killed.folder, living.folder, elsewhere, join(outside, 'kept')].map((path) => existsSync(path)),
    ).toEqual([false, true, true, true]);
    rmSync(elsewhere, { recursive: true });
    rmSync(link);
    process.kill(living.child.pid, 'SIGTERM');
    await living.child.exited;
  });
});
