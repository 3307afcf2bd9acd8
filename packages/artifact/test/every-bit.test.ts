// INV-38, E10: whatever bit of an artifact is changed, it is refused; and where a key is trusted, the KMS never hears of it.
import { describe, expect, it } from 'vitest';
import { ArtifactError, type OpenPolicy, openArtifact, type Signer } from '../src/index.ts';
import {
  envelope,
  envelopeOf,
  header,
  kmsKey,
  memoryKms,
  newP256Signer,
  newSigner,
  policyWith,
  seal,
  signed,
} from './workshop.ts';

/** Well formed up to the signature and the fields, but too short to open: so that every bit can be tried. */
const tinyPayload = {
  ...header,
  seal: { key: kmsKey.text, wrappedIdentity: 'AAAA' },
  ciphertext: Buffer.from('age-encryption.org/v1\n-> mlkem768x25519 A\nAA\n--- A\n').toString('base64'),
};

function withFlip(bytes: Uint8Array, index: number, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[index] = (changed[index] ?? 0) ^ (1 << bit);
  return changed;
}

async function codeOf(opening: Promise<unknown>): Promise<string> {
  try {
    await opening;
    return 'accepted';
  } catch (error) {
    if (error instanceof ArtifactError) return error.code;
    throw error;
  }
}

/** The codes that come back when bits of every byte are flipped, one at a time, and how often the KMS was asked. */
async function flipThrough(
  original: Uint8Array,
  policy: OpenPolicy,
  bitsOf: (index: number) => readonly number[],
): Promise<{ readonly codes: Set<string>; readonly calls: number }> {
  const kms = memoryKms();
  const codes = new Set<string>();
  for (let index = 0; index < original.length; index += 1) {
    for (const bit of bitsOf(index)) {
      codes.add(await codeOf(openArtifact(withFlip(original, index, bit), policy, { kms })));
    }
  }
  return { codes, calls: kms.calls };
}

const allBits = (): readonly number[] => [0, 1, 2, 3, 4, 5, 6, 7];
const oneBit = (index: number): readonly number[] => [(index * 5) % 8];

describe('INV-38, E10: every bit of a signed artifact', () => {
  const signers: readonly (readonly [string, Signer])[] = [
    ['Ed25519', newSigner()],
    ['ECDSA P-256', newP256Signer()],
  ];

  it.each(signers)('flipped, each in turn, is refused without a KMS call (%s)', async (_, signer) => {
    const artifact = await signed(tinyPayload, signer);
    const policy = policyWith({ verifyKeys: [signer.verifyKey] });
    // The original passes all that is checked before the KMS, so that each refusal is the flip's.
    expect(await codeOf(openArtifact(artifact, policy, { kms: memoryKms() }))).toBe('kms_denied');
    const { codes, calls } = await flipThrough(artifact, policy, allBits);
    expect(codes).toEqual(new Set(['format', 'signature']));
    expect(calls).toBe(0);
  });

  it('in a revocation cannot be flipped either', async () => {
    const signer = newSigner();
    const artifact = await signed({ ...header, revoked: { reason: 'the key has leaked' } }, signer);
    const { codes, calls } = await flipThrough(
      artifact,
      policyWith({ verifyKeys: [signer.verifyKey] }),
      allBits,
    );
    expect(codes).toEqual(new Set(['format', 'signature']));
    expect(calls).toBe(0);
  });

  it('of a whole one: a bit of every byte is refused without a KMS call', async () => {
    const artifact = await seal(memoryKms());
    const { codes, calls } = await flipThrough(artifact, policyWith(), oneBit);
    expect(codes).toEqual(new Set(['format', 'signature']));
    expect(calls).toBe(0);
  });
});

describe('E10: an unsigned artifact where that is allowed', () => {
  it('does not open when a bit of any byte of its payload is flipped', async () => {
    const kms = memoryKms();
    const artifact = await seal(kms);
    const policy = policyWith({ verifyKeys: [], allowUnsigned: true });
    expect(await codeOf(openArtifact(artifact, policy, { kms }))).toBe('accepted');
    const payload = Buffer.from(envelopeOf(artifact).payload, 'base64');
    const codes = new Set<string>();
    for (let index = 0; index < payload.length; index += 1) {
      const changed = envelope(withFlip(payload, index, index % 8), []);
      codes.add(await codeOf(openArtifact(changed, policy, { kms })));
    }
    expect(codes).not.toContain('accepted');
    expect([...codes]).toEqual(
      expect.arrayContaining(['binding', 'format', 'header_mismatch', 'key_not_pinned', 'kms_denied']),
    );
  });
});
