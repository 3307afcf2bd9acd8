// The operations behind `clef sops`, in this process, on every format: what is written opens again, and each failure has
// the outcome that SOPS has an exit code for.

import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { splitWords } from '@clef/host';
import { encryptWithPassphrase, generateAgeIdentity } from '@clef/sops';
import { afterAll, describe, expect, it } from 'vitest';
import {
  decryptSopsFile,
  editSopsFileInEditor,
  encryptSopsFile,
  execWithSopsEnv,
  execWithSopsFile,
  rotateSopsFile,
  SopsOperationError,
  type SopsOutcome,
  setSopsValue,
  sopsFileStatus,
  unsetSopsValue,
  updateSopsKeys,
  type World,
} from '../../src/index.ts';
import { parseTreePath } from '../../src/sops-files/tree-path.ts';

const top = realpathSync(mkdtempSync(join(tmpdir(), 'clef-sops-files-')));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const [alice, bob] = [generateAgeIdentity(), generateAgeIdentity()];

type Person = {
  readonly world: World;
  readonly notices: string[];
  readonly write: (name: string, text: string) => void;
  readonly read: (name: string) => string;
};

let count = 0;
function person(environment: Readonly<Record<string, string>> = { SOPS_AGE_KEY: alice.identity }): Person {
  const cwd = join(top, `${count++}`);
  mkdirSync(cwd);
  const notices: string[] = [];
  const world: World = {
    environment: { PATH: process.env['PATH'], HOME: cwd, CLEF_KEYCHAIN: 'off', ...environment },
    cwd,
    homeDirectory: cwd,
    platform: process.platform,
    userName: 'alice',
    now: () => Date.parse('2026-11-24T08:00:00Z'),
    randomBytes: (length) => randomBytes(length),
    notify: ({ message }) => void notices.push(message),
  };
  return {
    world,
    notices,
    write: (name, text) => writeFileSync(join(cwd, name), text),
    read: (name) => readFileSync(join(cwd, name), 'utf8'),
  };
}

const readInput = async () => new Uint8Array();
const toAlice = { keys: { age: alice.recipient }, rules: {} };
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

async function outcomeOf(work: Promise<unknown>): Promise<SopsOutcome | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof SopsOperationError) return error.outcome;
    throw error;
  }
}

const plain: Readonly<Record<string, string>> = {
  'a.yaml': 'A: one\nN: 5\n',
  'a.json': '{\n\t"A": "one",\n\t"N": 5\n}\n',
  'a.env': 'A=one\nN=5\n',
  'a.ini': 'A = one\nN = 5\n',
  'a.bin': 'any \u0000 bytes',
};

describe.each(Object.keys(plain))('%s', (file) => {
  const place = file.endsWith('.ini') ? '["DEFAULT"]' : '';

  it('is encrypted in place with its mode kept, set, rotated, and opens again', async () => {
    const { world, write, read } = person();
    write(file, plain[file] ?? '');
    const request = { file, readInput };
    expect(await encryptSopsFile(world, { ...request, ...toAlice, inPlace: true })).toBeUndefined();
    expect(statSync(join(world.cwd, file)).mode & 0o777).toBe(0o644);
    // Not the word alone: base64 may spell it.
    expect(read(file)).not.toMatch(/A"?\s*[:=]\s*"?one/);
    expect(await sopsFileStatus(world, request)).toEqual({ encrypted: true });
    if (file !== 'a.bin') {
      const value = async () => Buffer.from('"two"');
      expect(await setSopsValue(world, { ...request, index: `${place}["A"]`, value })).toBe(true);
      expect(text(await decryptSopsFile(world, { ...request, extract: `${place}["A"]` }))).toBe('two');
      expect(await unsetSopsValue(world, { ...request, index: `${place}["N"]` })).toBe(true);
      const again = { ...request, index: `${place}["A"]`, value, idempotent: true };
      expect(await setSopsValue(world, again)).toBe(false);
    }
    const before = text(await decryptSopsFile(world, request));
    const add = { keys: { age: bob.recipient } };
    await rotateSopsFile(world, { ...request, inPlace: true, add, remove: { keys: {} } });
    const asBob = { ...world, environment: { ...world.environment, SOPS_AGE_KEY: bob.identity } };
    expect(text(await decryptSopsFile(asBob, request))).toBe(before);
    expect(before).toContain(file === 'a.bin' ? 'any' : 'two');
  });
});

