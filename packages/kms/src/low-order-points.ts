// Points of small order: as an X25519 recipient every private key shares a secret with them, as an Ed25519 key anybody
// can sign under them (catalogue INV-32, D10). Lists, so that no private key has to be made up to find out.

/** u-coordinates of order 1, 2, 4 and 8 on Curve25519 and its twist (RFC 7748, section 6.1), and those written as p + u. */
const x25519Points = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** y-coordinates of the eight points of small order on edwards25519, and those written as p + y. */
const ed25519Points = new Set([
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Whether X25519 with this public key gives zeros whatever the private key. The top bit is ignored, as X25519 does. */
export function isLowOrderX25519(point: Uint8Array): boolean {
  return x25519Points.has(withoutTopBit(point));
}

/** Whether this Ed25519 public key is of small order. The top bit is the sign of x and does not matter. */
export function isSmallOrderEd25519(point: Uint8Array): boolean {
  return ed25519Points.has(withoutTopBit(point));
}

/** Whether y is below 2^255 - 19, as it must be (RFC 8032, section 5.1.3): a point has one spelling. */
export function isReducedEd25519(point: Uint8Array): boolean {
  const y = BigInt(`0x${Buffer.from(withoutTopBit(point), 'hex').reverse().toString('hex')}`);
  return y < 2n ** 255n - 19n;
}

function withoutTopBit(point: Uint8Array): string {
  const bytes = Buffer.from(point);
  bytes[31] = (bytes[31] ?? 0) & 0x7f;
  return bytes.toString('hex');
}
