// `clef sops` beside the real sops 3.12.2: each reads what the other wrote, after every kind of change, and both end with
// the same numbers.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { clefSops, type Ended, printedBy, realSops, type Situation } from './sops-command.ts';

type Case = {
  readonly id: string;
  readonly op: string;
  readonly expect: string;
  readonly format: string;
  readonly file: string;
  readonly identities: readonly string[];
  readonly comments_may_differ?: boolean;
};

const vectors = fileURLToPath(new URL('./vectors/sops/', import.meta.url));
const manifest = JSON.parse(readFileSync(join(vectors, 'vectors.json'), 'utf8')) as {
  keys: Record<string, { recipient: string }>;
  cases: readonly Case[];
};
const top = mkdtempSync(join(tmpdir(), 'clef-sops-command-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));

const recipient = (name: string): string => manifest.keys[name]?.recipient ?? '';
const keyText = (name: string): string => readFileSync(join(vectors, 'keys', `${name}.txt`), 'utf8');

/** A folder with these files, and exactly the variables that make its keys found. */
function situation(
  name: string,
  identities: readonly string[],
  files: Readonly<Record<string, string>> = {},
): Situation {
  const cwd = join(top, name);
  mkdirSync(cwd, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(cwd, file), text);
  const ssh = identities.find((each) => each.startsWith('ssh_'));
  const age = identities.filter((each) => !each.startsWith('ssh_'));
  return {
    cwd,
    environment: {
      PATH: process.env['PATH'],
      HOME: cwd,
      CLEF_KEYCHAIN: 'off',
      ...(age.length > 0 && { SOPS_AGE_KEY: age.map(keyText).join('\n') }),
      ...(ssh !== undefined && { SOPS_AGE_SSH_PRIVATE_KEY_FILE: join(vectors, 'keys', ssh) }),
    },
  };
}

const openable = manifest.cases.filter(
  ({ op, expect: wanted, identities }) => op === 'decrypt' && wanted === 'ok' && identities.length > 0,
);
// The key of a value at the top of each format.
const places: Readonly<Record<string, string | undefined>> = {
  ini: '["DEFAULT"]',
  yaml: '',
  json: '',
  dotenv: '',
};

describe(`the ${openable.length} positive vectors that have a key`, () => {
  it.each(openable)(
    '$id: each reads the other, after encrypt, set, rotate and updatekeys',
    async (vector) => {
      const file = basename(vector.file);
      const here = situation(vector.id, vector.identities);
      cpSync(join(vectors, vector.file), join(here.cwd, file));
      const plain = await printedBy(realSops(here, 'decrypt', file));
      const ours = await printedBy(clefSops(here, 'decrypt', file));
      // Where a comment was moved we find its home again, and the real tool leaves it as it stands.
      const seen = (text: string) =>
        vector.comments_may_differ === true ? text.replaceAll(/^ *#.*\n/gm, '') : text;
      if (!ours.equals(plain)) {
        expect(seen(await normalised(here, file, ours))).toBe(seen(plain.toString()));
      }

      const as = situation(vector.id, ['alice'], {});
      writeFileSync(join(as.cwd, `p-${file}`), plain);
      const to = ['--age', recipient('alice')] as const;
      const theirs = await realSops(as, 'encrypt', ...to, '--output', `theirs-${file}`, `p-${file}`);
      const mine = await clefSops(as, 'encrypt', ...to, '--output', `mine-${file}`, `p-${file}`);
      expect([mine.exitCode, mine.message]).toEqual([
        theirs.exitCode,
        theirs.exitCode === 0 ? '' : expect.anything(),
      ]);
      if (theirs.exitCode !== 0) return;
      const again = await printedBy(realSops(as, 'decrypt', `theirs-${file}`));
      const once = (await printedBy(realSops(as, 'decrypt', `mine-${file}`))).toString();
      expect(rounded(vector, once)).toBe(rounded(vector, again.toString()));

      // The same changes twice: once by the real tool alone, once by both in turns.
      const place = places[vector.format];
      const one = place === undefined ? [] : [`${place}["added_by_sops"]`, '"1 # one"'];
      const two = place === undefined ? [] : [`${place}["added_by_clef"]`, '"2 \'two\'"'];
      if (place !== undefined) {
        await printedBy(realSops(as, 'set', `theirs-${file}`, ...one));
        await printedBy(realSops(as, 'set', `theirs-${file}`, ...two));
        await printedBy(realSops(as, 'set', `mine-${file}`, ...one));
      }
      await printedBy(clefSops(as, 'rotate', '--in-place', '--add-age', recipient('bob'), `mine-${file}`));
      creationRule(as, 'alice');
      await printedBy(realSops(as, 'updatekeys', '--yes', `mine-${file}`));
      if (place !== undefined) await printedBy(clefSops(as, 'set', `mine-${file}`, ...two));
      await printedBy(realSops(as, 'rotate', '--in-place', `mine-${file}`));
      creationRule(as, 'alice', 'bob');
      await printedBy(clefSops(as, 'updatekeys', '--yes', `mine-${file}`));
      const bob = situation(vector.id, ['bob']);
      const expected = (await printedBy(realSops(as, 'decrypt', `theirs-${file}`))).toString();
      const final = (await printedBy(realSops(bob, 'decrypt', `mine-${file}`))).toString();
      expect(rounded(vector, final)).toBe(rounded(vector, expected));
      const last = await printedBy(clefSops(bob, 'decrypt', `mine-${file}`));
      if (last.toString() !== final) expect(await normalised(as, file, last)).toBe(final);
    },
  );
});

/** sops 3.12 makes a double of every number in JSON, so that a long integer loses digits; we keep it an integer. */
function rounded({ format }: Case, text: string): string {
  if (format !== 'json') return text;
  return text.replaceAll(/-?[0-9]{16,}/g, (digits) => String(Number(digits)));
}

/** Our plaintext as the real tool prints it: its YAML may be laid out differently and say the same. */
async function normalised({ cwd }: Situation, file: string, plain: Uint8Array): Promise<string> {
  const alone = { ...situation(`${basename(cwd)}-n`, ['alice']) };
  writeFileSync(join(alone.cwd, file), plain);
  await printedBy(realSops(alone, 'encrypt', '--age', recipient('alice'), '--in-place', file));
  return (await printedBy(realSops(alone, 'decrypt', file))).toString();
}

function creationRule({ cwd }: Situation, ...names: readonly string[]): void {
  writeFileSync(join(cwd, '.sops.yaml'), `creation_rules:\n  - age: ${names.map(recipient).join(',')}\n`);
}

describe('exit codes: both end with the same number', () => {
  const yaml = 'a: one\nb: 5\nc:\n  d: true\n  e: [x, 2]\ng: null\n';
  const ready = (async () => {
    const made = situation('exit-codes', ['alice'], {
      'plain.yaml': yaml,
      'flat.env': 'A=1\n',
      'empty.yaml': '',
      'bad.yaml': ': : [',
      'notes.yaml': '# only a comment\n',
    });
    const to = ['--age', recipient('alice')];
    await printedBy(realSops(made, 'encrypt', ...to, '--output', 'e.yaml', 'plain.yaml'));
    await printedBy(realSops(made, 'encrypt', ...to, '--output', 'e.env', 'flat.env'));
    const text = readFileSync(join(made.cwd, 'e.yaml'), 'utf8');
    const write = (name: string, changed: string) => writeFileSync(join(made.cwd, name), changed);
    write('mac.yaml', text.replace(/mac: ENC\[AES256_GCM,data:..../, 'mac: ENC[AES256_GCM,data:AAAA'));
    write('no-mac.yaml', text.replace(/ *mac: .*\n/, ''));
    write('value.yaml', text.replace(/a: ENC\[AES256_GCM,data:..../, 'a: ENC[AES256_GCM,data:AAAA'));
    write('in-clear.yaml', text.replace(/a: ENC.*\n/, 'a: one\n'));
    write('removed.yaml', text.replace(/a: ENC.*\n/, ''));
    write('version.yaml', text.replace(/version: .*\n/, 'version: banana\n'));
    for (const folder of ['broken', 'no-match', 'bad-regex', 'conflict', 'no-rules', 'rule'])
      mkdirSync(join(made.cwd, folder), { recursive: true });
    write('broken/.sops.yaml', 'creation_rules: [');
    write('no-match/.sops.yaml', `creation_rules: [{ path_regex: nomatch, age: ${recipient('alice')} }]`);
    write('bad-regex/.sops.yaml', 'creation_rules: [{ path_regex: "(" }]');
    write(
      'conflict/.sops.yaml',
      `creation_rules: [{ age: ${recipient('alice')}, encrypted_regex: a, unencrypted_regex: b }]`,
    );
    write('no-rules/.sops.yaml', 'stores: { yaml: { indent: 2 } }');
    write('rule/.sops.yaml', `creation_rules: [{ age: ${recipient('alice')} }]`);
    return made;
  })();
  const alice = recipient('alice');
  type Row = readonly [
    title: string,
    args: readonly string[],
    more?: Partial<Situation> & { key?: string; folder?: string },
  ];
  const table: readonly Row[] = [
    ['decrypt', ['decrypt', 'e.yaml']],
    ['no such file', ['decrypt', 'nope.yaml']],
    ['a folder', ['decrypt', '.']],
    ['a plaintext', ['decrypt', 'plain.yaml']],
    ['no YAML', ['decrypt', 'bad.yaml']],
    ['the wrong format', ['decrypt', '--input-type', 'json', 'e.yaml']],
    ['no identity fits', ['decrypt', 'e.yaml'], { key: 'bob' }],
    ['no identity', ['decrypt', 'e.yaml'], { key: '' }],
    ['a changed MAC', ['decrypt', 'mac.yaml']],
    ['a changed MAC, ignored', ['decrypt', '--ignore-mac', 'mac.yaml']],
    ['no MAC', ['decrypt', 'no-mac.yaml']],
    ['a changed value', ['decrypt', 'value.yaml']],
    ['a changed value, MAC ignored', ['decrypt', '--ignore-mac', 'value.yaml']],
    ['a value in clear', ['decrypt', 'in-clear.yaml']],
    ['a value taken out', ['decrypt', 'removed.yaml']],
    ['a bad version', ['decrypt', 'version.yaml']],
    ['in place and an output', ['decrypt', '-i', '--output', 'x', 'e.yaml']],
    ['an output that cannot be written', ['decrypt', '--output', 'nope/x', 'e.yaml']],
    ['an order with a kind twice', ['decrypt', '--decryption-order', 'age,age', 'e.yaml']],
    ['extract a string', ['decrypt', '--extract', '["a"]', 'e.yaml']],
    ['extract what is not there', ['decrypt', '--extract', '["nope"]', 'e.yaml']],
    ['extract beyond a list', ['decrypt', '--extract', '["c"]["e"][9]', 'e.yaml']],
    ['extract an index of a string', ['decrypt', '--extract', '["a"][0]', 'e.yaml']],
    ['extract by no path', ['decrypt', '--extract', 'a', 'e.yaml']],
    ['maps in a dotenv file', ['decrypt', '--output-type', 'dotenv', 'e.yaml']],
    ['maps in an INI file', ['decrypt', '--output-type', 'ini', 'e.yaml']],
    ['no data for a binary file', ['decrypt', '--output-type', 'binary', 'e.yaml']],
    ['an int as dotenv', ['decrypt', '--output-type', 'dotenv', '--extract', '["b"]', 'e.yaml']],
    ['encrypt', ['encrypt', '--age', alice, 'plain.yaml']],
    ['encrypt to nobody', ['encrypt', 'plain.yaml']],
    ['encrypt to a bad recipient', ['encrypt', '--age', 'age1nope', 'plain.yaml']],
    ['encrypt to a bad ARN', ['encrypt', '--kms', 'nope', 'plain.yaml']],
    ['encrypt what is encrypted', ['encrypt', '--age', alice, 'e.yaml']],
    ['encrypt no file', ['encrypt', '--age', alice, 'nope.yaml']],
    ['encrypt an empty file', ['encrypt', '--age', alice, 'empty.yaml']],
    ['encrypt only a comment', ['encrypt', '--age', alice, 'notes.yaml']],
    ['encrypt no YAML', ['encrypt', '--age', alice, 'bad.yaml']],
    ['encrypt YAML maps to dotenv', ['encrypt', '--age', alice, '--output-type', 'dotenv', 'plain.yaml']],
    [
      'encrypt with two rules',
      ['encrypt', '--age', alice, '--encrypted-regex', 'a', '--unencrypted-regex', 'b', 'plain.yaml'],
    ],
    [
      'encrypt with a bad context',
      [
        'encrypt',
        '--kms',
        'arn:aws:kms:eu-west-1:111122223333:key/1',
        '--encryption-context',
        'nope',
        'plain.yaml',
      ],
    ],
    ['encrypt standard input without a name', ['encrypt', '--age', alice], { input: yaml }],
    ['encrypt standard input', ['encrypt', '--age', alice, '--filename-override', 'x.yaml'], { input: yaml }],
    [
      'a threshold with one group',
      ['encrypt', '--age', alice, '--shamir-secret-sharing-threshold', '5', 'plain.yaml'],
    ],
    ['a broken configuration', ['encrypt', '--age', alice, '../plain.yaml'], { folder: 'broken' }],
    ['no creation rule matches', ['encrypt', '../plain.yaml'], { folder: 'no-match' }],
    [
      'no creation rule matches, with a key',
      ['encrypt', '--age', alice, '../plain.yaml'],
      { folder: 'no-match' },
    ],
    ['a bad path_regex', ['encrypt', '../plain.yaml'], { folder: 'bad-regex' }],
    ['a rule with two rule fields', ['encrypt', '../plain.yaml'], { folder: 'conflict' }],
    ['a configuration without rules', ['encrypt', '../plain.yaml'], { folder: 'no-rules' }],
    ['a creation rule', ['encrypt', '../plain.yaml'], { folder: 'rule' }],
    ['set what is no JSON', ['set', 'e.yaml', '["x"]', 'nope']],
    ['set at no path', ['set', 'e.yaml', 'nope', '1']],
    ['set without a value', ['set', 'e.yaml', '["x"]']],
    ['set the metadata', ['set', 'e.yaml', '["sops"]', '1']],
    ['set in no file', ['set', 'nope.yaml', '["x"]', '1']],
    ['set in a plaintext', ['set', 'plain.yaml', '["x"]', '1']],
    ['set what is so already', ['set', '--idempotent', 'e.yaml', '["a"]', '"one"']],
    ['unset what is not there', ['unset', 'e.yaml', '["nope"]']],
    ['unset what is not there, idempotent', ['unset', '--idempotent', 'e.yaml', '["nope"]']],
    ['unset at no path', ['unset', 'e.yaml', 'nope']],
    ['unset beyond a list', ['unset', 'e.yaml', '["c"]["e"][9]']],
    ['unset without a path', ['unset', 'e.yaml']],
    ['unset in no file', ['unset', 'nope.yaml', '["a"]']],
    ['rotate no file', ['rotate', 'nope.yaml']],
    ['rotate without a file', ['rotate']],
    ['rotate a plaintext', ['rotate', 'plain.yaml']],
    ['rotate without the last key', ['rotate', '--rm-age', alice, 'e.yaml']],
    ['rotate to a bad recipient', ['rotate', '--add-age', 'nope', 'e.yaml']],
    ['rotate', ['rotate', 'e.yaml']],
    ['rotate with a changed MAC', ['rotate', 'mac.yaml']],
    ['updatekeys without a rule', ['updatekeys', '--yes', '../e.yaml'], { folder: 'no-rules' }],
    ['updatekeys with nothing to do', ['updatekeys', '--yes', '../e.yaml'], { folder: 'rule' }],
    ['updatekeys where no rule matches', ['updatekeys', '--yes', '../e.yaml'], { folder: 'no-match' }],
    ['updatekeys of no file', ['updatekeys', '--yes', '../nope.yaml'], { folder: 'rule' }],
    ['updatekeys of a plaintext', ['updatekeys', '--yes', '../plain.yaml'], { folder: 'rule' }],
    ['updatekeys without a file', ['updatekeys']],
    ['filestatus', ['filestatus', 'e.yaml']],
    ['filestatus of a plaintext', ['filestatus', 'plain.yaml']],
    ['filestatus without a MAC', ['filestatus', 'no-mac.yaml']],
    ['filestatus of no file', ['filestatus', 'nope.yaml']],
    ['filestatus without a file', ['filestatus']],
    ['filestatus of no YAML', ['filestatus', 'bad.yaml']],
    ['exec-env', ['exec-env', 'e.env', 'test "$A" = 1 && exit 9']],
    ['exec-env of maps', ['exec-env', 'e.yaml', 'true']],
    ['exec-env of no file', ['exec-env', 'nope.env', 'true']],
    ['exec-env without a command', ['exec-env', 'e.env']],
    ['exec-env of a plaintext', ['exec-env', 'plain.yaml', 'true']],
    ['exec-file', ['exec-file', 'e.env', 'test "$(cat {})" = A=1 && exit 9']],
    ['exec-file that is not read', ['exec-file', 'e.env', 'exit 3']],
    ['exec-file of no file', ['exec-file', 'nope.env', 'true']],
    ['edit without a change', ['edit', 'e.yaml'], { environment: { EDITOR: 'true' } }],
    ['edit with a failing editor', ['edit', 'e.yaml'], { environment: { EDITOR: 'false' } }],
    ['edit without an editor', ['edit', 'e.yaml'], { environment: { EDITOR: 'no-such-editor' } }],
    ['edit a plaintext', ['edit', 'plain.yaml'], { environment: { EDITOR: 'true' } }],
    ['edit without a file', ['edit']],
  ];

  const rows = table.map(([title, args, more = {}]) => ({ title, args, ...more }));
  it.each(rows)('$title', async ({ args, key = 'alice', folder = '', input, environment }) => {
    const { cwd } = await ready;
    const base = situation('exit-codes', key === '' ? [] : [key]);
    const here: Situation = {
      cwd: join(cwd, folder),
      environment: { ...base.environment, ...environment },
      ...(input !== undefined && { input }),
    };
    const outcomes = [await realSops(here, ...args), await clefSops(here, ...args)] as const;
    const shown = ({ exitCode, message }: Ended) => `${exitCode}: ${message}`;
    expect(outcomes[1].exitCode, outcomes.map(shown).join('\n')).toBe(outcomes[0].exitCode);
    if (outcomes[0].exitCode === 0 && ['decrypt', 'filestatus'].includes(args[0] ?? '')) {
      expect(outcomes[1].stdout.toString()).toBe(outcomes[0].stdout.toString());
    }
  });
});
