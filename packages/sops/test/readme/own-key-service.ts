import type { KeyService } from '@clef/sops';

/** A key that lives anywhere: bytes in, bytes out. The stanza is one of AWS KMS, GCP KMS, Azure Key Vault or Vault. */
export function ownKeyService(hsm: {
  encrypt(key: string, plaintext: Uint8Array): Promise<Uint8Array>;
  decrypt(key: string, wrapped: Uint8Array): Promise<Uint8Array>;
}): KeyService {
  return {
    wrap: async (recipient, plaintext) => hsm.encrypt(nameOf(recipient), plaintext),
    unwrap: async (recipient, wrapped) => hsm.decrypt(nameOf(recipient), wrapped),
  };
}

function nameOf(recipient: Parameters<KeyService['wrap']>[0]): string {
  if (recipient.type === 'gcp_kms') return recipient.resourceId;
  throw new Error(`No keys of the kind ${recipient.type} here`);
}
