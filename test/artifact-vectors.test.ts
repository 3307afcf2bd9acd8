// The conformance kit of artifacts, run on ourselves: every case within this process, a share of them as a black box, and
// the generator again, which must give the very bytes that are committed.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClefError, openArtifactBytes, readArtifactFile, verifyArtifactBytes, type World } from '@clef/core';
import { runChild } from '@clef/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from './import-graph.ts';

type Given = {
  readonly repository: string;
  readonly identity: string;
  readonly environment: string;
  readonly seal: string;
  readonly verify: readonly string[];
  readonly at: string;
  readonly minRevision?: number;
  readonly floor?: { readonly epoch: number; readonly revision: number; readonly payloadDigest: string };
  readonly allowUnsigned?: boolean;
};
type Case = {
  readonly name: string;
  readonly rows: readonly string[];
  readonly title: string;
  readonly path: string;
  readonly keyPath: string | undefined;
  readonly given: Given;
  readonly verdict: string;
  readonly kmsCalls: number;
  readonly secrets?: Readonly<Record<string, string>>;
};
type Kit = { readonly cases: readonly Case[]; readonly close: () => void };
type Kms = {
  readonly variables: Readonly<Record<string, string>>;
  readonly calls: () => number;
  readonly close: () => Promise<void>;
};

const folder = join(repositoryRoot, 'test/vectors/artifact');
/** The kit knows nothing of our types. */
const part = async (name: string): Promise<unknown> => import(join(folder, name));
const { loadCases } = (await part('load.mjs')) as { loadCases: () => Kit };
const { startKms } = (await part('kms.mjs')) as { startKms: () => Promise<Kms> };

const kit = loadCases();
let kms: Kms;
beforeAll(async () => {
  kms = await startKms();
});
afterAll(async () => {
  kit.close();
  await kms.close();
});

function worldOf({ keyPath }: Case): World {
  return {
    environment: { ...kms.variables, ...(keyPath !== undefined && { CLEF_AGE_KEY_FILE: keyPath }) },
    cwd: folder,
    homeDirectory: '/nonexistent',
    platform: 'linux',
    userName: 'kit',
    now: Date.now,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    notify: () => undefined,
  };
}

function requestOf({ given }: Case) {
  const { seal, verify, at, allowUnsigned = false, ...rest } = given;
  return { ...rest, sealingKey: seal, verifyKeys: verify, at: Date.parse(at), allowUnsigned };
}

/** `ok`, or the code of the refusal as the kit writes it. */
async function verdictOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    if (error.errorClass === 'config') return 'config';
    return error.code.replace(/^artifact_/, '').replace(/^content$/, 'bad_content');
  }
}

const needsKey = ['ok', 'kms_denied', 'kms_mismatch', 'decrypt', 'header_mismatch', 'bad_content'];

describe('the kit', () => {
  it('has 150 refused artifacts and 20 good ones at the least, and every row of the catalogue', () => {
    const rows = new Set(kit.cases.flatMap((one) => one.rows));
    const wanted = Array.from({ length: 22 }, (_, index) => `E${String(index + 1).padStart(2, '0')}`);
    const invariants = [36, 37, 38, 39, 42, 46, 47, 48, 49, 50, 52, 53, 54, 55].map((n) => `INV-${n}`);
    expect([...wanted, ...invariants, 'D12'].filter((row) => !rows.has(row))).toEqual([]);
    expect(kit.cases.filter(({ verdict }) => verdict === 'ok').length).toBeGreaterThanOrEqual(20);
    expect(kit.cases.filter(({ verdict }) => verdict !== 'ok').length).toBeGreaterThanOrEqual(150);
  });

  it('is what its generator makes', { timeout: 60_000 }, async () => {
    const args = [join(folder, 'generate.mjs'), '--check'];
    const environment = { PATH: process.env['PATH'] };
    const ran = await runChild({ command: process.execPath, args, environment, stdio: 'capture' });
    expect(Buffer.from(ran.stdout).toString()).toBe('');
    expect(ran.exitCode).toBe(0);
  });
});

describe('opening', () => {
  it.each(kit.cases)('$rows.0: $title: $verdict', async (one) => {
    kms.calls();
    const world = worldOf(one);
    const request = requestOf(one);
    const open = async () => {
      const bytes = await readArtifactFile(world, one.path);
      const { secrets } = await openArtifactBytes(world, bytes, request);
      expect(Object.fromEntries(secrets)).toEqual(one.secrets);
    };
    expect(await verdictOf(open())).toBe(one.verdict);
    expect(kms.calls(), 'calls of the KMS').toBe(one.kmsCalls);
    // What needs no private key is refused by verify too, with the same code and not one call.
    if (request.allowUnsigned) return;
    const verify = async () => verifyArtifactBytes(world, await readArtifactFile(world, one.path), request);
    expect(await verdictOf(verify())).toBe(needsKey.includes(one.verdict) ? 'ok' : one.verdict);
    expect(kms.calls(), 'verify asks nobody').toBe(0);
  });

  it('INV-45: what needs no private key is refused before one is looked for', async () => {
    const refused = kit.cases.filter(
      ({ given, verdict }) => given.seal.startsWith('age1') && !needsKey.includes(verdict),
    );
    const found = await Promise.all(
      refused.map(async (one) => {
        const world = { ...worldOf(one), environment: {} };
        const open = async () =>
          openArtifactBytes(world, await readArtifactFile(world, one.path), requestOf(one));
        return [one.name, await verdictOf(open())];
      }),
    );
    expect(found.length).toBeGreaterThan(0);
    expect(found).toEqual(refused.map(({ name, verdict }) => [name, verdict]));
  });

  it('an unsigned artifact is never verified as good, even where opening it is allowed', async () => {
    const unsigned = kit.cases.filter(({ given }) => given.allowUnsigned === true);
    expect(unsigned.length).toBeGreaterThan(3);
    for (const one of unsigned) {
      const verified = verifyArtifactBytes(worldOf(one), await readFile(one.path), requestOf(one));
      expect(await verdictOf(verified), one.name).toBe('config');
    }
  });
});

describe('as a black box', () => {
  const run = (...args: readonly string[]) =>
    runChild({
      command: process.execPath,
      args: [join(folder, 'run.mjs'), ...args],
      environment: { PATH: process.env['PATH'] },
      stdio: 'capture',
    });
  const clef = [process.execPath, join(repositoryRoot, 'packages/cli/bin/clef.js'), 'artifact', 'open'];

  it('every sixteenth case, by the command line', { timeout: 120_000 }, async () => {
    const ran = await run('--every', '16', '--jobs', '2', ...clef);
    expect(Buffer.from(ran.stdout).toString()).toMatch(/^3\d passed, 0 failed\n$/);
    expect(ran.exitCode).toBe(0);
  });

  it('an implementation that accepts everything fails it', { timeout: 60_000 }, async () => {
    const ran = await run('--only', 'E04', process.execPath, '-e', 'console.log("{}")');
    expect(Buffer.from(ran.stdout).toString()).toMatch(/\n0 passed, 11 failed\n$/);
    expect(ran.exitCode).toBe(1);
  });
});
