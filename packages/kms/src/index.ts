// @clef/kms: keys that live in a cloud. One interface, one string form for every key.
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
  type SshKey,
  type VaultKey,
  type VerifyingKey,
} from './key-reference.ts';
export { type Kms, type KmsContext, type KmsSettings, openKms } from './kms.ts';
export { type KmsCode, KmsError } from './kms-error.ts';
