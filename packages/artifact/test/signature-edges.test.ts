// Signatures and keys at the edges of the two algorithms, as published suites of such cases look for them: each is made here
// by its rule, in big integers, and goes through `verifyArtifact` as an artifact would bring it.
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verifyArtifact } from '../src/open.ts';
import { parseVerifyKey, preAuthenticationEncoding, type VerifyKey } from '../src/signature.ts';
import { envelope } from './workshop.ts';

const payload = Buffer.from('{"version":1}');
const message = preAuthenticationEncoding(payload);

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const bigOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const littleOf = (bytes: Uint8Array): bigint => bigOf(Buffer.from(bytes).reverse());
const mod = (value: bigint, modulus: bigint): bigint => ((value % modulus) + modulus) % modulus;
const big32 = (value: bigint): Buffer => hex(value.toString(16).padStart(64, '0'));
const little32 = (value: bigint): Buffer => big32(value).reverse();

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square] = [1n, mod(base, modulus)];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

function inverseOf(value: bigint, modulus: bigint): bigint {
  let [r, next, factor, nextFactor] = [modulus, mod(value, modulus), 0n, 1n];
  while (next > 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [factor, nextFactor] = [nextFactor, factor - quotient * nextFactor];
  }
  return mod(factor, modulus);
}

/** What the opener says: true, or the code of its error. */
function verdict(key: VerifyKey, bytes: Uint8Array): unknown {
  const signatures = [{ keyid: key.keyId, sig: Buffer.from(bytes).toString('base64') }];
  try {
    const found = verifyArtifact(envelope(payload, signatures), { verifyKeys: [key], allowUnsigned: false });
    return found.epoch === 0 && Buffer.from(found.payload).equals(payload);
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

type Row = readonly [title: string, key: VerifyKey, signature: Uint8Array];

describe('ECDSA P-256', () => {
  const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
  type Point = readonly [x: bigint, y: bigint];
  const base: Point = [
    0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
    0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  ];
  const inverse = (value: bigint): bigint => inverseOf(value, n);

  function add([x1, y1]: Point, [x2, y2]: Point): Point {
    const slope =
      x1 === x2 && y1 === y2
        ? (3n * x1 * x1 - 3n) * inverseOf(2n * y1, p)
        : (y2 - y1) * inverseOf(x2 - x1, p);
    const x = mod(slope * slope - x1 - x2, p);
    return [x, mod(slope * (x1 - x) - y1, p)];
  }

  function times(scalar: bigint, point: Point): Point {
    let [result, double]: [Point | undefined, Point] = [undefined, point];
    for (let rest = mod(scalar, n); rest > 0n; rest >>= 1n) {
      if (rest & 1n) result = result === undefined ? double : add(result, double);
      double = add(double, double);
    }
    return result ?? [0n, 0n];
  }

  const spkiPrefix = hex('3059301306072a8648ce3d020106082a8648ce3d030107034200');
  const keyOf = ([x, y]: Point): VerifyKey => {
    const spki = Buffer.concat([spkiPrefix, Buffer.of(4), big32(x), big32(y)]);
    return parseVerifyKey(`p256:${spki.toString('base64')}`);
  };

  const tlv = (tag: number, ...content: readonly Uint8Array[]): Buffer => {
    const body = Buffer.concat(content);
    return Buffer.concat([Buffer.of(tag, body.length), body]);
  };
  const bytesOf = (value: bigint): Buffer => {
    const text = value.toString(16);
    const bytes = hex(text.padStart(text.length + (text.length % 2), '0'));
    return (bytes[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
  };
  const integer = (value: bigint): Buffer => tlv(2, bytesOf(value));
  const der = (r: bigint, s: bigint): Buffer => tlv(0x30, integer(r), integer(s));

  const e = bigOf(createHash('sha256').update(message).digest());
  const d = mod(bigOf(randomBytes(32)), n - 1n) + 1n;
  const key = keyOf(times(d, base));
  const signedWith = (k: bigint, secret = d, digest = e): { r: bigint; s: bigint } => {
    const r = mod(times(k, base)[0], n);
    return { r, s: mod(inverse(k) * (digest + r * secret), n) };
  };
  // With the first bit of both set, a dropped zero byte makes both negative.
  let { r, s } = signedWith(bigOf(randomBytes(32)));
  while (r >> 255n === 0n || s >> 255n === 0n) ({ r, s } = signedWith(bigOf(randomBytes(32))));
  const good = der(r, s);

  /** The public key under which r and s are right for this R. */
  const recovered = (point: Point, s1: bigint): VerifyKey => {
    const r1 = inverse(mod(point[0], n));
    return keyOf(add(times(s1 * r1, point), times(-e * r1, base)));
  };
  const beyondOrder = ((): Point => {
    for (let x = n + 1n; ; x += 1n) {
      const square = mod(x * x * x - 3n * x + b, p);
      const y = power(square, (p + 1n) / 4n, p);
      if (mod(y * y, p) === square) return [x, y];
    }
  })();
  const [k] = [mod(bigOf(randomBytes(32)), n)];
  const rOfK = mod(times(k, base)[0], n);
  const doubled = mod(e * inverse(rOfK), n);

  it.each<Row>([
    ['as it is', key, good],
    ['as node makes it', ...byNode()],
    ['with s in the upper half: what the other half is has no meaning here', key, der(r, n - s)],
    ['made with the nonce 1', key, der(...values(signedWith(1n)))],
    ['made with the nonce n - 1', key, der(...values(signedWith(n - 1n)))],
    ['whose s is 1', recovered(times(k, base), 1n), der(rOfK, 1n)],
    ['whose s is n - 1', recovered(times(k, base), n - 1n), der(rOfK, n - 1n)],
    ['whose point has an x beyond the order', recovered(beyondOrder, s), der(beyondOrder[0] - n, s)],
    ['whose two halves are one point', keyOf(times(doubled, base)), der(...values(signedWith(k, doubled)))],
  ])('a signature %s counts', (_, by, bytes) => {
    expect(verdict(by, bytes)).toBe(true);
  });

  function byNode(): [VerifyKey, Uint8Array] {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    return [parseVerifyKey(`p256:${spki.toString('base64')}`), sign('sha256', message, privateKey)];
  }

  function values(signature: { r: bigint; s: bigint }): [bigint, bigint] {
    return [signature.r, signature.s];
  }

  const otherDigest = (name: string): bigint => {
    const digest = createHash(name).update(message).digest();
    return bigOf(digest.subarray(0, 32));
  };
  const of = (digest: bigint): Buffer => der(...values(signedWith(k, d, digest)));
  const zero = Buffer.alloc(1);

  it.each<Row>([
    // Numbers out of range.
    ['r = 0', key, der(0n, s)],
    ['s = 0', key, der(r, 0n)],
    ['r = s = 0', key, der(0n, 0n)],
    ['r = n', key, der(n, s)],
    ['s = n', key, der(r, n)],
    ['r = p', key, der(p, s)],
    ['r + n', key, der(r + n, s)],
    ['s + n', key, der(r, s + n)],
    ['r = s = 1', key, der(1n, 1n)],
    ['r = s = n - 1', key, der(n - 1n, n - 1n)],
    ['r = 1 and s = 0', key, der(1n, 0n)],
    ['n - r', key, der(n - r, s)],
    ['r and s changed over', key, der(s, r)],
    [
      'r not reduced, of a point with an x beyond the order',
      recovered(beyondOrder, s),
      der(beyondOrder[0], s),
    ],
    ['a sum at infinity', keyOf(times(n - doubled, base)), der(rOfK, 5n)],
    // Integers in other spellings.
    ['r negative: its zero is gone', key, tlv(0x30, tlv(2, big32(r)), integer(s))],
    ['s negative: its zero is gone', key, tlv(0x30, integer(r), tlv(2, big32(s)))],
    [
      'r - n, negative',
      key,
      tlv(0x30, tlv(2, Buffer.from(bytesOf(2n ** 256n + r - n)).subarray(-32)), integer(s)),
    ],
    ['r padded with a zero', key, tlv(0x30, tlv(2, zero, bytesOf(r)), integer(s))],
    ['s padded with a zero', key, tlv(0x30, integer(r), tlv(2, zero, bytesOf(s)))],
    ['r as an integer of no bytes', key, tlv(0x30, tlv(2), integer(s))],
    ['s as an integer of no bytes', key, tlv(0x30, integer(r), tlv(2))],
    ['r as a bit string', key, tlv(0x30, tlv(3, bytesOf(r)), integer(s))],
    ['r as an enumeration', key, tlv(0x30, tlv(10, bytesOf(r)), integer(s))],
    ['r as a constructed integer', key, tlv(0x30, tlv(0x22, integer(r)), integer(s))],
    // Sequences in other spellings.
    ['a length in two bytes', key, Buffer.concat([hex('3081'), good.subarray(1)])],
    ['a length in three bytes', key, Buffer.concat([hex('308200'), good.subarray(1)])],
    ['a length of an integer in two bytes', key, longInteger()],
    ['a length that is not told (BER)', key, Buffer.concat([hex('3080'), good.subarray(2), hex('0000')])],
    ['a length one too small', key, Buffer.concat([Buffer.of(0x30, good.length - 3), good.subarray(2)])],
    ['a length one too large', key, Buffer.concat([Buffer.of(0x30, good.length - 1), good.subarray(2)])],
    ['a set', key, tlv(0x31, integer(r), integer(s))],
    ['a primitive sequence', key, tlv(0x10, integer(r), integer(s))],
    ['a sequence in a sequence', key, tlv(0x30, good)],
    ['a byte after it', key, Buffer.concat([good, zero])],
    ['a byte after s, inside', key, tlv(0x30, integer(r), integer(s), zero)],
    ['a null after s, inside', key, tlv(0x30, integer(r), integer(s), hex('0500'))],
    ['a third number', key, tlv(0x30, integer(r), integer(s), integer(1n))],
    ['one number', key, tlv(0x30, integer(r))],
    ['no number', key, tlv(0x30)],
    ['the two numbers without a sequence', key, Buffer.concat([integer(r), integer(s)])],
    ['cut by a byte', key, good.subarray(0, -1)],
    ['no bytes', key, Buffer.alloc(0)],
    // Other algorithms.
    ['64 bare bytes', key, Buffer.concat([big32(r), big32(s)])],
    ['the digest of SHA-1', key, of(otherDigest('sha1'))],
    ['the digest of SHA-384', key, of(otherDigest('sha384'))],
    ['the digest of SHA-512', key, of(otherDigest('sha512'))],
    ['the digest of the bare payload', key, of(bigOf(createHash('sha256').update(payload).digest()))],
    ['a digest of zeros', key, of(0n)],
    ['Ed25519', key, sign(null, message, generateKeyPairSync('ed25519').privateKey)],
  ])('INV-53: a signature with %s does not count', (_, by, bytes) => {
    expect(verdict(by, bytes)).toBe('signature');
  });

  function longInteger(): Buffer {
    const long = Buffer.concat([hex('0281'), integer(r).subarray(1)]);
    return tlv(0x30, long, integer(s));
  }

  const [x, y] = times(d, base);
  const even = (y & 1n) === 0n;
  const withPoint = (...point: readonly Uint8Array[]): Buffer => {
    const bits = Buffer.concat([zero, ...point]);
    return tlv(0x30, spkiPrefix.subarray(2, 23), tlv(3, bits));
  };

  it.each([
    ['the point at infinity', withPoint(zero)],
    ['zeros for a point', withPoint(Buffer.of(4), Buffer.alloc(64))],
    ['a point off the curve', withPoint(Buffer.of(4), big32(x), big32(y ^ 1n))],
    ['a point with x + p', withPoint(Buffer.of(4), hex((x + p).toString(16).padStart(66, '0')), big32(y))],
    ['x = p', withPoint(Buffer.of(4), big32(p), big32(y))],
    ['a compressed point', withPoint(Buffer.of(even ? 2 : 3), big32(x))],
    ['a hybrid point', withPoint(Buffer.of(even ? 6 : 7), big32(x), big32(y))],
    ['a hybrid point of the other sign', withPoint(Buffer.of(even ? 7 : 6), big32(x), big32(y))],
    ['the parameters spelled out', explicitParameters()],
    ['another curve of that size (secp256k1)', otherCurve('secp256k1')],
    ['a point cut by a byte', withPoint(Buffer.of(4), big32(x), big32(y).subarray(0, -1))],
  ])('D12: a key with %s is refused', (_, spki) => {
    expect(() => parseVerifyKey(`p256:${spki.toString('base64')}`)).toThrow(
      expect.objectContaining({ code: 'bad_reference' }),
    );
  });

  function explicitParameters(): Buffer {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1', paramEncoding: 'explicit' });
    return publicKey.export({ format: 'der', type: 'spki' });
  }

  function otherCurve(namedCurve: string): Buffer {
    return generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'der', type: 'spki' });
  }
});

describe('Ed25519', () => {
  const p = 2n ** 255n - 19n;
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const seed = randomBytes(32);
  const digest = createHash('sha512').update(seed).digest();
  const scalar = ((littleOf(digest.subarray(0, 32)) & ((1n << 254n) - 1n)) | (1n << 254n)) & ~7n;
  const privateKey = createPrivateKey({
    key: Buffer.concat([hex('302e020100300506032b657004220420'), seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicBytes = Buffer.from(privateKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const referenceOf = (point: Uint8Array): string =>
    `ed25519:${Buffer.concat([hex('302a300506032b6570032100'), point]).toString('base64')}`;
  const key = parseVerifyKey(referenceOf(publicBytes));

  const good = sign(null, message, privateKey);
  const [point, s] = [good.subarray(0, 32), littleOf(good.subarray(32))];
  const sha512 = (...parts: readonly Uint8Array[]): Buffer =>
    createHash('sha512').update(Buffer.concat(parts)).digest();
  const nonce = mod(littleOf(sha512(digest.subarray(32), message)), order);
  /** By the definition (RFC 8032), for a point whose nonce is known; `prefix` and `text` as the variants have them. */
  const signedAt = (
    at: Uint8Array,
    r: bigint,
    text = message,
    prefix: Uint8Array = Buffer.alloc(0),
  ): Buffer => {
    const challenge = littleOf(sha512(prefix, at, publicBytes, text));
    return Buffer.concat([at, little32(mod(r + challenge * scalar, order))]);
  };
  const domain = (flag: number, context: string): Buffer =>
    Buffer.concat([
      Buffer.from('SigEd25519 no Ed25519 collisions'),
      Buffer.of(flag, context.length),
      Buffer.from(context),
    ]);
  const withS = (value: bigint): Buffer => Buffer.concat([point, little32(value)]);
  const neutral = little32(1n);
  const signBit = (bytes: Uint8Array): Buffer =>
    Buffer.from(bytes.map((byte, at) => (at === 31 ? byte ^ 0x80 : byte)));

  it.each<Row>([
    ['as it is', key, good],
    ['as the definition makes it', key, signedAt(point, nonce)],
    ['whose nonce is 0: nobody but the signer can make it', key, signedAt(neutral, 0n)],
  ])('a signature %s counts', (_, by, bytes) => {
    expect(verdict(by, bytes)).toBe(true);
  });

  it('the definition makes the very signature that node makes', () => {
    expect(signedAt(point, nonce).equals(good)).toBe(true);
  });

  it.each<Row>([
    ['no bytes', key, Buffer.alloc(0)],
    ['R alone', key, good.subarray(0, 32)],
    ['63 bytes', key, good.subarray(0, 63)],
    ['65 bytes', key, Buffer.concat([good, Buffer.alloc(1)])],
    ['itself twice', key, Buffer.concat([good, good])],
    ['64 zeros', key, Buffer.alloc(64)],
    ['64 bytes of ones', key, Buffer.alloc(64, 0xff)],
    ['S = 0', key, withS(0n)],
    ['S = L', key, withS(order)],
    ['S + L: the same number to whoever reduces it', key, withS(s + order)],
    ['S + 2L', key, withS(s + 2n * order)],
    ['S + 7L, as much as fits', key, withS(s + 7n * order)],
    ['L - S', key, withS(order - s)],
    ['S with its top bit', key, withS(s | (1n << 255n))],
    ['S with the bit below', key, withS(s | (1n << 254n))],
    ['R of the other sign', key, Buffer.concat([signBit(point), little32(s)])],
    ['R and S changed over', key, Buffer.concat([little32(s), point])],
    ['R = 0 and S = 0, neutral', key, Buffer.concat([neutral, little32(0n)])],
    ['the neutral R, written as p + 1', key, signedAt(little32(p + 1n), 0n)],
    ['the neutral R, with a sign that it has not', key, signedAt(signBit(neutral), 0n)],
    ['R of order 2', key, signedAt(little32(p - 1n), 0n)],
    ['R of order 4', key, signedAt(little32(0n), 0n)],
    ['R of order 4, written as p', key, signedAt(little32(p), 0n)],
    ['R off the curve', key, signedAt(little32(2n), 0n)],
    ['the bare payload signed', key, sign(null, payload, privateKey)],
    ['the digest signed', key, sign(null, createHash('sha512').update(message).digest(), privateKey)],
    ['the variant for digests (Ed25519ph)', key, signedAt(point, nonce, sha512(message), domain(1, ''))],
    ['the variant with a context (Ed25519ctx)', key, signedAt(point, nonce, message, domain(0, 'clef'))],
    [
      'ECDSA',
      key,
      sign('sha256', message, generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey),
    ],
    ['another key', key, sign(null, message, generateKeyPairSync('ed25519').privateKey)],
  ])('INV-53: a signature with %s does not count', (_, by, bytes) => {
    expect(verdict(by, bytes)).toBe('signature');
  });

  it('no other signature is one bit away', () => {
    const changed = Array.from({ length: 512 }, (_, bit) =>
      good.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte)),
    );
    expect(changed.filter((bytes) => verdict(key, bytes) !== 'signature')).toEqual([]);
  });

  const order8 = '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05';
  const small: readonly (readonly [string, Uint8Array])[] = [
    ['order 1', neutral],
    ['order 1, with a sign that it has not', signBit(neutral)],
    ['order 1, written as p + 1', little32(p + 1n)],
    ['order 2', little32(p - 1n)],
    ['order 2, with a sign that it has not', signBit(little32(p - 1n))],
    ['order 4', little32(0n)],
    ['order 4, of the other sign', signBit(little32(0n))],
    ['order 4, written as p', little32(p)],
    ['order 8', hex(order8)],
    ['order 8, of the other sign', signBit(hex(order8))],
    ['order 8, the other two', little32(p - littleOf(hex(order8)))],
    ['order 8, the other two of the other sign', signBit(little32(p - littleOf(hex(order8))))],
  ];
  const beyond = Array.from({ length: 19 }, (_, more) => p + BigInt(more)).flatMap((y) => [
    [`y = p + ${y - p}`, little32(y)] as const,
    [`y = p + ${y - p} and its sign`, signBit(little32(y))] as const,
  ]);
  const wrong: readonly (readonly [string, Uint8Array])[] = [
    ['31 bytes', publicBytes.subarray(1)],
    ['33 bytes', Buffer.concat([publicBytes, Buffer.alloc(1)])],
    ['no bytes', Buffer.alloc(0)],
  ];

  it.each([...small, ...beyond, ...wrong])('D12, INV-32: a key of %s is refused', (_, bytes) => {
    expect(() => parseVerifyKey(referenceOf(bytes))).toThrow(
      expect.objectContaining({ code: 'bad_reference' }),
    );
  });

  it('a key off the curve verifies nothing', () => {
    const off = parseVerifyKey(referenceOf(little32(2n)));
    for (const bytes of [
      good,
      Buffer.alloc(64),
      signedAt(neutral, 0n),
      Buffer.concat([neutral, little32(0n)]),
    ])
      expect(verdict(off, bytes)).toBe('signature');
  });

  it.each([
    ['X25519', generateKeyPairSync('x25519').publicKey],
    ['Ed448', generateKeyPairSync('ed448').publicKey],
    ['P-256', generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey],
  ])('D12: a key of %s is refused under the name of Ed25519', (_, other) => {
    const spki = other.export({ format: 'der', type: 'spki' }).toString('base64');
    expect(() => parseVerifyKey(`ed25519:${spki}`)).toThrow(
      expect.objectContaining({ code: 'bad_reference' }),
    );
  });
});
