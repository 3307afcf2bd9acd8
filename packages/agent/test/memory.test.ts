// What values leave behind in an agent's memory, read from outside as the kernel shows it; what many revisions leave; and
// what happens when memory is used up. Its timers and its clock of durations go twenty times as fast.
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ChildHandle, startChild } from '@clef/host';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hurry, type Stage, setStage } from './stage.ts';

let stage: Stage;
let withAge: Record<string, string | undefined>;
beforeEach(async () => {
  stage = await setStage();
  withAge = { CLEF_AGENT_KMS_KEY: undefined, CLEF_AGENT_AGE_KEY_FILE: join(stage.folder, 'key.txt') };
});
afterEach(() => stage.close());

const windowBytes = 4 * 1024 * 1024;

/** How often a process has these bytes in memory that it can write to. Linux; for a child of this process. */
function countInMemory(pid: number, needle: Uint8Array): number {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    let count = 0;
    for (const [from, to] of writableRegions(pid)) {
      for (let at = from; at < to; at += windowBytes) {
        const bytes = readAt(memory, at, Math.min(windowBytes + needle.length - 1, to - at));
        for (let hit = bytes.indexOf(needle); hit >= 0; hit = bytes.indexOf(needle, hit + 1)) count += 1;
      }
    }
    return count;
  } finally {
    closeSync(memory);
  }
}

function writableRegions(pid: number): readonly (readonly [number, number])[] {
  const rows = readFileSync(`/proc/${pid}/maps`, 'latin1').matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm);
  return [...rows].map(([, from = '', to = '']) => [Number.parseInt(from, 16), Number.parseInt(to, 16)]);
}

/** What went away since the list was read is empty. */
function readAt(memory: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  try {
    return bytes.subarray(0, readSync(memory, bytes, 0, length, at));
  } catch {
    return bytes.subarray(0, 0);
  }
}

/** In bytes it is UTF-8; in the strings of V8, because of its first letter, it is UTF-16: the two can be told apart. */
const newValue = (): string => `Ж${randomBytes(16).toString('hex')}`;

describe('INV-84: in the memory of the process', () => {
  test('of what was replaced, and of all after a revocation, no bytes are left', async () => {
    const values = Array.from({ length: 4 }, newValue);
    const sealed = (value: string | undefined) => ({
      seal: stage.ageRecipient,
      secrets: { A: 'a', KEY: value ?? '' },
    });
    await stage.publish(sealed(values[0]));
    const agent = await stage.spawn(withAge, [], hurry(stage));
    await agent.waitForLine(/"event":"ready"/, 20);
    for (const value of values) {
      if (value !== values[0]) await stage.publish(sealed(value));
      await stage.until('/v1/secrets', ({ text }) => text.includes(value));
      expect((await stage.ask('/v1/secrets/KEY')).text).toBe(JSON.stringify({ value }));
    }
    const bytesLeft = () => values.map((value) => countInMemory(agent.pid, Buffer.from(value)));
    await eventually(bytesLeft, (left) => left.slice(0, -1).every((count) => count === 0));
    // The same search finds what is served: the whole answer, and that of the key.
    expect(bytesLeft()).toEqual([0, 0, 0, expect.toSatisfy((count: number) => count >= 2)]);

    await stage.publish({ ...sealed(undefined), revoked: 'a drill' });
    await agent.waitForLine(/"event":"revoked"/, 20);
    await eventually(bytesLeft, (left) => left.every((count) => count === 0));
  }, 60_000);
});

/** Looks again and again, as long as what must happen may take. */
async function eventually<T>(look: () => T, isDone: (seen: T) => boolean): Promise<void> {
  for (let tries = 0; tries < 40; tries += 1) {
    if (isDone(look())) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  expect(look()).toSatisfy(isDone);
}

test('F52, F64: many large revisions and their readers leave neither memory nor descriptors behind', async () => {
  const large = 'x'.repeat(200_000);
  const publish = (count: number) =>
    stage.publish({ seal: stage.ageRecipient, secrets: { LARGE: large, N: String(count) } });
  await publish(0);
  const agent = await stage.spawn(withAge, [], hurry(stage));
  const rounds = async (from: number, to: number): Promise<void> => {
    for (let count = from; count < to; count += 1) {
      await publish(count);
      await stage.until('/v1/secrets/N', ({ text }) => text === `{"value":"${count}"}`);
      await Promise.all(Array.from({ length: 5 }, () => stage.ask('/v1/secrets')));
    }
  };
  await agent.waitForLine(/"event":"ready"/, 20);
  await rounds(1, 10);
  const before = figuresOf(agent);
  await rounds(10, 40);
  const after = figuresOf(agent);
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 2);
  // 30 revisions of 600 KB, if they stayed, are 18 MB.
  expect(after.megabytes - before.megabytes).toBeLessThan(6);
}, 120_000);

function figuresOf({ pid }: ChildHandle): { readonly descriptors: number; readonly megabytes: number } {
  const [, kilobytes] = /^VmRSS:\s+([0-9]+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, megabytes: Number(kilobytes) / 1024 };
}

test('F62: out of memory it ends with 134; the next one serves the last good artifact from disk', async () => {
  await stage.publish({ seal: stage.ageRecipient, secrets: { A: 'served' } });
  const greedy = join(stage.folder, 'greedy.cjs');
  writeFileSync(
    greedy,
    "process.on('SIGUSR2', () => { for (const held = []; ; ) held.push(new Array(100_000).fill(held.length)); });",
  );
  const bin = join(import.meta.dirname, '../bin/clef-agent.js');
  const agent = await startChild({
    command: 'sh',
    args: [
      '-c',
      'ulimit -c 0; exec "$@"',
      'sh',
      process.execPath,
      '--max-old-space-size=64',
      '--require',
      greedy,
      bin,
    ],
    environment: { PATH: process.env['PATH'], ...stage.variables, ...withAge },
  });
  await agent.waitForLine(/"event":"ready"/, 20);
  agent.kill('SIGUSR2');
  expect((await agent.exited).exitCode).toBe(134);
  rmSync(join(stage.folder, 'artifact.json'));
  const again = await stage.spawn(withAge);
  await again.waitForLine(/"event":"ready".*"source":"disk"/, 20);
  expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"served"}');
}, 60_000);

test.each([
  ['0', false],
  ['64', true],
  ['unlimited', true],
])('F62: where a crash may write a core of %s bytes it says so: %s', async (soft, isSaid) => {
  await stage.publish();
  const limits = `Max core file size        ${soft.padEnd(20)} unlimited            bytes\n`;
  const agent = stage.run({}, { limits: async () => limits });
  await stage.until('/v1/ready', ({ status }) => status === 200);
  expect(agent.lines.some((line) => line.includes('"event":"core_dumps"'))).toBe(isSaid);
});
