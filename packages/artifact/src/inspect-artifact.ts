// A look at an artifact from outside, for people and for choosing the next revision. Nothing in it is verified.
import { type ArtifactHeader, digestOf, parseArtifact } from './artifact.ts';

/** What an artifact says of itself. Anybody could have written it. */
export type UnverifiedArtifact = {
  readonly isVerified: false;
  readonly header: ArtifactHeader;
  /** Hex SHA-256 of the payload: what an agent's floor compares. */
  readonly payloadDigest: string;
  /** The key reference it is sealed with; absent from a revocation. */
  readonly sealingKey?: string;
  /** The stated reason of a revocation. */
  readonly revoked?: string;
  /** Hex SHA-256 of the SPKI of those who claim to have signed. */
  readonly keyIds: readonly string[];
  /** In bytes: the payload as it is signed, and the age file, 0 in a revocation. */
  readonly sizes: { readonly payload: number; readonly ciphertext: number };
};

/**
 * Reads what stands in the open, without verifying or decrypting. Escape its texts before showing them.
 * @throws {ArtifactError} `too_large`, `format`, `signature`.
 */
export function inspectArtifact(bytes: Uint8Array): UnverifiedArtifact {
  const { envelope, payload } = parseArtifact(bytes);
  return {
    isVerified: false,
    header: payload.header,
    payloadDigest: digestOf(envelope.payload),
    keyIds: envelope.signatures.map(({ keyId }) => keyId),
    sizes: {
      payload: envelope.payload.length,
      ciphertext: 'revoked' in payload ? 0 : payload.ciphertext.length,
    },
    ...('revoked' in payload ? { revoked: payload.revoked.reason } : { sealingKey: payload.seal.key.text }),
  };
}
