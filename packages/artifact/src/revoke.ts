// A revocation: a signed artifact without secrets. Whoever trusts the signer's key wipes what it has and takes nothing older.
import {
  type ArtifactHeader,
  formatEnvelope,
  formatPayload,
  orderedHeader,
  parsePayload,
} from './artifact.ts';
import { ArtifactError } from './artifact-error.ts';
import { type Signer, signPayload } from './signature.ts';

export type RevocationRequest = {
  readonly header: ArtifactHeader;
  /** For people, in the clear; 1 to 500 characters. */
  readonly reason: string;
  readonly signer: Signer;
};

/**
 * Makes the artifact that revokes those before it. `expiresAt` of the header is of no account: a revocation has no end.
 * @throws {ArtifactError} `bad_content` for a header or a reason that no artifact may hold.
 * @throws {KmsError} As the signer does.
 */
export async function sealRevocation({ header, reason, signer }: RevocationRequest): Promise<Uint8Array> {
  const payload = formatPayload({ header: orderedHeader(header), revoked: { reason } });
  try {
    parsePayload(payload);
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error;
    throw new ArtifactError('bad_content', `The revocation cannot be made: ${error.faults.join('; ')}`, {
      cause: error,
    });
  }
  return formatEnvelope({ payload, signatures: [await signPayload(payload, signer)] });
}
