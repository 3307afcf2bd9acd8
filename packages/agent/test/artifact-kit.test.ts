// The conformance kit of artifacts, through the agent's own settings and its judge: the verdicts of every other opener.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@clef/host';
import { openKms } from '@clef/kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { Refusal } from '../src/judge.ts';
import { createJudge } from '../src/pinned-judge.ts';

type Case = {
  readonly rows: readonly string[];
  readonly title: string;
  readonly path: string;
  readonly keyPath: string | undefined;
  readonly given: {
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
  readonly verdict: string;
  readonly kmsCalls: number;
  readonly secrets?: Readonly<Record<string, string>>;
};
type Kms = {
  readonly variables: Record<string, string>;
  readonly calls: () => number;
  readonly close: () => Promise<void>;
};

/** The kit knows nothing of our types. */
const part = async (name: string): Promise<unknown> =>
  import(fileURLToPath(new URL(`../../../test/vectors/artifact/${name}`, import.meta.url)));
const { loadCases } = (await part('load.mjs')) as {
  loadCases: () => { readonly cases: readonly Case[]; readonly close: () => void };
};
const { startKms } = (await part('kms.mjs')) as { startKms: () => Promise<Kms> };

const kit = loadCases();
// Where an age key opens, the agent insists on the recipient of its own file, not on one it is told.
const cases = kit.cases.filter(
  ({ given, keyPath }) => keyPath === undefined || given.seal.startsWith('age1'),
);

let kms: Kms;
beforeAll(async () => {
  kms = await startKms();
});
afterAll(async () => {
  kit.close();
  await kms.close();
});

function variablesOf({ path, keyPath, given }: Case): Record<string, string> {
  return {
    CLEF_AGENT_SOURCE: path,
    CLEF_AGENT_REPOSITORY: given.repository,
    CLEF_AGENT_IDENTITY: given.identity,
    CLEF_AGENT_ENVIRONMENT: given.environment,
    CLEF_AGENT_TOKEN_FILE: '/run/clef/token',
    ...(keyPath === undefined ? { CLEF_AGENT_KMS_KEY: given.seal } : { CLEF_AGENT_AGE_KEY_FILE: keyPath }),
    ...(given.verify.length > 0 && { CLEF_AGENT_VERIFY_KEYS: given.verify.join(',') }),
    ...(given.allowUnsigned === true && { CLEF_AGENT_ALLOW_UNSIGNED: '1' }),
    ...(given.minRevision !== undefined && { CLEF_AGENT_MIN_REVISION: String(given.minRevision) }),
  };
}

/** As much as any source hands on: one byte more than an artifact may have. */
async function readSome(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024 * 1024 + 1));
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function verdictOf(one: Case): Promise<{ readonly verdict: string; readonly secrets?: object }> {
  const environment = variablesOf(one);
  const settings = readConfig(new Map(), {
    environment,
    nodeOptions: [],
    isTerminal: false,
    platform: 'linux',
  });
  if ('faults' in settings) return { verdict: 'config' };
  const judge = await createJudge(settings.config, {
    now: () => Date.parse(one.given.at),
    openKms: () => openKms({ environment: kms.variables, attempts: 1 }),
  });
  try {
    const { secrets } = await judge.open(await readSome(one.path), one.given.floor);
    return { verdict: 'ok', secrets: Object.fromEntries(secrets) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { verdict: error.reason };
  }
}

describe('the judge', () => {
  it('gets almost every case', () => expect(cases.length).toBeGreaterThan(470));

  it.each(cases)('$rows.0: $title: $verdict', async (one) => {
    kms.calls();
    const found = await verdictOf(one);
    expect(found.verdict).toBe(one.verdict);
    expect(found.secrets).toEqual(one.secrets);
    expect(kms.calls(), 'calls of the KMS').toBe(one.kmsCalls);
  });
});

describe('as a process: "clef-agent --check", whose clock a module that is loaded first sets to that of the case', () => {
  const folder = mkdtempSync(join(tmpdir(), 'clef-kit-'));
  const clock = join(folder, 'clock.cjs');
  writeFileSync(clock, "const at = Date.parse(process.env.CASE_AT ?? ''); Date.now = () => at;");
  afterAll(() => rmSync(folder, { recursive: true }));

  type Said = { readonly ok?: boolean; readonly reason?: string; readonly keys?: number };

  /** Its verdict, or `config` where its settings alone are refused. */
  async function check(one: Case, index: number): Promise<Said> {
    const state = join(folder, `state-${index}`);
    mkdirSync(state, { mode: 0o700 });
    const { floor } = one.given;
    if (floor !== undefined)
      writeFileSync(join(state, 'floor.json'), JSON.stringify({ version: 1, ...floor }), { mode: 0o600 });
    const { exitCode, stdout } = await runChild({
      command: process.execPath,
      args: ['--require', clock, fileURLToPath(new URL('../bin/clef-agent.js', import.meta.url)), '--check'],
      environment: {
        ...kms.variables,
        ...variablesOf(one),
        CLEF_AGENT_TOKEN_FILE: join(folder, 'token'),
        CLEF_AGENT_STATE_DIR: state,
        CLEF_AGENT_LOG_FORMAT: 'json',
        CASE_AT: one.given.at,
      },
      stdio: 'capture',
    });
    if (exitCode === 3 && stdout.length === 0) return { ok: false, reason: 'config' };
    expect(exitCode === 0).toBe(one.verdict === 'ok');
    return JSON.parse(Buffer.from(stdout).toString()) as Said;
  }

  // The first case of each verdict that needs no KMS and of each that does, and every sixtieth.
  const kinds = new Set<string>();
  const sample = cases.filter(({ verdict, kmsCalls, given }, index) => {
    const kind = `${verdict} ${kmsCalls} ${given.floor === undefined}`;
    const isFirst = !kinds.has(kind);
    kinds.add(kind);
    return isFirst || index % 60 === 0;
  });

  it.each(sample.map((one, index) => [one.rows[0], one.title, one.verdict, one, index] as const))(
    '%s: %s: %s',
    async (_row, _title, verdict, one, index) => {
      kms.calls();
      const said = await check(one, index);
      expect(said.ok === true ? 'ok' : said.reason).toBe(verdict);
      expect(said.keys).toBe(one.secrets === undefined ? undefined : Object.keys(one.secrets).length);
      // The SDK of AWS asks once more after a refusal where its clock is not that of the server, as here.
      const tries = verdict === 'kms_denied' && one.given.seal.startsWith('awskms:') ? 2 : 1;
      expect(kms.calls(), 'calls of the KMS').toBe(one.kmsCalls * tries);
    },
  );
});

it('INV-53: a changed artifact costs no call, whoever asks', async () => {
  const one = cases.find(({ verdict, kmsCalls }) => verdict === 'ok' && kmsCalls === 1) as Case;
  const bytes = await readSome(one.path);
  kms.calls();
  const settings = readConfig(new Map(), {
    environment: variablesOf(one),
    nodeOptions: [],
    isTerminal: false,
    platform: 'linux',
  });
  if ('faults' in settings) throw new Error('no configuration');
  const judge = await createJudge(settings.config, {
    now: () => Date.parse(one.given.at),
    openKms: () => openKms({ environment: kms.variables }),
  });
  for (let count = 0; count < 200; count += 1) {
    const changed = Uint8Array.from(bytes);
    const at = randomBytes(4).readUInt32BE() % changed.length;
    changed[at] = (changed[at] ?? 0) ^ (1 << (count % 8));
    await expect(judge.open(changed, undefined)).rejects.toBeInstanceOf(Refusal);
  }
  expect(kms.calls()).toBe(0);
});
