// Values to artifact: a key pair made for this artifact alone, encrypted to, wrapped by the KMS, forgotten; then signed.
import type { KeyReference, Kms } from '@clef/kms';
import { encryptTo, makeOneTimeIdentity } from './age-file.ts';
import {
  type ArtifactHeader,
  digestOf,
  formatEnvelope,
  formatPayload,
  isSealingKey,
  maxArtifactBytes,
  orderedHeader,
  parsePayload,
  type SealedPayload,
} from './artifact.ts';
import { artifactContext } from './artifact-context.ts';
import { ArtifactError } from './artifact-error.ts';
import { formatSecrets } from './secrets.ts';
import { type Signer, signPayload } from './signature.ts';

export type SealRequest = {
  readonly header: ArtifactHeader;
  readonly secrets: ReadonlyMap<string, string>;
  readonly sealingKey: KeyReference;
  /** Needed for a sealing key in a KMS. */
  readonly kms?: Pick<Kms, 'wrap'>;
  /** Without it the artifact is unsigned, and opened only where that is allowed. */
  readonly signer?: Signer;
};

/**
 * Makes an artifact. Private material stays inside; the same request never gives the same bytes twice.
 * @throws {ArtifactError} `bad_content` for a header, a name or a value that no artifact may hold; `too_large`.
 * @throws {KmsError} As `kms.wrap` does.
 */
export async function sealArtifact(request: SealRequest): Promise<Uint8Array> {
  const header = checkHeader(request);
  const plaintext = formatSecrets(header, request.secrets);
  try {
    const sealed = await sealPlaintext(plaintext, header, request);
    const payload = formatPayload(sealed);
    const signatures = request.signer === undefined ? [] : [await signPayload(payload, request.signer)];
    return checkSize(formatEnvelope({ payload, signatures }));
  } finally {
    plaintext.fill(0);
  }
}

async function sealPlaintext(
  plaintext: Uint8Array,
  header: ArtifactHeader,
  { sealingKey, kms }: SealRequest,
): Promise<SealedPayload> {
  if (sealingKey.kind === 'age') {
    return { header, seal: { key: sealingKey }, ciphertext: await encryptTo(sealingKey.text, plaintext) };
  }
  if (kms === undefined) throw new TypeError('A sealing key in a KMS needs a KMS');
  const { identity, recipient } = await makeOneTimeIdentity();
  const ciphertext = await encryptTo(recipient, plaintext);
  const context = artifactContext({ ...header, digest: digestOf(ciphertext) });
  const identityBytes = Buffer.from(identity, 'utf8');
  try {
    const wrappedIdentity = await kms.wrap(sealingKey, identityBytes, context);
    return { header, seal: { key: sealingKey, wrappedIdentity }, ciphertext };
  } finally {
    identityBytes.fill(0);
  }
}

// The reader's own rules decide what a header may be, so that nothing is written that it would refuse.
function checkHeader({ header, sealingKey }: SealRequest): ArtifactHeader {
  if (!isSealingKey(sealingKey)) {
    throw new ArtifactError('bad_content', `A key of the kind ${sealingKey.kind} cannot seal an artifact`);
  }
  try {
    return parsePayload(formatPayload({ header: orderedHeader(header), revoked: { reason: '-' } })).header;
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error;
    throw new ArtifactError('bad_content', `The header cannot be packed: ${error.faults.join('; ')}`, {
      cause: error,
    });
  }
}

function checkSize(artifact: Uint8Array): Uint8Array {
  if (artifact.length <= maxArtifactBytes) return artifact;
  throw new ArtifactError(
    'too_large',
    `The artifact would have ${artifact.length} bytes, of which ${maxArtifactBytes} are allowed`,
  );
}
