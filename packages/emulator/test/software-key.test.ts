// The cipher under both clouds: what was sealed opens, and anything changed does not.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyNameOf, openBlob, sealBlob } from '../src/software-key.ts';

const key = { keyName: 'arn:aws:kms:eu-west-1:111122223333:key/k', material: randomBytes(32) };
const bytes = fc.uint8Array({ maxLength: 80 });

describe('a blob', () => {
  it('opens to what was sealed, and names its key', () => {
    fc.assert(
      fc.property(bytes, bytes, (plaintext, associated) => {
        const blob = sealBlob(key, plaintext, associated, randomBytes);
        expect(keyNameOf(blob)).toBe(key.keyName);
        expect(openBlob(key, blob, associated)).toEqual(plaintext);
      }),
      { seed: 1 },
    );
  });

  const plaintext = Buffer.from('plaintext');
  const associated = Buffer.from('context');
  const blob = sealBlob(key, plaintext, associated, randomBytes);

  it('does not open with any bit changed', () => {
    for (let bit = 0; bit < blob.length * 8; bit += 1) {
      const changed = Uint8Array.from(blob);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(openBlob(key, changed, associated)).toBeUndefined();
    }
  });

  it('does not open when it is cut off, anywhere, or longer', () => {
    for (let length = 0; length < blob.length; length += 1) {
      expect(openBlob(key, blob.subarray(0, length), associated)).toBeUndefined();
    }
    expect(openBlob(key, Buffer.concat([blob, Buffer.alloc(1)]), associated)).toBeUndefined();
  });

  it.each([
    ['another context', key, Buffer.from('other')],
    ['another key of the same name', { ...key, material: randomBytes(32) }, associated],
    ['the same key under another name', { ...key, keyName: `${key.keyName}2` }, associated],
  ])('does not open with %s', (_, other, context) => {
    expect(openBlob(other, blob, context)).toBeUndefined();
  });
});
