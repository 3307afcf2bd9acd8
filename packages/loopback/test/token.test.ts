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
});
