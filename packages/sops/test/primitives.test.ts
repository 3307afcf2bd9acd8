// The primitives through our wrappers, on the edge cases that published suites of such cases look for: each is made here by its
// rule, and what is right comes from the definition of the algorithm, in big integers, not from the library that is tested.
import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { x25519 } from '@noble/curves/ed25519.js';
import { describe, expect, it } from 'vitest';
import {
  makeX25519Stanza,
  openChaCha20Poly1305,
  openX25519Stanza,
  sealChaCha20Poly1305,
  sharedSecret,
  x25519PrivateKey,
  x25519PublicBytes,
} from '../src/age/x25519.ts';
import { dataKeyFromBytes, parseEncryptedValue } from '../src/index.ts';
import { encryptValue, openValue } from '../src/value-cipher.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const bitFlips = (bytes: Uint8Array): Uint8Array[] =>
  Array.from({ length: bytes.length * 8 }, (_, bit) =>
    bytes.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte)),
  );

describe('AES-256-GCM of values', () => {
  const polynomial = 0xe1n << 120n;
  const bigOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
  const block = (value: bigint): Buffer => hex(value.toString(16).padStart(32, '0'));

  function times(a: bigint, b: bigint): bigint {
    let [product, factor] = [0n, b];
    for (let bit = 127n; bit >= 0n; bit -= 1n) {
      if ((a >> bit) & 1n) product ^= factor;
      factor = factor & 1n ? (factor >> 1n) ^ polynomial : factor >> 1n;
    }
    return product;
  }

  function inverse(a: bigint): bigint {
    let [result, power] = [1n << 127n, a];
    for (let bit = 1; bit < 128; bit += 1) {
      power = times(power, power);
      result = times(result, power);
    }
    return result;
  }

  const aes = (key: Uint8Array, input: Buffer): Buffer => {
    const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    return Buffer.concat([cipher.update(input), cipher.final()]);
  };
  const padded = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 15)]);

  function hash(h: bigint, ...parts: readonly Uint8Array[]): bigint {
    const bytes = Buffer.concat(parts.map(padded));
    let sum = 0n;
    for (let at = 0; at < bytes.length; at += 16) sum = times(sum ^ bigOf(bytes.subarray(at, at + 16)), h);
    return sum;
  }

  const lengths = (a: number, b: number): Buffer => block((BigInt(a * 8) << 64n) | BigInt(b * 8));

  /** By the definition (NIST SP 800-38D). */
  function reference(key: Uint8Array, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) {
    const h = bigOf(aes(key, Buffer.alloc(16)));
    const start =
      iv.length === 12 ? Buffer.concat([iv, hex('00000001')]) : block(hash(h, iv, lengths(0, iv.length)));
    const counterAt = (steps: number): Buffer => {
      const counter = Buffer.from(start);
      counter.writeUInt32BE((start.readUInt32BE(12) + steps) >>> 0, 12);
      return aes(key, counter);
    };
    const stream = Buffer.concat(
      Array.from({ length: Math.ceil(plaintext.length / 16) }, (_, at) => counterAt(at + 1)),
    );
    const data = plaintext.map((byte, index) => byte ^ (stream[index] ?? 0));
    const tag = block(hash(h, aad, data, lengths(aad.length, data.length)) ^ bigOf(counterAt(0)));
    return { data, tag };
  }

  const secret = randomBytes(32);
  const key = dataKeyFromBytes(secret);
  const value = (iv: Uint8Array, data: Uint8Array, tag: Uint8Array) => ({
    data,
    iv,
    tag,
    type: 'str',
    exact: false,
  });

  it('the reference gives the ciphertext and tag of the paper (test case 15)', () => {
    const plaintext = hex(
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255',
    );
    const { data, tag } = reference(
      hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308'),
      hex('cafebabefacedbaddecaf888'),
      Buffer.alloc(0),
      plaintext,
    );
    expect(Buffer.from(data).toString('hex')).toBe(
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad',
    );
    expect(tag.toString('hex')).toBe('b094dac5d93471bdec1a502270e3cc6c');
  });

  it.each([1, 8, 11, 12, 13, 16, 31, 32, 33, 64, 127, 128])(
    'opens what the definition makes with an IV of %i bytes',
    (size) => {
      for (const length of [0, 1, 15, 16, 17, 65]) {
        for (const aad of ['', ':', 'a:b:', 'é'.repeat(20)]) {
          const [iv, plaintext] = [randomBytes(size), randomBytes(length)];
          const { data, tag } = reference(secret, iv, Buffer.from(aad), plaintext);
          expect(Buffer.from(openValue(key, value(iv, data, tag), aad) ?? [1])).toEqual(plaintext);
        }
      }
    },
  );

  it.each(['ffffffff', 'fffffffe', '00000000', 'fffffffd'])(
    'and where the counter begins at %s and wraps',
    (counter) => {
      const h = bigOf(aes(secret, Buffer.alloc(16)));
      const start = Buffer.concat([randomBytes(12), hex(counter)]);
      // The IV of 16 bytes that hashes to this start.
      const iv = block(times(times(bigOf(start), inverse(h)) ^ bigOf(lengths(0, 16)), inverse(h)));
      const plaintext = randomBytes(80);
      const { data, tag } = reference(secret, iv, Buffer.from('a:'), plaintext);
      expect(Buffer.from(openValue(key, value(iv, data, tag), 'a:') ?? [])).toEqual(plaintext);
    },
  );

  it('makes what the definition makes', () => {
    for (const length of [1, 15, 16, 17, 100]) {
      const plaintext = randomBytes(length);
      const sealed = parseEncryptedValue(
        encryptValue(key, plaintext, { aad: 'a:', type: 'str', randomBytes }),
      );
      const { data, tag } = reference(secret, sealed?.iv ?? new Uint8Array(), Buffer.from('a:'), plaintext);
      expect([sealed?.data, sealed?.tag].map((part) => Buffer.from(part ?? []))).toEqual([
        Buffer.from(data),
        tag,
      ]);
    }
  });

  it('refuses tags of every other length, and with any bit of tag, IV or data flipped', () => {
    const [iv, plaintext] = [randomBytes(32), randomBytes(20)];
    const { data, tag } = reference(secret, iv, Buffer.from('a:'), plaintext);
    const long = Buffer.concat([tag, tag, tag]);
    for (let size = 0; size <= 33; size += 1) {
      const opened = openValue(key, value(iv, data, long.subarray(0, size)), 'a:');
      expect(opened === undefined, `a tag of ${size} bytes`).toBe(size !== 16);
    }
    const damaged = [
      ...bitFlips(tag).map((other) => value(iv, data, other)),
      ...bitFlips(iv).map((other) => value(other, data, tag)),
      ...bitFlips(data).map((other) => value(iv, other, tag)),
      value(iv, data.subarray(1), tag),
      value(iv, Buffer.concat([data, Buffer.alloc(1)]), tag),
      value(iv, data, Buffer.alloc(16)),
      value(iv, data, Buffer.alloc(16, 0xff)),
    ];
    for (const one of damaged) expect(openValue(key, one, 'a:')).toBeUndefined();
    for (const aad of ['', 'a', ':a', 'A:', 'a::', 'a:\0'])
      expect(openValue(key, value(iv, data, tag), aad)).toBeUndefined();
  });

  it('refuses an IV of no bytes, and of more than any writer has made', () => {
    expect(openValue(key, value(randomBytes(129), randomBytes(4), randomBytes(16)), 'a:')).toBeUndefined();
    expect(
      parseEncryptedValue('ENC[AES256_GCM,data:AA==,iv:,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]'),
    ).toBeUndefined();
  });
});

