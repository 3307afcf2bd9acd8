// The canary (INV-17, INV-18, INV-19): values that are nowhere else in the world go through every command of the table, in
// right and in wrong use. Afterwards every file, every object of git (inflated), every line of a log or an error and
// every argument of every process is searched for them.
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../packages/cli/src/commands.ts';
import { clefPath, type Sandbox, sandbox, succeed } from '../packages/cli/test/run-clef.ts';
import {
  type CanaryStep,
  dev,
  outsideFiles,
  rightSteps,
  strayKey,
  token,
  wrongSteps,
} from './canary-steps.ts';
import { hasPeer, type PeerRun, runPeer } from './peers.ts';

/** What has a test of its own, or does nothing but say that it is not covered. */
const elsewhere = ['demo', 'kms emulate', 'sops publish', 'sops keyservice', 'sops groups'];

/** A text in every shape in which a careless program could write it. */
function shapesOf(text: string): readonly string[] {
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.from('x'.repeat(shift) + text)
      .toString('base64')
      .slice(shift === 0 ? 0 : 4, -4),
  );
  return [text, ...base64, Buffer.from(text).toString('hex'), [...text].reverse().join('')];
}

const traces = [token, strayKey.identity].flatMap(shapesOf);
const holds = (text: string): boolean => traces.some((trace) => text.includes(trace));

/** All regular files below a folder that hold a canary. */
function filesThatHold(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const path = join(folder, name);
    return holds(name) || (lstatSync(path).isFile() && holds(readFileSync(path, 'latin1')));
  });
}

/** Whether an object of a git repository holds a canary: loose, packed or reachable from nowhere. */
async function objectsHold(box: Sandbox): Promise<boolean> {
  const all = await succeed(box.shell('git cat-file --batch-all-objects --batch'));
  expect(all.stdout.length).toBeGreaterThan(100);
  return holds(all.stdout);
}

type Watched = PeerRun & { readonly step: CanaryStep; readonly argv: readonly string[] };

const commit =
  'git add --all && git -c user.name=A -c user.email=a@example.test commit --quiet --allow-empty -m all';

describe.runIf(hasPeer('strace'))('the canary', () => {
  /** Runs clef; returns what it printed, and the arguments of every other process that came of it. */
  async function watched(box: Sandbox, outside: string, step: CanaryStep): Promise<Watched> {
    const log = join(outside, 'strace.log');
    const ran = await runPeer(
      'strace',
      [
        '-f',
        '-qq',
        '--seccomp-bpf',
        '-s',
        '100000',
        '-e',
        'trace=execve',
        '-o',
        log,
        process.execPath,
        clefPath,
        ...step.args,
      ],
      {
        cwd: box.folder,
        environment: { ...box.environment, TMPDIR: join(box.home, 'tmp'), ...step.environment },
        ...(step.input !== undefined && { input: step.input }),
      },
    );
    const [own = '', ...others] = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('execve('));
    // The watch itself works.
    expect(own).toContain('clef.js');
    return { ...ran, step, argv: others };
  }

  it('INV-17, INV-18, INV-19: after every command, well and badly used, no value is in a file, an object of git, a log, an error or an argument', async () => {
    const box = sandbox();
    const outside = sandbox().folder;
    for (const [name, text] of Object.entries(outsideFiles)) writeFileSync(join(outside, name), text);
    mkdirSync(join(box.home, 'tmp'));
    await succeed(box.shell('git init --quiet .'));
    const runs: Watched[] = [];
    for (const step of rightSteps(outside)) {
      runs.push(await watched(box, outside, step));
      if (runs.length % 8 === 0) await succeed(box.shell(commit));
    }
    const unexpected = runs.filter(
      ({ step, exitCode }) => step.exitCode !== -1 && exitCode !== (step.exitCode ?? 0),
    );
    expect(unexpected.map(({ step, exitCode, stderr }) => [step.args.join(' '), exitCode, stderr])).toEqual(
      [],
    );
    const shown = runs.filter(({ step, stdout }) => step.isShowing === true && holds(stdout));
    expect(
      runs.filter((run) => run.step.isShowing === true && !shown.includes(run)).map(({ step }) => step.args),
    ).toEqual([]);

    box.write(
      'clef.yaml',
      box.read('clef.yaml').replace('- name: database\n', '$&    schema: schemas/database.yaml\n'),
    );
    box.write('schemas/database.yaml', 'version: 1\nkeys:\n  GUARDED: { type: integer }\n');
    for (const step of wrongSteps) {
      for (const how of ['--debug', '--json']) {
        const run = await watched(box, outside, { ...step, args: [how, ...step.args] });
        runs.push(run);
      }
    }
    const accepted = runs
      .slice(-2 * wrongSteps.length)
      .filter(({ exitCode }) => exitCode === 0 || exitCode === 70);
    expect(accepted.map(({ step, exitCode, stderr }) => [step.args.join(' '), exitCode, stderr])).toEqual([]);

    const used = runs.map(({ step }) => step.args.join(' '));
    const unused = commands.filter(
      ({ name }) => !elsewhere.includes(name) && !used.some((line) => `${line} `.startsWith(`${name} `)),
    );
    expect(unused.map(({ name }) => name)).toEqual([]);

    const found = {
      stderr: runs.filter(({ stderr }) => holds(stderr)).map(({ step }) => step.args),
      stdout: runs
        .filter(({ step, stdout }) => step.isShowing !== true && holds(stdout))
        .map(({ step }) => step.args),
      argv: runs.filter(({ argv }) => argv.some(holds)).map(({ step }) => step.args),
    };
    expect(found).toEqual({ stderr: [], stdout: [], argv: [] });
    await succeed(box.shell(`${commit} && git cat-file --batch-all-objects --batch-check | wc -l`));
    expect(await objectsHold(box)).toBe(false);
    await succeed(box.shell('git gc --quiet --prune=now'));
    expect(filesThatHold(join(box.folder, '..'))).toEqual([]);
    expect(filesThatHold(join(clefPath, '../../dist'))).toEqual([]);
    const edited = runs.flatMap(({ argv }) => argv.join('\n').match(/\/dev\/shm\/clef-edit-[\w-]+/g) ?? []);
    expect(edited.length).toBeGreaterThan(0);
    expect(edited.filter((folder) => existsSync(folder))).toEqual([]);

    // The value is there, and the search would find it.
    expect((await succeed(box.clef(['get', dev, 'DB_URL']))).stdout).toContain(token);
    box.write('leak.txt', `a ${Buffer.from(`yx${token}`).toString('base64')}`);
    expect(filesThatHold(box.folder)).toEqual(['leak.txt']);
    await succeed(box.shell(`${commit} && git rm --quiet -f leak.txt && ${commit} && git gc --quiet`));
    expect(filesThatHold(box.folder)).toEqual([]);
    expect(await objectsHold(box)).toBe(true);
  }, 240_000);
});
