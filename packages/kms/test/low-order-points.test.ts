// The tables of points of small order, each proven by what it lets anybody do, and their neighbours by what they do not.
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLowOrderX25519, isSmallOrderEd25519 } from '../src/low-order-points.ts';

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const withTopBit = (point: Uint8Array): Uint8Array =>
  point.map((byte, index) => (index === 31 ? byte | 0x80 : byte));

function publicKeyOf(spkiPrefix: string, point: Uint8Array): KeyObject {
  const spki = Buffer.concat([bytesOf(spkiPrefix), point]);
  return createPublicKey({ key: spki, format: 'der', type: 'spki' });
}

describe('INV-32, D10: X25519', () => {
  const points = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map(bytesOf);
  const privateKeys = [1, 2, 3].map((fill) => {
    const key = Buffer.concat([bytesOf('302e020100300506032b656e04220420'), Buffer.alloc(32, fill)]);
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  });
  /** Node gives zeros, or refuses to, with every private key. */
  function isUseless(point: Uint8Array): boolean {
    const publicKey = publicKeyOf('302a300506032b656e032100', point);
    return privateKeys.every((privateKey) => {
      try {
        return diffieHellman({ privateKey, publicKey }).every((byte) => byte === 0);
      } catch {
        return true;
      }
    });
  }

  const encodings = points
    .flatMap((point) => [point, withTopBit(point)])
    .map((point) => [Buffer.from(point).toString('hex'), point] as const);
  it.each(encodings)('%s is refused, and by Node too', (_, point) => {
    expect(isUseless(point)).toBe(true);
    expect(isLowOrderX25519(point)).toBe(true);
  });

  it('whatever differs from one in a byte is accepted, as by Node', () => {
    for (const point of points) {
      for (const index of [0, 1, 15, 30, 31]) {
        for (const change of [1, 2, 3, 0x40]) {
          const near = point.map((byte, at) => (at === index ? byte ^ change : byte));
          expect(isLowOrderX25519(near), Buffer.from(near).toString('hex')).toBe(isUseless(near));
        }
      }
    }
  });

  it('agrees with Node about any point', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (point) => {
        expect(isLowOrderX25519(point)).toBe(isUseless(point));
      }),
      { numRuns: 50 },
    );
  });
});

describe('Ed25519', () => {
  const points = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map(bytesOf);
  /** The signature that nobody had to know a key for: the neutral point, and zero. */
  const forged = Uint8Array.from({ length: 64 }, (_, index) => (index === 0 ? 1 : 0));
  /** One message in at most eight verifies under a point whose order is at most eight. */
  function isForgeable(point: Uint8Array): boolean {
    const key = publicKeyOf('302a300506032b6570032100', point);
    return Array.from({ length: 200 }, (_, index) => `message ${index}`).some((message) =>
      verify(null, Buffer.from(message), key, forged),
    );
  }

  it.each(points.map((point) => [Buffer.from(point).toString('hex'), point] as const))(
    '%s is refused: Node accepts a signature that nobody made',
    (_, point) => {
      expect(isForgeable(point)).toBe(true);
      expect(isSmallOrderEd25519(point)).toBe(true);
      expect(isSmallOrderEd25519(withTopBit(point))).toBe(true);
    },
  );

  it('whatever differs from one in a byte is accepted, and forges nothing', () => {
    for (const point of points.slice(3, 5)) {
      for (const index of [0, 15, 31]) {
        const near = point.map((byte, at) => (at === index ? byte ^ 1 : byte));
        expect(isSmallOrderEd25519(near)).toBe(false);
        expect(isForgeable(near)).toBe(false);
      }
    }
  });
});