describe('where keys come from', () => {
  const keyFile = (name: string) => `# created\n${alice.identity}\n# ${name}\n`;
  const rows: readonly (readonly [
    string,
    Readonly<Record<string, string>>,
    Readonly<Record<string, string>>,
  ])[] = [
    ['SOPS_AGE_KEY', { SOPS_AGE_KEY: `${bob.identity} ${alice.identity}` }, {}],
    ['SOPS_AGE_KEY_FILE', { SOPS_AGE_KEY_FILE: 'k.txt' }, { 'k.txt': keyFile('k') }],
    [
      'SOPS_AGE_KEY_CMD, split without a shell',
      { SOPS_AGE_KEY_CMD: `cat 'a key.txt'` },
      { 'a key.txt': keyFile('k') },
    ],
    [
      'a bad source beside a good one',
      { SOPS_AGE_KEY: 'nonsense', SOPS_AGE_KEY_FILE: 'k.txt' },
      { 'k.txt': keyFile('k') },
    ],
    ['a missing file beside a good one', { SOPS_AGE_KEY_FILE: 'gone', SOPS_AGE_KEY: alice.identity }, {}],
    ['CLEF_AGE_KEY', { CLEF_AGE_KEY: alice.identity }, {}],
  ];
  it.each(rows)('%s', async (_, environment, files) => {
    const { world, write, notices } = person(environment);
    for (const [name, content] of Object.entries(files)) write(name, content);
    write('a.yaml', 'A: one\n');
    await encryptSopsFile(world, { file: 'a.yaml', readInput, ...toAlice, inPlace: true });
    expect(text(await decryptSopsFile(world, { file: 'a.yaml', readInput }))).toBe('A: one\n');
    expect(notices).toEqual([]);
  });

  it('the default file', async () => {
    const { world, write } = person({});
    mkdirSync(join(world.cwd, '.config/sops/age'), { recursive: true });
    write('.config/sops/age/keys.txt', keyFile('k'));
    write('a.yaml', 'A: one\n');
    await encryptSopsFile(world, { file: 'a.yaml', readInput, ...toAlice, inPlace: true });
    expect(text(await decryptSopsFile(world, { file: 'a.yaml', readInput }))).toBe('A: one\n');
  });

  it('a file with a passphrase is asked for only where no other key opens', async () => {
    const { world, write } = person({ SOPS_AGE_KEY_FILE: 'k.age' });
    write('k.age', await encryptWithPassphrase(alice.identity, 'swordfish'));
    write('a.yaml', 'A: one\n');
    await encryptSopsFile(world, { file: 'a.yaml', readInput, ...toAlice, inPlace: true });
    const questions: string[] = [];
    const asked = {
      ...world,
      askPassphrase: async (question: string) => {
        questions.push(question);
        return 'swordfish';
      },
    };
    const rich = { ...asked, environment: { ...world.environment, SOPS_AGE_KEY: alice.identity } };
    expect(text(await decryptSopsFile(rich, { file: 'a.yaml', readInput }))).toBe('A: one\n');
    expect(questions).toEqual([]);
    expect(text(await decryptSopsFile(asked, { file: 'a.yaml', readInput }))).toBe('A: one\n');
    expect(questions).toHaveLength(1);
  });

  it('and what was wrong with each is told only when nothing opens the file; never with a key', async () => {
    const { world, write, notices } = person({
      // Without its last sign: another in its place would be the right one, once in 32 runs.
      SOPS_AGE_KEY: alice.identity.slice(0, -1),
      SOPS_AGE_KEY_FILE: 'gone',
    });
    write('a.yaml', 'A: one\n');
    await encryptSopsFile(world, { file: 'a.yaml', readInput, ...toAlice, inPlace: true });
    expect(await outcomeOf(decryptSopsFile(world, { file: 'a.yaml', readInput }))).toBe('no_data_key');
    expect(notices.join('\n')).toMatch(/SOPS_AGE_KEY: .*\n.*SOPS_AGE_KEY_FILE/);
    expect(notices.join('\n')).not.toContain(alice.identity.slice(16, 40));
  });
});

