// A signal waits until the work is whole, and no longer than two seconds.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startChild } from '../src/index.ts';
import { program } from './fixtures.ts';

/** Starts the work, sends the signals, and waits for the end. */
async function run(args: readonly string[], signals: readonly NodeJS.Signals[]) {
  const { command, args: script } = program('defer');
  const child = await startChild({
    command,
    args: [...script, ...args],
    environment: { PATH: process.env['PATH'] },
  });
  await child.waitForLine(/^begun$/, 20);
  const started = performance.now();
  for (const signal of signals) {
    process.kill(child.pid, signal);
    await sleep(100);
  }
  const exit = await child.exited;
  const lines = Buffer.from(child.stdout()).toString('utf8').trim().split('\n').slice(1);
  return { exit, lines, seconds: (performance.now() - started) / 1000 };
}

describe('F-14: a signal in the middle', () => {
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    it(`${signal} ends the process when the work is whole, with ${exitCode}`, async () => {
      const { exit, lines } = await run(['500'], [signal]);
      expect(exit).toEqual({ exitCode, signal });
      expect(lines).toEqual(['whole, and somebody waits', 'released']);
    });
  }

  it('work that does not end is ended after two seconds', async () => {
    const { exit, lines, seconds } = await run(['forever'], ['SIGTERM']);
    expect(exit).toEqual({ exitCode: 143, signal: 'SIGTERM' });
    expect(lines).toEqual([]);
    expect(seconds).toBeGreaterThan(1.5);
    expect(seconds).toBeLessThan(10);
  });

  it('the second signal ends it at once', async () => {
    const { exit, lines } = await run(['5000'], ['SIGINT', 'SIGINT']);
    expect([exit.signal, lines]).toEqual(['SIGINT', []]);
  });

  it('without a signal the process goes on, and is ended by the next one as ever', async () => {
    const { exit, lines } = await run(['0'], []);
    expect([exit.exitCode, lines]).toEqual([0, ['whole', 'went on']]);
  });

  it('a signal that somebody else listens to is left to them', async () => {
    const { exit, lines } = await run(['500', 'listener'], ['SIGTERM']);
    expect([exit.exitCode, lines]).toEqual([0, ['its own listener', 'whole', 'went on']]);
  });
});
