// A signer whose private key never leaves a KMS. Its public half is what the KMS states; whether anybody trusts it is for
// the verify keys to say.
import type { KeyReference, SigningKms } from '@clef/kms';
import { parseVerifyKey, type Signer } from './signature.ts';

/**
 * The signer of a key in a KMS: ECDSA P-256, each signature verified under the public half before it is used.
 * @throws {KmsError} As `kms.publicKey` does; its `sign` throws as `kms.sign` does.
 */
export async function createKmsSigner(key: KeyReference, kms: SigningKms): Promise<Signer> {
  const { text } = await kms.publicKey(key);
  return { verifyKey: parseVerifyKey(text), sign: (message) => kms.sign(key, message) };
}
