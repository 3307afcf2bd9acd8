// @clef/artifact: the sealed file that travels from CI to production.
export { parseAgeIdentity } from './age-file.ts';
export {
  type Artifact,
  type ArtifactHeader,
  type ArtifactPayload,
  type Envelope,
  formatEnvelope,
  formatPayload,
  isSealingKey,
  maxArtifactBytes,
  parseArtifact,
  payloadType,
  type RevokedPayload,
  type Seal,
  type SealedPayload,
  type Signature,
} from './artifact.ts';
export { artifactContext, type ContextSource } from './artifact-context.ts';
export { type ArtifactCode, ArtifactError } from './artifact-error.ts';
export { inspectArtifact, type UnverifiedArtifact } from './inspect-artifact.ts';
export { createKmsSigner } from './kms-signer.ts';
export {
  type ArtifactFloor,
  type CheckedArtifact,
  checkArtifact,
  type OpenedArtifact,
  type OpenPolicy,
  openArtifact,
  type VerifiedArtifact,
  verifyArtifact,
} from './open.ts';
export { type RevocationRequest, sealRevocation } from './revoke.ts';
export { type SealRequest, sealArtifact } from './seal.ts';
export {
  createEd25519Signer,
  generateEd25519KeyPair,
  parseVerifyKey,
  parseVerifyKeys,
  type Signer,
  signPayload,
  type VerifyKey,
  type VerifySlot,
} from './signature.ts';
