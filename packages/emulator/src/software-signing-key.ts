// A signing key in software: ECDSA P-256 over a digest that the caller made, which node:crypto does not offer (it hashes
// what it signs once more). Signatures are DER, as both clouds give them.
import { createPublicKey } from 'node:crypto';
import type { RandomBytes } from './software-key.ts';

/** The SPKI of P-256 up to the uncompressed point. */
const spkiStart = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

/** The order of P-256: private keys are from 1 up to below it. */
const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');

/** A private key: 32 bytes. */
export function makeSigningMaterial(randomBytes: RandomBytes): Uint8Array {
  for (;;) {
    const candidate = Uint8Array.from(randomBytes(32));
    if (isSigningMaterial(candidate)) return candidate;
  }
}

export function isSigningMaterial(bytes: Uint8Array): boolean {
  return bytes.length === 32 && bytes.some((byte) => byte !== 0) && Buffer.compare(bytes, order) < 0;
}

/** The public half as SPKI in DER. */
export async function publicKeyOf(material: Uint8Array): Promise<Uint8Array> {
  const { p256 } = await loadCurve();
  return Buffer.concat([spkiStart, p256.getPublicKey(material, false)]);
}

/** The public half in PEM, ending in a newline. */
export async function publicKeyPemOf(material: Uint8Array): Promise<string> {
  const spki = Buffer.from(await publicKeyOf(material));
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return key.export({ format: 'pem', type: 'spki' }) as string;
}

/** Signs a digest of 32 bytes. */
export async function signDigest(material: Uint8Array, digest: Uint8Array): Promise<Uint8Array> {
  const { p256 } = await loadCurve();
  return p256.sign(digest, material, { prehash: false, lowS: false, format: 'der' });
}

export async function isSignatureOf(
  material: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const { p256 } = await loadCurve();
  try {
    const options = { prehash: false, lowS: false, format: 'der' } as const;
    return p256.verify(signature, digest, p256.getPublicKey(material, false), options);
  } catch {
    // Bytes that are no DER signature.
    return false;
  }
}

function loadCurve(): Promise<typeof import('@noble/curves/nist.js')> {
  return import('@noble/curves/nist.js');
}
