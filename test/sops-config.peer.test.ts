// The .sops.yaml that clef writes, judged by the real sops: what it makes under it at a cell's path is a cell, for the
// same keys; and what clef made needs no updating.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Emulator, emulatorVariables, startEmulator } from '@clef/emulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, sandbox, succeed } from '../packages/cli/test/run-clef.ts';
import { hasPeer, type PeerRun, runPeer } from './peers.ts';

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator({ now: Date.now, randomBytes });
});
afterAll(() => emulator.stop());

type Stage = Sandbox & {
  readonly recipient: string;
  readonly sops: (args: readonly string[]) => Promise<PeerRun>;
};

async function stage(): Promise<Stage> {
  const box = sandbox();
  const { recipient } = JSON.parse((await succeed(box.clef(['init', '--json']))).stdout) as {
    recipient: string;
  };
  const keyFile = join(box.home, '.config/clef/keys', `${recipient}.txt`);
  const identity = /^AGE-SECRET-KEY-1\S+$/m.exec(readFileSync(keyFile, 'utf8'))?.[0];
  const environment = {
    ...emulatorVariables(emulator),
    HOME: box.home,
    SOPS_AGE_KEY: identity,
    SOPS_DISABLE_VERSION_CHECK: '1',
  };
  const sops = async (args: readonly string[]): Promise<PeerRun> => {
    const run = await runPeer('sops', args, { cwd: box.folder, environment });
    if (run.exitCode !== 0) throw new Error(`sops ${args.join(' ')}: ${run.stderr}`);
    return run;
  };
  return { ...box, recipient, sops };
}

const pathOf = (cell: string): string => `secrets/${cell}.enc.yaml`;
const someKey = 'age1tk9m2f44hca3kdrrq3q2rdgtjhnqwkswlnndr7mmzvrl4502d3xsg558yf';

/** Three namespaces that are read by different people, and production on a key of a KMS beside the age keys. */
async function furnished(): Promise<Stage> {
  const box = await stage();
  const manifest = box
    .read('clef.yaml')
    .replace('protected: true # writing asks first', `encrypt_to: ${emulator.awsKey.reference}`);
  box.write('clef.yaml', manifest);
  for (const name of ['database', 'payments', 'mail']) await succeed(box.clef(['namespace', 'add', name]));
  await succeed(
    box.clef([
      'recipients',
      'add',
      'bob',
      someKey,
      '--environments',
      'development',
      '--namespaces',
      'payments,mail',
    ]),
  );
  return box;
}

describe.runIf(hasPeer('sops'))('the real sops under a .sops.yaml of clef', () => {
  it('encrypts a new file at a cell’s path to the same keys, and clef reads and writes it', async () => {
    const box = await furnished();
    await succeed(box.clef(['sync'], { environment: emulatorVariables(emulator) }));
    for (const cell of [
      'database/development',
      'mail/development',
      'payments/production',
      'unheard-of/staging',
    ]) {
      box.write(pathOf(cell), 'GREETING: hello\n');
      await box.sops(['encrypt', '--in-place', pathOf(cell)]);
    }
    await succeed(box.clef(['namespace', 'add', 'unheard-of']));
    const environment = emulatorVariables(emulator);
    for (const cell of [
      'database/development',
      'mail/development',
      'payments/production',
      'unheard-of/staging',
    ]) {
      const got = await succeed(box.clef(['get', cell, 'GREETING'], { environment }));
      expect([cell, got.stdout]).toEqual([cell, 'hello']);
      expect(got.stderr.replace(/^.*AWS_ENDPOINT_URL.*\n/gm, '')).toBe('');
      await succeed(box.clef(['set', cell, 'MORE'], { input: 'more', environment }));
    }
    expect(box.read(pathOf('mail/development'))).toContain(someKey);
    expect(box.read(pathOf('database/development'))).not.toContain(someKey);
    expect(box.read(pathOf('payments/production'))).toContain('arn:aws:kms:');
  });

  it('updatekeys finds nothing to do on what clef made, also after somebody came and went', async () => {
    const box = await furnished();
    const environment = emulatorVariables(emulator);
    await succeed(box.clef(['sync'], { environment }));
    const upToDate = async (cell: string): Promise<void> => {
      const { stdout, stderr } = await box.sops(['updatekeys', '--yes', pathOf(cell)]);
      expect([cell, `${stdout}${stderr}`]).toEqual([cell, expect.stringContaining('already up to date')]);
    };
    for (const cell of ['database/development', 'payments/development', 'mail/production'])
      await upToDate(cell);
    await succeed(box.clef(['recipients', 'remove', 'bob'], { environment }));
    for (const cell of ['payments/development', 'mail/development']) await upToDate(cell);
    await succeed(box.clef(['environment', 'rename', 'development', 'local'], { environment }));
    await upToDate('payments/local');
  });

  it('decrypts a cell without keys, and its bytes after a rename and a rotation', async () => {
    const box = await stage();
    await succeed(box.clef(['namespace', 'add', 'database']));
    await succeed(box.clef(['sync', '--yes']));
    const { stdout } = await box.sops(['decrypt', '--output-type', 'json', pathOf('database/staging')]);
    expect(JSON.parse(stdout)).toEqual({});
    await succeed(box.clef(['set', 'database/staging', 'A'], { input: 'kept' }));
    await succeed(box.clef(['namespace', 'rename', 'database', 'db', '--yes']));
    await succeed(box.clef(['rotate', 'db/staging']));
    const run = await box.sops(['decrypt', '--extract', '["A"]', pathOf('db/staging')]);
    expect(run.stdout).toBe('kept');
    writeFileSync(join(box.folder, 'outside.yaml'), 'A: b\n');
    await expect(box.sops(['encrypt', 'outside.yaml'])).rejects.toThrow('no matching creation rules');
  });
});
