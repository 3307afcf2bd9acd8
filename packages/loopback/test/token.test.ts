import { describe, expect, it } from 'vitest';
import { bearerCheck } from '../src/token.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('bearerCheck', () => {
  it('INV-68: accepts each of two tokens, of one length or of two', () => {
    for (const second of ['token-b', 'a longer token']) {
      const isAuthorized = bearerCheck(() => [bytes('token-a'), bytes(second)]);
      expect([
        isAuthorized('Bearer token-a'),
        isAuthorized(`Bearer ${second}`),
        isAuthorized('Bearer token-c'),
      ]).toEqual([true, true, false]);
    }
  });

  it.each([undefined, '', 'Bearer', 'Bearer ', 'Bearer  ', 'bearer ', 'Basic '])(
    'an empty token never matches %j',
    (authorization) => {
      expect(bearerCheck(() => [new Uint8Array(0)])(authorization)).toBe(false);
    },
  );

  it('INV-67: a character whose low byte is right is not right', () => {
    expect(bearerCheck(() => [bytes('token-a')])('Bearer token-\u0161')).toBe(false);
    expect(bearerCheck(() => [bytes('token-a')])('Bearer token-\u0261')).toBe(false);
  });

  it('INV-67: nothing of what was shown before completes what is shown now', () => {
    const isAuthorized = bearerCheck(() => [bytes('token-a')]);
    // Seven characters, of which the last has two bytes and no room: the place of the seventh byte stays as it was.
    expect(['token-a', 'token-\u00e9', 'token-a'].map((shown) => isAuthorized(`Bearer ${shown}`))).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('INV-67: how much of a wrong token is right does not show in the time', () => {
    const right = 'k'.repeat(43);
    const check = bearerCheck(() => [Buffer.from(right)]);
    const prefixes = [0, 10, 21, 32, 42];
    const wrong = prefixes.map((length) => `Bearer ${right.slice(0, length)}${'x'.repeat(43 - length)}`);
    const times = prefixes.map((): number[] => []);
    // In small batches that take turns, so that a machine which drifts slows all alike: 20,000 calls for each length.
    for (let batch = 0; batch < 220; batch += 1) {
      for (const [index, authorization] of wrong.entries()) {
        const started = performance.now();
        for (let call = 0; call < 100; call += 1) if (check(authorization)) throw new Error('accepted');
        if (batch >= 20) times[index]?.push(performance.now() - started);
      }
    }
    const quartiles = times.map((list) => list.sort((a, b) => a - b)[50] ?? 0);
    expect(Math.max(...quartiles) / Math.min(...quartiles)).toBeLessThan(1.3);
  });
});
