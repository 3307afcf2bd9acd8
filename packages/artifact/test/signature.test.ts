// What exactly is signed (DSSE v1), and whose signature counts.
import { createHash, generateKeyPairSync, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { findEpoch, preAuthenticationEncoding, type Signer, signPayload } from '../src/signature.ts';
import { newP256Signer, newSigner } from './workshop.ts';

const payload = Buffer.from('hello world');

async function envelopeBy(...signers: readonly Signer[]) {
  return { payload, signatures: await Promise.all(signers.map((signer) => signPayload(payload, signer))) };
}

describe('what is signed', () => {
  it('is the type and the exact bytes, each after its length (DSSE v1)', () => {
    expect(Buffer.from(preAuthenticationEncoding(payload)).toString()).toBe(
      'DSSEv1 37 application/vnd.clef.artifact.v1+json 11 hello world',
    );
  });

  it('counts bytes, not characters, and leaves bytes that are no text as they are', () => {
    const bytes = Uint8Array.of(0xff, 0x00, 0xc3, 0xa9);
    const encoded = Buffer.from(preAuthenticationEncoding(bytes));
    expect(encoded.subarray(-6)).toEqual(Buffer.from([0x34, 0x20, 0xff, 0x00, 0xc3, 0xa9]));
  });

  it('INV-38: two payloads never have one encoding', () => {
    const encodings = ['', ' ', '0 ', ' 0', '1 x', '11 hello world'].map((text) =>
      Buffer.from(preAuthenticationEncoding(Buffer.from(text))).toString(),
    );
    expect(new Set(encodings).size).toBe(encodings.length);
  });

  it('verifies with the bare public key, under the SHA-256 of its SPKI', async () => {
    const signer = newSigner();
    const { keyId, bytes } = await signPayload(payload, signer);
    const { publicKey } = signer.verifyKey;
    expect(verify(null, preAuthenticationEncoding(payload), publicKey, bytes)).toBe(true);
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    expect(keyId).toBe(createHash('sha256').update(spki).digest('hex'));
  });
});

describe('the epoch', () => {
  const [oldest, middle, newest, stranger] = [newSigner(), newP256Signer(), newSigner(), newSigner()];
  const trusted = [oldest, middle, newest].map(({ verifyKey }) => verifyKey);

  it('is the position of the key that signed', async () => {
    expect(findEpoch(await envelopeBy(oldest), trusted)).toBe(0);
    expect(findEpoch(await envelopeBy(middle), trusted)).toBe(1);
    expect(findEpoch(await envelopeBy(newest), trusted)).toBe(2);
    expect(findEpoch(await envelopeBy(stranger), trusted)).toBe(-1);
    expect(findEpoch(await envelopeBy(), trusted)).toBe(-1);
  });

  it('is the highest where several signed, in whatever order', async () => {
    expect(findEpoch(await envelopeBy(oldest, middle), trusted)).toBe(1);
    expect(findEpoch(await envelopeBy(newest, stranger, oldest), trusted)).toBe(2);
  });

  it('is not raised by a signature that does not verify', async () => {
    const good = await signPayload(payload, oldest);
    const forged = { keyId: newest.verifyKey.keyId, bytes: good.bytes };
    expect(findEpoch({ payload, signatures: [forged, good] }, trusted)).toBe(0);
  });
});

describe('INV-53: a signature of P-256', () => {
  const signer = newP256Signer();
  const { publicKey: other } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const rows: readonly (readonly [title: string, (der: Buffer) => Uint8Array])[] = [
    ['empty', () => Buffer.alloc(0)],
    ['cut by a byte', (der) => der.subarray(0, -1)],
    ['with a byte more', (der) => Buffer.concat([der, Buffer.from([0])])],
    ['of two zeros', () => Buffer.from('3006020100020100', 'hex')],
    ['of 64 bare bytes', () => Buffer.alloc(64, 7)],
    ['with a length in the long form', (der) => Buffer.concat([Buffer.from([0x30, 0x81]), der.subarray(1)])],
  ];

  it.each(rows)('%s does not count', async (_, change) => {
    const { keyId, bytes } = await signPayload(payload, signer);
    const signatures = [{ keyId, bytes: change(Buffer.from(bytes)) }];
    expect(findEpoch({ payload, signatures }, [signer.verifyKey])).toBe(-1);
  });

  it('does not count under another key that claims its ID', async () => {
    const impostor = { ...signer.verifyKey, publicKey: other };
    expect(findEpoch(await envelopeBy(signer), [impostor])).toBe(-1);
  });
});