describe('.sops.yaml', () => {
  it('is found in a folder above, and matched by the path below its own', async () => {
    const { world, write } = person();
    mkdirSync(join(world.cwd, 'prod/deep'), { recursive: true });
    write(
      '.sops.yaml',
      `creation_rules: [{ path_regex: "^prod/deep/a", age: ${alice.recipient} }]\nstores: { yaml: { indent: 2 } }`,
    );
    write('prod/deep/a.yaml', 'A:\n    B: one\n');
    const below = { ...world, cwd: join(world.cwd, 'prod/deep') };
    await encryptSopsFile(below, { file: 'a.yaml', readInput, keys: {}, rules: {}, inPlace: true });
    expect(text(await decryptSopsFile(below, { file: 'a.yaml', readInput }))).toBe('A:\n  B: one\n');
  });

  it('gives way to the keys of options, and keeps its rule', async () => {
    const { world, write, read } = person();
    write('.sops.yaml', `creation_rules: [{ age: ${bob.recipient}, encrypted_regex: "^A$" }]`);
    write('a.yaml', 'A: one\nB: two\n');
    await encryptSopsFile(world, { file: 'a.yaml', readInput, ...toAlice, inPlace: true });
    expect(read('a.yaml')).toContain('B: two');
    expect(read('a.yaml')).not.toContain(bob.recipient);
  });

  it('updatekeys asks with the names, and leaves values, MAC and time byte for byte', async () => {
    const { world, write, read } = person();
    write('a.yaml', 'A: one\n');
    await encryptSopsFile(world, { file: 'a.yaml', readInput, ...toAlice, inPlace: true });
    const kept = (whole: string) => whole.split('\n').filter((line) => /^A:|mac|lastmod/.test(line));
    const before = read('a.yaml');
    write('.sops.yaml', `creation_rules: [{ age: "${bob.recipient}" }]`);
    const request = { file: 'a.yaml', readInput };
    const changes: unknown[] = [];
    const refuse = { ...request, confirm: async (change: unknown) => changes.push(change) === 0 };
    expect(await updateSopsKeys(world, refuse)).toMatchObject({ written: false });
    expect(read('a.yaml')).toBe(before);
    expect(changes).toEqual([{ added: [bob.recipient], removed: [alice.recipient] }]);
    expect(await updateSopsKeys(world, { ...request, confirm: async () => true })).toMatchObject({
      written: true,
    });
    expect(kept(read('a.yaml'))).toEqual(kept(before));
    expect(await outcomeOf(decryptSopsFile(world, request))).toBe('no_data_key');
  });
});

describe('a value that the rule of the file leaves in the clear', () => {
  const setIn = async (rules: object, index: string, value: string) => {
    const made = person();
    made.write('a.yaml', 'A: one\n');
    await encryptSopsFile(made.world, {
      file: 'a.yaml',
      readInput,
      keys: toAlice.keys,
      rules,
      inPlace: true,
    });
    const given = async () => Buffer.from(value);
    await setSopsValue(made.world, { file: 'a.yaml', readInput, index, value: given });
    return made;
  };

  it('1.3 #8: is told of, as a rule that somebody changed has no signature', async () => {
    const { read, notices } = await setIn({ unencrypted_regex: '^TOKEN$' }, '["TOKEN"]', '"canary-1"');
    expect(read('a.yaml')).toContain('canary-1');
    expect(notices).toEqual([expect.stringMatching(/in "a.yaml" in the clear.*"unencrypted_regex"/)]);
    const nested = await setIn({ encrypted_regex: '^A$' }, '["B"]', '{"C": [{"D": "canary-2"}]}');
    expect(nested.notices).toHaveLength(1);
    expect(nested.notices.join()).not.toContain('canary');
  });

  it.each([
    ['encrypted', {}, '["B"]', '{"C": ["x", 5, true, ""]}'],
    ['called so by its own name', {}, '["B_unencrypted"]', '"x"'],
    ['what the rule names', { encrypted_regex: '^B$' }, '["B"]', '"x"'],
  ])('nothing is told where it is %s', async (_, rules, index, value) => {
    expect((await setIn(rules, index, value)).notices).toEqual([]);
  });
});

