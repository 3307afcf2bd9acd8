// The agent is killed before every call that changes its state directory, while it accepts a new artifact and while it learns
// of a revocation; and each such call fails. Whatever is left: never older than what was served, never forged, never a folder
// that cannot be used.
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

/** An agent in whose state directory something goes wrong. */
function spawnWithFault(plan: object): ReturnType<Stage['spawn']> {
  const fault = JSON.stringify({ under: [state()], ...plan });
  return stage.spawn({ ...withAge, CLEF_FAULT: fault }, [], ['--import', preload]);
}

/** Starts an agent that is killed before its call number `at`. Returns false when it got as far as `landmark` before. */
async function killAt(at: number, landmark: RegExp): Promise<boolean> {
  const agent = await spawnWithFault({ at, action: 'kill-before' });
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

/** What an agent makes of the state that was left, with this at the source, once it is as wanted. */
async function afterwards(
  bytes: Uint8Array | undefined,
  isSettled: (answer: { status: number; text: string }) => boolean = isReady,
): Promise<string> {
  if (bytes === undefined) await rm(source(), { force: true });
  else await writeFile(source(), bytes);
  const agent = stage.run(withAge);
  const { text } = await stage.until('/v1/ready', isSettled);
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

const isJudged = ({ text }: { text: string }): boolean => /"ready":true|"problem"|"revoked"/.test(text);

test('F58, INV-54: killed at every point of a revocation: what it ended never comes back once the floor knows of it', async () => {
  const old = await stage.pack({
    seal: stage.ageRecipient,
    secrets: { A: 'old' },
    packedAt: Date.now() - 60_000,
  });
  const revocation = await stage.pack({ revoked: 'the laptop was stolen' });
  await accept(old);
  const seen = new Set<string>();
  let isFloorNew = false;
  let at = 1;
  for (; at < 60; at += 1) {
    await resetState();
    await writeFile(source(), revocation);
    if (!(await killAt(at, /"event":"revoked"/))) break;
    const offeredOld = await afterwards(old, isJudged);
    seen.add(offeredOld);
    if (isFloorNew) expect(offeredOld).toBe('not_loaded');
    isFloorNew ||= offeredOld === 'not_loaded';
    expect(await afterwards(revocation, isJudged)).toBe('revoked');
    expect(await readdir(state())).not.toContain('artifact.json');
    expect(await afterwards(old, isJudged)).toBe('not_loaded');
  }
  expect(at).toBeGreaterThan(4);
  expect(at).toBeLessThan(60);
  expect([...seen].sort()).toEqual(['not_loaded', '{"A":"old"}']);
}, 120_000);

test.each(['ENOSPC', 'EIO'])(
  'F59, INV-56: %s at every call: it serves, says what it cannot remember, and starts again from what is left',
  async (errno) => {
    const old = await stage.pack({
      seal: stage.ageRecipient,
      secrets: { A: 'old' },
      packedAt: Date.now() - 60_000,
    });
    const next = await stage.pack({ seal: stage.ageRecipient, secrets: { A: 'new' } });
    await accept(old);
    const floors = new Set<string>();
    let at = 1;
    for (; at < 60; at += 1) {
      await resetState();
      await writeFile(source(), next);
      const agent = await spawnWithFault({ at, action: 'error', errno });
      if (at === 1) {
        // The directory itself: H11, one that is named and cannot be used ends the start.
        expect((await agent.exited).exitCode).toBe(8);
        continue;
      }
      await agent.waitForLine(/"event":"ready"/, 30);
      expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"new"}');
      const { floor } = JSON.parse((await stage.ask('/v1/ready')).text) as { floor: string };
      floors.add(floor);
      const hadFault = floor === 'volatile' || new TextDecoder().decode(agent.stderr()).includes('state_');
      agent.kill('SIGKILL');
      await agent.exited;
      if (floor === 'durable') expect(await afterwards(old, isJudged)).not.toBe('{"A":"old"}');
      expect(await afterwards(next)).toBe('{"A":"new"}');
      if (!hadFault && at > 12) break;
    }
    expect(at).toBeLessThan(60);
    expect([...floors].sort()).toEqual(['durable', 'volatile']);
  },
  120_000,
);
