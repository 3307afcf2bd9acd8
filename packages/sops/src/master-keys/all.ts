// The kinds of master keys that this version can open and write, by the name of their list. The others are kept as they are.
import { ageKey } from './age.ts';
import { awsKmsKey, gcpKmsKey } from './kms-backed.ts';
import type { MasterKeyType, Recipient, StanzaList } from './master-key.ts';

export const masterKeyTypes: Partial<Record<StanzaList, MasterKeyType>> = {
  age: ageKey as MasterKeyType<Recipient> as MasterKeyType,
  kms: awsKmsKey as MasterKeyType<Recipient> as MasterKeyType,
  gcp_kms: gcpKmsKey as MasterKeyType<Recipient> as MasterKeyType,
};
