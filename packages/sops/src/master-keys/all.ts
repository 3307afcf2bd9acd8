// The kinds of master keys, by the name of their list.
import { ageKey } from './age.ts';
import { awsKmsKey, azureKey, gcpKmsKey, huaweiKey, vaultKey } from './kms-backed.ts';
import type { MasterKeyType, Recipient, StanzaList } from './master-key.ts';
import { pgpKey } from './pgp.ts';

/** Each row is only ever given recipients of its own kind. */
export const masterKeyTypes = {
  kms: anyOf(awsKmsKey),
  gcp_kms: anyOf(gcpKmsKey),
  hckms: anyOf(huaweiKey),
  azure_kv: anyOf(azureKey),
  hc_vault: anyOf(vaultKey),
  pgp: anyOf(pgpKey),
  age: anyOf(ageKey),
} as const satisfies Record<StanzaList, MasterKeyType>;

function anyOf<R extends Recipient>(type: MasterKeyType<R>): MasterKeyType {
  return type as unknown as MasterKeyType;
}