describe('the plaintext stays off the disk', () => {
  const ready = async () => {
    const made = person();
    made.write('a.env', 'A=canary-7151\nB=two\n');
    await encryptSopsFile(made.world, { file: 'a.env', readInput, ...toAlice, inPlace: true });
    return made;
  };

  it('exec-env: as variables, with the exit code of the command', async () => {
    const { world } = await ready();
    const request = { file: 'a.env', readInput, pristine: true, allowedEnvironmentNames: [] };
    expect(
      await execWithSopsEnv(world, {
        ...request,
        command: 'test "$A" = canary-7151 -a -z "$HOME" && exit 9',
      }),
    ).toBe(9);
  });

  it('exec-env: refuses a name that changes how programs run', async () => {
    const { world, write } = person();
    write('a.env', 'LD_PRELOAD=x\n');
    await encryptSopsFile(world, { file: 'a.env', readInput, ...toAlice, inPlace: true });
    const request = { file: 'a.env', readInput, command: 'true', pristine: false };
    expect(await outcomeOf(execWithSopsEnv(world, { ...request, allowedEnvironmentNames: [] }))).toBe(
      'generic',
    );
  });

  it.each([
    ['a function of bash', 'BASH_FUNC_true%%'],
    ['the same as some systems write it', '__BASH_FUNC<true>()'],
    ['a program that npm runs', 'npm_config_script-shell'],
  ])('INV-93: exec-env: refuses %s, which no shell could read as a variable', async (_, name) => {
    const { world, write } = person();
    write('a.json', JSON.stringify({ [name]: '() { echo mallory; }' }));
    await encryptSopsFile(world, { file: 'a.json', readInput, ...toAlice, inPlace: true });
    const request = { file: 'a.json', readInput, command: 'exit 9', pristine: false };
    expect(await outcomeOf(execWithSopsEnv(world, { ...request, allowedEnvironmentNames: [] }))).toBe(
      'generic',
    );
    expect(await execWithSopsEnv(world, { ...request, allowedEnvironmentNames: [name] })).toBe(9);
  });

  it.each([
    ['read once', 'grep -q canary-7151 {} && exit 9', 9],
    ['read in part', 'head -c 1 {} >/dev/null; exit 8', 8],
    ['never read', 'exit 7', 7],
    ['a pipe and no file', 'test -p {} && exit 6', 6],
  ])('exec-file: %s', async (_, command, code) => {
    const { world } = await ready();
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('clef-sops-'));
    expect(await execWithSopsFile(world, { file: 'a.env', readInput, command })).toBe(code);
    const after = readdirSync(tmpdir()).filter((name) => name.startsWith('clef-sops-'));
    expect(after.filter((name) => !before.includes(name) && /^clef-sops-[A-Za-z0-9]{6}$/.test(name))).toEqual(
      [],
    );
  });

  it('edit: in memory, gone afterwards; what did not change keeps its ciphertext', async () => {
    const { world, read } = await ready();
    const line = (whole: string) => whole.split('\n').find((each) => each.startsWith('A='));
    const before = line(read('a.env'));
    const editing = {
      ...world,
      environment: {
        ...world.environment,
        EDITOR: `sh -c 'pwd >/dev/null; sed -i s/two/three/ "$0"; dirname "$0" > place'`,
      },
    };
    await editSopsFileInEditor(editing, { file: 'a.env', readInput });
    expect(line(read('a.env'))).toBe(before);
    expect(text(await decryptSopsFile(world, { file: 'a.env', readInput }))).toBe('A=canary-7151\nB=three\n');
    expect(read('place')).toMatch(/^\/dev\/shm\/clef-edit-/);
    expect(readdirSync('/dev/shm')).not.toContain(read('place').trim().slice('/dev/shm/'.length));
  });
});

describe('paths and words', () => {
  it.each([
    ['["a"]', ['a']],
    [`["a"]['b'][0]`, ['a', 'b', 0]],
    ['[ "a b" ] [12]', ['a b', 12]],
    ['a', undefined],
    ['["a"', undefined],
    ['["a"]x', undefined],
    ['', undefined],
  ])('path %s', (source, path) => expect(parseTreePath(source)).toEqual(path));

  it.each([
    ['a b', ['a', 'b']],
    [` 'a b'  "c \\"d\\"" e\\ f `, ['a b', 'c "d"', 'e f']],
    [`a'b'"c"`, ['abc']],
    ['$HOME *', ['$HOME', '*']],
    [`"open`, undefined],
    ['', []],
  ])('words of %s', (source, words) => expect(splitWords(source)).toEqual(words));
});
