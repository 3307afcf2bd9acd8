// The ways in which the SOPS command is called beside its subcommands, and the commands that run others: `clef sops` and the
// real sops do the same with them and end with the same numbers.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateAgeIdentity } from '@clef/sops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from './peers.ts';
import { clefSops, printedBy, realSops, type Situation } from './sops-command.ts';

const alice = generateAgeIdentity();
const bob = generateAgeIdentity();
const plain = 'A: one\nB: 2\n';
const top = mkdtempSync(join(tmpdir(), 'clef-sops-forms-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));

/** A folder with a plaintext and two encrypted files, for each program its own. */
function situation(name: string, environment: Readonly<Record<string, string>> = {}): Situation {
  const cwd = join(top, name);
  mkdirSync(cwd, { recursive: true });
  if (name !== 'model') cpSync(join(top, 'model'), cwd, { recursive: true });
  return {
    cwd,
    environment: {
      PATH: process.env['PATH'],
      HOME: cwd,
      CLEF_KEYCHAIN: 'off',
      SOPS_AGE_KEY: alice.identity,
      EDITOR: 'true',
      ...environment,
    },
  };
}

beforeAll(async () => {
  const model = situation('model');
  writeFileSync(join(model.cwd, 'p.yaml'), plain);
  writeFileSync(join(model.cwd, 'p.env'), 'A=one\nB=two words\n');
  for (const file of ['yaml', 'env']) {
    await printedBy(
      realSops(model, 'encrypt', '--age', alice.recipient, '--output', `e.${file}`, `p.${file}`),
    );
  }
});

let count = 0;
/** What both programs did with the same words. */
async function both(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  count += 1;
  const [ours, theirs] = [situation(`${count}-ours`, environment), situation(`${count}-theirs`, environment)];
  return {
    ours: { ...ours, ended: await clefSops(ours, ...words) },
    theirs: { ...theirs, ended: await realSops(theirs, ...words) },
  };
}

const open = async (from: Situation, file: string): Promise<string> =>
  (
    await realSops(
      { ...from, environment: { ...from.environment, SOPS_AGE_KEY: `${alice.identity}\n${bob.identity}` } },
      'decrypt',
      file,
    )
  ).stdout.toString();

describe.runIf(hasPeer('sops'))('the old forms', () => {
  it.each<[words: readonly string[], exitCode: number]>([
    [['-d', 'e.yaml'], 0],
    [['--decrypt', 'e.yaml'], 0],
    [['-decrypt', 'e.yaml'], 0],
    [['-d', '--extract', '["A"]', 'e.yaml'], 0],
    [['--extract=["A"]', '-d', 'e.yaml'], 0],
    [['-d', '--output-type', 'json', 'e.yaml'], 0],
    [['--ignore-mac', '-d', 'e.yaml'], 0],
    [['--verbose', 'filestatus', 'e.yaml'], 0],
    [['-d'], 100],
    [['-d', 'gone.yaml'], 100],
    [['-e', '--age', alice.recipient, 'gone.yaml'], 100],
    [['-e', 'p.yaml'], 1],
    [['-d', 'p.yaml'], 1],
    [['e.yaml'], 200],
    [['-i', 'e.yaml'], 200],
    [['p.yaml'], 1],
    [['--set', '["A"]', 'e.yaml'], 7],
    [['--set', '["A"] no json', 'e.yaml'], 7],
  ])('%j: the same output and the number %i', async (words, exitCode) => {
    const { ours, theirs } = await both(words);
    expect([ours.ended.exitCode, theirs.ended.exitCode], ours.ended.message).toEqual([exitCode, exitCode]);
    if (exitCode === 0) expect(ours.ended.stdout.toString()).toBe(theirs.ended.stdout.toString());
  });

  it.each<[words: readonly string[], file: string]>([
    [['-d', '-i', 'e.yaml'], 'e.yaml'],
    [['-d', '--output', 'out.yaml', 'e.yaml'], 'out.yaml'],
  ])('%j: the same plaintext in the file', async (words, file) => {
    const { ours, theirs } = await both(words);
    expect([ours.ended.exitCode, theirs.ended.exitCode]).toEqual([0, 0]);
    expect(readFileSync(join(ours.cwd, file), 'utf8')).toBe(readFileSync(join(theirs.cwd, file), 'utf8'));
  });

  it.each<[words: readonly string[], file: string]>([
    [['-e', '-i', '--age', alice.recipient, 'p.yaml'], 'p.yaml'],
    [['-e', '-i', '-a', alice.recipient, 'p.yaml'], 'p.yaml'],
    [['-r', '-i', 'e.yaml'], 'e.yaml'],
    [['-r', '-i', '--add-age', bob.recipient, 'e.yaml'], 'e.yaml'],
    [['--set', '["A"] "x ] y"', 'e.yaml'], 'e.yaml'],
    [['--set', '["C"] {"D": "x"}', 'e.yaml'], 'e.yaml'],
  ])('%j: the real tool opens what either wrote, and finds the same', async (words, file) => {
    const { ours, theirs } = await both(words);
    expect([ours.ended.exitCode, theirs.ended.exitCode], ours.ended.message).toEqual([0, 0]);
    const found = await open(ours, file);
    expect(found).not.toBe('');
    expect(found).toBe(await open(theirs, file));
  });

  it.each<[words: readonly string[]]>([
    [['-d', '-r', 'e.yaml']],
    [['-s', 'e.yaml']],
    [['--indent', '2', '-d', 'e.yaml']],
    [['-d', '--add-age', bob.recipient, 'e.yaml']],
  ])('%j: not covered, said so, and nothing is written', async (words) => {
    const { ours } = await both(words);
    expect(ours.ended.exitCode).toBe(69);
    expect(ours.ended.message).toContain('does not cover');
    expect(readFileSync(join(ours.cwd, 'e.yaml'))).toEqual(readFileSync(join(top, 'model/e.yaml')));
  });
});

describe.runIf(hasPeer('sops'))('commands that run others', () => {
  it.each<[title: string, words: readonly string[]]>([
    ['exec-env: the values', ['exec-env', 'e.env', 'printf %s "$A,$B" > out']],
    ['exec-env: numbers as text', ['exec-env', 'e.yaml', 'printf %s "$A,$B" > out']],
    ['exec-env: on top of our own variables', ['exec-env', 'e.env', 'printf %s "$EDITOR" > out']],
    ['exec-env --pristine', ['exec-env', '--pristine', 'e.env', 'printf %s "$A,$EDITOR" > out']],
    ['exec-env: the exit code', ['exec-env', 'e.env', 'exit 9']],
    ['exec-file: the plaintext', ['exec-file', 'e.yaml', 'cat {} > out']],
    ['exec-file: a pipe', ['exec-file', 'e.yaml', 'test -p {} && cat {} > /dev/null && echo pipe > out']],
    [
      'exec-file --filename',
      ['exec-file', '--filename', 'app.yaml', 'e.yaml', 'basename {} > out; cat {} > /dev/null'],
    ],
    ['exec-file --output-type', ['exec-file', '--output-type', 'json', 'e.yaml', 'cat {} > out']],
    ['exec-file: the exit code', ['exec-file', 'e.yaml', 'cat {} > /dev/null; exit 8']],
    ['exec-env: no such file', ['exec-env', 'gone.env', 'true']],
    ['exec-env: no command', ['exec-env', 'e.env']],
  ])('%s', async (_title, words) => {
    const { ours, theirs } = await both(words);
    expect(ours.ended.exitCode, ours.ended.message).toBe(theirs.ended.exitCode);
    const out = ({ cwd }: Situation) =>
      existsSync(join(cwd, 'out')) ? readFileSync(join(cwd, 'out'), 'utf8') : undefined;
    expect(out(ours)).toBe(out(theirs));
  });

  it.each<[title: string, editor: string, exitCode?: number]>([
    ['a change', `sed -i s/one/two/`],
    ['another value', `sh -c 'echo "C: [x, y]" >> "$0"'`],
    ['no change', 'true', 200],
    ['an editor that fails', 'false', 201],
  ])('edit: %s', async (_title, editor, exitCode = 0) => {
    const { ours, theirs } = await both(['edit', 'e.yaml'], { SOPS_EDITOR: editor });
    expect([ours.ended.exitCode, theirs.ended.exitCode], ours.ended.message).toEqual([exitCode, exitCode]);
    expect(await open(ours, 'e.yaml')).toBe(await open(theirs, 'e.yaml'));
  });

  it.each(['e.yaml', 'p.yaml', 'e.env', 'gone.yaml'])('filestatus of %s', async (file) => {
    const { ours, theirs } = await both(['filestatus', file]);
    expect(ours.ended.exitCode).toBe(theirs.ended.exitCode);
    expect(ours.ended.stdout.toString().trim()).toBe(theirs.ended.stdout.toString().trim());
  });
});
