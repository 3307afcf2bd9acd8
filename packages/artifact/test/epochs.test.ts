// Epochs over the life of an identity: keys come and go, positions stay, and a floor that was kept goes on to hold.
import { describe, expect, it } from 'vitest';
import { type ArtifactFloor, openArtifact } from '../src/open.ts';
import { parseVerifyKeys, type VerifySlot } from '../src/signature.ts';
import { header, memoryKms, newP256Signer, newSigner, policyWith, seal } from './workshop.ts';

const kms = memoryKms();
const [first, second, third] = [newSigner(), newP256Signer(), newSigner()];
const retired = (signer: typeof first): string => `retired:${signer.verifyKey.keyId}`;
const texts = [first, second, third].map((signer) => signer.verifyKey.text);
const slots = (...list: readonly string[]): readonly VerifySlot[] => parseVerifyKeys(list);

/** The epoch of an artifact that opens, else the code of its refusal. */
async function outcome(
  signer: typeof first,
  verifyKeys: readonly VerifySlot[],
  floor?: ArtifactFloor,
  revision = header.revision,
): Promise<number | string> {
  const artifact = await seal(kms, { signer, header: { ...header, revision } });
  const policy = policyWith({ verifyKeys, ...(floor && { floor }) });
  return openArtifact(artifact, policy, { kms }).then(
    ({ epoch }) => epoch,
    (error: { code: string }) => error.code,
  );
}

describe('a list of verify keys over time', () => {
  const floor = { epoch: 1, revision: header.revision, payloadDigest: '0'.repeat(64) };

  it('INV-47: retiring the oldest key leaves the epochs of the others, and a floor that was kept holds', async () => {
    const before = slots(...texts.slice(0, 2));
    const after = slots(retired(first), texts[1] as string);
    expect(await outcome(second, before)).toBe(1);
    expect(await outcome(second, after, floor, header.revision + 1)).toBe(1);
    expect(await outcome(first, after)).toBe('signature');
    const shortened = slots(texts[1] as string);
    expect(await outcome(second, shortened, floor, header.revision + 1), 'what taking it out does').toBe(
      'rollback',
    );
  });

  it('E11, E19: a retired epoch signs nothing, also where there is no floor yet', async () => {
    const list = slots(retired(first), retired(second), texts[2] as string);
    expect(await outcome(first, list)).toBe('signature');
    expect(await outcome(second, list)).toBe('signature');
    expect(await outcome(third, list)).toBe(2);
    expect(await outcome(third, list, { ...floor, epoch: 1 }, 1), 'INV-49: a new epoch, a new floor').toBe(2);
  });

  it('says that the key is retired, not only that it is unknown', async () => {
    const policy = policyWith({ verifyKeys: slots(retired(first), texts[1] as string) });
    const artifact = await seal(kms, { signer: first });
    await expect(openArtifact(artifact, policy, { kms })).rejects.toThrow(/claims a key that is retired/);
  });

  it('a place in the middle may be retired', async () => {
    const list = slots(texts[0] as string, retired(second), texts[2] as string);
    expect(await outcome(first, list)).toBe(0);
    expect(await outcome(third, list)).toBe(2);
  });
});

const many = Array.from({ length: 65 }, (_, index) => `retired:${String(index).padStart(64, '0')}`);
const nine = Array.from({ length: 9 }, () => newSigner().verifyKey.text);

describe('a list that breaks a rule', () => {
  it.each([
    ['a key twice', [texts[0], texts[0]], /twice/],
    ['D12: nine keys', nine, /more than 8 keys/],
    ['65 places', many, /more than 64 places/],
    ['a retired key that is trusted again', [retired(first), texts[0]], /twice/],
    ['a retired key at the end', [texts[0], retired(second)], /put the key that signs now after it/],
    ['nothing but retired keys', [retired(first)], /retired/],
  ] as const)('%s', (_, list, message) => {
    expect(() => parseVerifyKeys(list as readonly string[])).toThrow(
      expect.objectContaining({ code: 'bad_signing_key', message: expect.stringMatching(message) }),
    );
  });

  it('eight keys behind 56 retired ones are none', () => {
    expect(parseVerifyKeys([...many.slice(0, 56), ...nine.slice(0, 8)])).toHaveLength(64);
  });
});
