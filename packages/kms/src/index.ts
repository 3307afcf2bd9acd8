// @clef/kms: keys that live in a cloud. One interface, one string form for every key.
export { connectionCode, isThisMachine, readEndpoint } from './endpoint.ts';
export { type GcpAuthorization, openGcpAuthorization } from './gcp-authorization.ts';
export {
  type AgeKey,
  type AwsKey,
  type AzureKey,
  type GcpKey,
  isKmsKey,
  type KeyReference,
  type KmsKey,
  keyIdOf,
  type PgpKey,
  parseKeyReference,
  type RetiredKey,
  type SshKey,
  type VaultKey,
  type VerifyingKey,
} from './key-reference.ts';
export { type Kms, openKms, type SigningKms } from './kms.ts';
export { type KmsCode, KmsError } from './kms-error.ts';
export type { AwsIdentity, KmsContext, KmsSettings } from './provider.ts';
export { openS3, type S3 } from './s3.ts';
export { maxVerifyKeys, maxVerifyPlaces, verifyKeysFault } from './verify-keys.ts';
