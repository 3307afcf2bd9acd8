// The agent is killed before every call that changes its state directory, while it accepts a new artifact and while it learns
// of a revocation. Whatever is left: never older than what was served, never forged, never a folder that cannot be used.
import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Stage, setStage } from './stage.ts';

const preload = fileURLToPath(new URL('../../../test/faults/fault.mjs', import.meta.url));
let stage: Stage;
let withAge: Record<string, string | undefined>;
beforeEach(async () => {
  stage = await setStage();
  withAge = { CLEF_AGENT_KMS_KEY: undefined, CLEF_AGENT_AGE_KEY_FILE: join(stage.folder, 'key.txt') };
});
afterEach(() => stage.close());

const isReady = ({ status }: { status: number }): boolean => status === 200;
const source = (): string => join(stage.folder, 'artifact.json');
const state = (): string => join(stage.folder, 'state');

/** An agent that has accepted one artifact, and ended; its state is kept to begin each round with. */
async function accept(bytes: Uint8Array): Promise<void> {
  await writeFile(source(), bytes);
  const agent = stage.run(withAge);
  await stage.until('/v1/ready', isReady);
  agent.signal('SIGTERM');
  await agent.exit;
  await cp(state(), join(stage.folder, 'kept'), { recursive: true });
}

async function resetState(): Promise<void> {
  await rm(state(), { recursive: true });
  await cp(join(stage.folder, 'kept'), state(), { recursive: true });
}

/** Starts an agent that is killed before its call number `at`. Returns false when it got as far as `landmark` before. */
async function killAt(at: number, landmark: RegExp): Promise<boolean> {
  const plan = JSON.stringify({ under: [state()], at, action: 'kill-before' });
  const agent = await stage.spawn({ ...withAge, CLEF_FAULT: plan }, [], ['--import', preload]);
  const outcome = await Promise.race([
    agent.waitForLine(landmark, 30).then(
      () => 'done' as const,
      () => 'ended' as const,
    ),
    agent.exited.then(({ exitCode }) => exitCode),
  ]);
  agent.kill('SIGKILL');
  const { exitCode } = await agent.exited;
  expect(exitCode).toBe(137);
  return outcome !== 'done';
}

/** What an agent makes of the state that was left, with this at the source. */
async function afterwards(bytes: Uint8Array | undefined): Promise<string> {
  if (bytes === undefined) await rm(source(), { force: true });
  else await writeFile(source(), bytes);
  const agent = stage.run(withAge);
  await stage.until('/v1/health', isReady);
  const { text } = await stage.until('/v1/ready', isReady);
  expect(text, 'the floor can be read').toContain('"floor":"durable"');
  const served = await stage.ask('/v1/secrets');
  agent.signal('SIGTERM');
  expect(await agent.exit).toBe(0);
  return served.status === 200
    ? served.text
    : (JSON.parse(served.text) as { error: { code: string } }).error.code;
}

test('F58, INV-47: killed at every point of an acceptance: what is left is the old artifact or the new one, whole', async () => {
  const old = await stage.pack({
    seal: stage.ageRecipient,
    secrets: { A: 'old' },
    packedAt: Date.now() - 60_000,
  });
  const next = await stage.pack({ seal: stage.ageRecipient, secrets: { A: 'new' } });
  await accept(old);
  const seen = new Set<string>();
  let hasNewFloor = false;
  let at = 1;
  for (; at < 60; at += 1) {
    await resetState();
    await writeFile(source(), next);
    if (!(await killAt(at, /"event":"ready"/))) break;
    const fromDisk = await afterwards(undefined);
    seen.add(fromDisk);
    expect(['{"A":"old"}', '{"A":"new"}']).toContain(fromDisk);
    // Once the new one may have been served, nothing brings the old one back.
    const offeredOld = await afterwards(old);
    if (hasNewFloor) expect(offeredOld).toBe('{"A":"new"}');
    hasNewFloor ||= offeredOld === '{"A":"new"}';
    expect((await readdir(state())).filter((name) => !name.startsWith('.clef-tmp-')).sort()).toEqual([
      'artifact.json',
      'floor.json',
    ]);
  }
  expect(at).toBeGreaterThan(8);
  expect(at).toBeLessThan(60);
  expect([...seen].sort()).toEqual(['{"A":"new"}', '{"A":"old"}']);
}, 120_000);