describe('X25519', () => {
  const prime = (1n << 255n) - 19n;
  const little = (value: bigint): Buffer => hex(value.toString(16).padStart(64, '0')).reverse();

  it.each([
    [
      'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
      'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
      'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    ],
    [
      '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
      'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
      '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
    ],
  ])('%s gives what RFC 7748 says', (scalar, point, secret) => {
    expect(Buffer.from(sharedSecret(x25519PrivateKey(hex(scalar)), hex(point)) ?? []).toString('hex')).toBe(
      secret,
    );
  });

  it('1,000 times over gives what RFC 7748 says', () => {
    let [scalar, point] = [Buffer.from(little(9n)), Buffer.from(little(9n))];
    for (let round = 0; round < 1000; round += 1) {
      const secret = Buffer.from(sharedSecret(x25519PrivateKey(scalar), point) ?? []);
      [scalar, point] = [secret, scalar];
    }
    expect(scalar.toString('hex')).toBe('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51');
  });

  const lowOrder = [
    0n,
    1n,
    325606250916557431795983626356110631294008115727848805560023387167927233504n,
    39382357235489614581723060781553021112529911719440698176882885853963445705823n,
    prime - 1n,
    prime,
    prime + 1n,
  ];
  const topBit = (point: Buffer): Buffer =>
    Buffer.concat([point.subarray(0, 31), Buffer.of((point[31] ?? 0) | 0x80)]);

  it.each(
    lowOrder
      .flatMap((u) => [little(u), topBit(little(u))])
      .map((point) => [point.toString('hex'), point] as const),
  )('the point %s of low order gives nothing, nor a stanza', (_, point) => {
    const privateKey = x25519PrivateKey(randomBytes(32));
    expect(sharedSecret(privateKey, point)).toBeUndefined();
    expect(makeX25519Stanza(point, randomBytes(16), randomBytes(32))).toBeUndefined();
    const stanza = { share: point, body: randomBytes(32) };
    expect(openX25519Stanza(privateKey, x25519PublicBytes(privateKey), stanza)).toBe('low_order');
  });

  it('points that are not reduced, with the top bit, or on the twist are taken as the other implementation takes them', () => {
    const odd = Array.from({ length: 17 }, (_, index) => little(prime + 2n + BigInt(index)));
    const edges = [2n, 3n, 4n, 5n, 6n, 9n, prime - 2n, prime - 3n, 1n << 254n].map(little);
    for (const point of [
      ...odd,
      ...edges,
      ...edges.map(topBit),
      ...Array.from({ length: 100 }, () => randomBytes(32)),
    ]) {
      const scalar = randomBytes(32);
      expect(Buffer.from(sharedSecret(x25519PrivateKey(scalar), point) ?? [])).toEqual(
        Buffer.from(x25519.getSharedSecret(scalar, point)),
      );
    }
  });

  it('scalars are clamped: the bits that do not count do not', () => {
    const point = little(9n);
    for (const scalar of [Buffer.alloc(32), Buffer.alloc(32, 0xff), randomBytes(32)]) {
      const clamped = Buffer.from(scalar);
      clamped[0] = (clamped[0] ?? 0) & 248;
      clamped[31] = ((clamped[31] ?? 0) & 127) | 64;
      expect(sharedSecret(x25519PrivateKey(scalar), point)).toEqual(
        sharedSecret(x25519PrivateKey(clamped), point),
      );
    }
  });
});

describe('ChaCha20-Poly1305', () => {
  const prime = (1n << 130n) - 5n;
  const littleOf = (bytes: Uint8Array): bigint =>
    BigInt(`0x${Buffer.from(bytes).reverse().toString('hex') || '0'}`);

  function stream(key: Uint8Array, nonce: Uint8Array, counter: number, length: number): Buffer {
    const first = Buffer.alloc(4);
    first.writeUInt32LE(counter);
    return createCipheriv('chacha20', key, Buffer.concat([first, nonce])).update(Buffer.alloc(length));
  }

  /** By the definition (RFC 8439), without associated data. */
  function reference(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Buffer {
    const data = plaintext.map((byte, index) => byte ^ (stream(key, nonce, 1, plaintext.length)[index] ?? 0));
    const oneTime = stream(key, nonce, 0, 32);
    const r = littleOf(oneTime.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
    const lengths = Buffer.alloc(16);
    lengths.writeUInt32LE(data.length, 8);
    const text = Buffer.concat([data, Buffer.alloc(-data.length & 15), lengths]);
    let sum = 0n;
    for (let at = 0; at < text.length; at += 16) {
      sum = ((sum + littleOf(text.subarray(at, at + 16)) + (1n << 128n)) * r) % prime;
    }
    const tag = (sum + littleOf(oneTime.subarray(16))) & ((1n << 128n) - 1n);
    return Buffer.concat([data, hex(tag.toString(16).padStart(32, '0')).reverse()]);
  }

  it.each([0, 1, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 129, 256, 511])(
    '%i bytes, both ways, as the definition has them',
    (size) => {
      const [key, nonce] = [randomBytes(32), randomBytes(12)];
      // Ciphertexts of ones and zeros carry furthest in the sum.
      const keystream = stream(key, nonce, 1, size);
      for (const plaintext of [randomBytes(size), keystream, keystream.map((byte) => byte ^ 0xff)]) {
        const sealed = reference(key, nonce, plaintext);
        expect(Buffer.from(sealChaCha20Poly1305(key, nonce, plaintext))).toEqual(sealed);
        expect(Buffer.from(openChaCha20Poly1305(key, nonce, sealed) ?? [1])).toEqual(Buffer.from(plaintext));
      }
    },
  );

  it('refuses whatever is cut, longer, or differs in a bit, and another key or nonce', () => {
    const [key, nonce] = [randomBytes(32), randomBytes(12)];
    const sealed = Buffer.from(sealChaCha20Poly1305(key, nonce, randomBytes(20)));
    for (let size = 0; size < sealed.length; size += 1) {
      expect(openChaCha20Poly1305(key, nonce, sealed.subarray(0, size))).toBeUndefined();
      expect(openChaCha20Poly1305(key, nonce, sealed.subarray(sealed.length - size))).toBeUndefined();
    }
    for (const damaged of [...bitFlips(sealed), Buffer.concat([sealed, Buffer.alloc(1)])]) {
      expect(openChaCha20Poly1305(key, nonce, damaged)).toBeUndefined();
    }
    expect(openChaCha20Poly1305(randomBytes(32), nonce, sealed)).toBeUndefined();
    expect(openChaCha20Poly1305(key, randomBytes(12), sealed)).toBeUndefined();
  });
});

describe('HKDF-SHA256 as the stanzas of age use it', () => {
  const hmac = (key: Uint8Array, ...parts: readonly (string | Uint8Array)[]): Buffer =>
    parts.reduce((mac, part) => mac.update(part), createHmac('sha256', key)).digest();
  /** By the definition (RFC 5869), for up to 32 bytes. */
  const expand = (secret: Uint8Array, salt: Uint8Array, info: string | Uint8Array): Buffer =>
    hmac(hmac(salt, secret), info, Buffer.of(1));

  it('the reference gives what RFC 5869 says (test cases 1 and 3)', () => {
    const secret = Buffer.alloc(22, 0x0b);
    expect(
      expand(secret, hex('000102030405060708090a0b0c'), hex('f0f1f2f3f4f5f6f7f8f9')).toString('hex'),
    ).toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf');
    expect(expand(secret, Buffer.alloc(32), '').toString('hex')).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    );
  });

  it('a stanza opens with the key that the definition gives', () => {
    for (let round = 0; round < 20; round += 1) {
      const [scalar, fileKey] = [randomBytes(32), randomBytes(16)];
      const publicBytes = x25519PublicBytes(x25519PrivateKey(scalar));
      const stanza = makeX25519Stanza(publicBytes, fileKey, randomBytes(32));
      const share = stanza?.share ?? new Uint8Array(32);
      const secret = x25519.getSharedSecret(scalar, share);
      const key = expand(secret, Buffer.concat([share, publicBytes]), 'age-encryption.org/v1/X25519');
      expect(Buffer.from(openChaCha20Poly1305(key, Buffer.alloc(12), stanza?.body ?? fileKey) ?? [])).toEqual(
        fileKey,
      );
    }
  });
});
