// `clef agent --check`: one verdict, the exit code of its class, and nothing written or listened on.
import { readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type PackRequest, type Stage, setStage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.close());

type Verdict = {
  ok: boolean;
  at?: string;
  reason?: string;
  revision?: number;
  keys?: number;
  floor?: string;
};

async function check(
  changes: Record<string, string | undefined> = {},
): Promise<{ exitCode: number; verdict: Verdict | undefined; said: string }> {
  const agent = stage.run(changes, {}, ['--check']);
  const exitCode = await agent.exit;
  const said = [...agent.printed, ...agent.lines].join('\n');
  const [printed] = agent.printed;
  return { exitCode, verdict: printed === undefined ? undefined : (JSON.parse(printed) as Verdict), said };
}

test('a good artifact: 0, one KMS call, and the folder is as it was', async () => {
  await stage.publish({ secrets: { DB_URL: 'canary-value', B: 'b' } });
  const before = await readdir(stage.folder);
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(stage.port, '127.0.0.1', resolve));
  const { exitCode, verdict, said } = await check();
  await new Promise((resolve) => squatter.close(resolve));
  expect([exitCode, verdict]).toMatchObject([0, { ok: true, keys: 2, floor: 'none', epoch: 0 }]);
  expect(stage.kms.unwraps).toBe(1);
  expect(await readdir(stage.folder)).toEqual(before);
  expect(said).not.toMatch(/canary|DB_URL|arn:/);
});

describe('each kind of no has its code', () => {
  test.each<[string, PackRequest, number, string]>([
    ['another signer', { signer: 'second' }, 6, 'signature'],
    ['no signature', { signer: 'none' }, 6, 'unsigned'],
    ['another identity', { identity: 'other' }, 6, 'binding'],
    ['expired', { packedAt: Date.now() - 7_200_000 }, 6, 'expired'],
    ['too old', { revision: 99 }, 6, 'rollback'],
  ])('%s', async (_, wanted, code, reason) => {
    await stage.publish(wanted);
    const { exitCode, verdict, said } = await check({ CLEF_AGENT_MIN_REVISION: '100' });
    expect([exitCode, verdict]).toMatchObject([code, { ok: false, at: 'artifact', reason }]);
    expect(stage.kms.unwraps).toBe(0);
    expect(said).not.toMatch(/canary|arn:/);
  });

  test('garbage, nothing there, a KMS that says no or nothing', async () => {
    expect((await check()).verdict).toMatchObject({ at: 'source', reason: 'not_found' });
    expect((await check()).exitCode).toBe(10);
    await writeFile(join(stage.folder, 'artifact.json'), '<html>');
    expect((await check()).exitCode).toBe(3);
    await stage.publish();
    stage.kms.state = 'denied';
    expect([(await check()).exitCode, (await check()).verdict?.reason]).toEqual([10, 'kms_denied']);
    stage.kms.state = 'unavailable';
    expect([(await check()).exitCode, (await check()).verdict?.reason]).toEqual([10, 'kms_unavailable']);
  });

  test('settings and the token file are checked too', async () => {
    await stage.publish();
    expect((await check({ CLEF_AGENT_POLL: 'soon' })).exitCode).toBe(3);
    expect((await check({ NODE_OPTIONS: '--inspect' })).exitCode).toBe(7);
    await writeFile(join(stage.folder, 'token'), 'x'.repeat(43), { mode: 0o644 });
    expect((await check()).exitCode).toBe(7);
  });
});

test('INV-47: the floor of the agent that ran counts', async () => {
  const old = await stage.pack({ packedAt: Date.now() - 60_000 });
  await stage.publish();
  const agent = stage.run();
  await stage.until('/v1/ready', ({ status }) => status === 200);
  agent.signal('SIGTERM');
  await agent.exit;
  expect((await check()).verdict).toMatchObject({ ok: true, floor: 'kept' });
  await writeFile(join(stage.folder, 'artifact.json'), old);
  expect((await check()).verdict).toMatchObject({ ok: false, reason: 'rollback' });
  await rm(join(stage.folder, 'state', 'floor.json'));
  expect((await check()).verdict).toMatchObject({ ok: true, floor: 'none' });
});

test('for a person: one line', async () => {
  await stage.publish();
  const agent = stage.run({}, { isTerminal: true }, ['--check']);
  expect(await agent.exit).toBe(0);
  expect(agent.printed.join('')).toMatch(/^good: revision [0-9]+, 1 key, expires [0-9T:Z-]+\n$/);
});
