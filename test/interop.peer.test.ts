// A cell and the real sops: each reads and writes what the other wrote, and every odd string survives both ways.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Sandbox, sandbox, succeed } from '../packages/cli/test/run-clef.ts';
import { oddKeys, oddValues } from '../packages/core/test/odd-values.ts';
import { hasPeer, type PeerRun, runPeer } from './peers.ts';

const cell = 'database/development';
const path = 'secrets/database/development.enc.yaml';

type Stage = Sandbox & {
  readonly recipient: string;
  readonly sops: (args: readonly string[], input?: string) => Promise<PeerRun>;
};

/** A repository of somebody whose key both programs find. */
async function stage(): Promise<Stage> {
  const box = sandbox();
  const { stdout } = await succeed(box.clef(['init', '--json']));
  const { recipient } = JSON.parse(stdout) as { recipient: string };
  const keyFile = join(box.home, '.config/clef/keys', `${recipient}.txt`);
  const identity = /^AGE-SECRET-KEY-1\S+$/m.exec(readFileSync(keyFile, 'utf8'))?.[0];
  const environment = { HOME: box.home, SOPS_AGE_KEY: identity, SOPS_DISABLE_VERSION_CHECK: '1' };
  const sops = async (args: readonly string[], input?: string): Promise<PeerRun> => {
    const run = await runPeer('sops', args, {
      cwd: box.folder,
      environment,
      ...(input !== undefined && { input }),
    });
    if (run.exitCode !== 0) throw new Error(`sops ${args.join(' ')}: ${run.stderr}`);
    return run;
  };
  return { ...box, recipient, sops };
}

const valuesOf = async ({ clef }: Stage): Promise<Record<string, string>> =>
  JSON.parse((await succeed(clef(['export', cell, '--format', 'json']))).stdout);

// What the real sops does not keep itself is not asked of it: see the titles below.
const short = Object.entries(oddValues).filter(([, value]) => value.length < 1000);
const numbered = short.map(([title, value], index) => [`K${index}`, title, value] as const);

describe.runIf(hasPeer('sops'))('the real sops', () => {
  it('decrypts what clef set wrote, every odd value and key', async () => {
    const box = await stage();
    const expected: Record<string, string> = {};
    for (const [key, , value] of numbered) expected[key] = value;
    for (const key of oddKeys)
      Object.defineProperty(expected, key, { value: `value of ${key}`, enumerable: true });
    for (const [key, value] of Object.entries(expected))
      await succeed(box.clef(['set', cell, key], { input: value }));
    const { stdout } = await box.sops(['decrypt', '--output-type', 'json', path]);
    expect(JSON.parse(stdout)).toEqual(expected);
    for (const [key, title, value] of numbered.slice(0, 8)) {
      const extracted = await box.sops(['decrypt', '--extract', `["${key}"]`, path]);
      expect([title, extracted.stdout]).toEqual([title, value]);
    }
  });

  it('edits what clef wrote, and clef reads it again', async () => {
    const box = await stage();
    await succeed(box.clef(['set', cell, 'KEPT'], { input: 'kept' }));
    const before = box.read(path);
    for (const [key, , value] of numbered) await box.sops(['set', path, `["${key}"]`, JSON.stringify(value)]);
    await box.sops(['set', path, '["KEPT"]', '"changed"']);
    const expected = Object.fromEntries(numbered.map(([key, , value]) => [key, value]));
    expect(await valuesOf(box)).toEqual({ KEPT: 'changed', ...expected });
    expect(box.read(path)).not.toBe(before);
    await succeed(box.clef(['set', cell, 'AFTER'], { input: 'after' }));
    await succeed(box.clef(['delete', cell, 'K0']));
    const { stdout } = await box.sops(['decrypt', '--output-type', 'json', path]);
    const { K0: _, ...left } = expected;
    expect(JSON.parse(stdout)).toEqual({ KEPT: 'changed', ...left, AFTER: 'after' });
  });

  it('what it encrypts for the same recipients is a valid cell', async () => {
    const box = await stage();
    await succeed(box.clef(['set', cell, 'FIRST'], { input: 'x' }));
    const expected = Object.fromEntries(numbered.map(([key, , value]) => [key, value]));
    // JSON is YAML; sops itself writes the YAML of it.
    writeFileSync(join(box.folder, 'plain.json'), JSON.stringify(expected));
    const made = await box.sops([
      'encrypt',
      '--age',
      box.recipient,
      '--input-type',
      'json',
      '--output-type',
      'yaml',
      'plain.json',
    ]);
    box.write(path, made.stdout);
    expect(await valuesOf(box)).toEqual(expected);
    await succeed(box.clef(['set', cell, 'MORE'], { input: 'more' }));
    const { stdout } = await box.sops(['decrypt', '--output-type', 'json', path]);
    expect(JSON.parse(stdout)).toEqual({ ...expected, MORE: 'more' });
  });

  it('a number that it writes is refused by name, not called tampering, and the hint repairs it', async () => {
    const box = await stage();
    await succeed(box.clef(['set', cell, 'A'], { input: 'a' }));
    await box.sops(['set', path, '["PORT"]', '5432']);
    const refused = await box.clef(['get', cell, 'A']);
    expect(refused).toMatchObject({ exitCode: 3, stdout: '' });
    expect(refused.stderr).toMatch(/"PORT" is of type "(int|float)"/);
    expect(refused.stderr).toContain(`Try: store it as text: clef sops set ${path} '["PORT"]' '"…"'`);
    await succeed(box.clef(['sops', 'set', path, '["PORT"]', '"5432"']));
    expect(await valuesOf(box)).toEqual({ A: 'a', PORT: '5432' });
  });

  it('a cell with no key left is a file that it reads', async () => {
    const box = await stage();
    await succeed(box.clef(['set', cell, 'A'], { input: 'a' }));
    await succeed(box.clef(['delete', cell, 'A']));
    expect(await valuesOf(box)).toEqual({});
    expect(JSON.parse((await box.sops(['decrypt', '--output-type', 'json', path])).stdout)).toEqual({});
  });

  it('a newcomer whom clef lets in opens it with sops', async () => {
    const box = await stage();
    await succeed(box.clef(['set', cell, 'A'], { input: 'for two' }));
    const bob = await stage();
    await succeed(box.clef(['recipients', 'add', 'bob', bob.recipient, '--environments', 'development']));
    const run = await bob.sops(['decrypt', '--extract', '["A"]', join(box.folder, path)]);
    expect(run.stdout).toBe('for two');
  });
});
