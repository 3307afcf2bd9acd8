// age stanzas: `enc` is an armored age file for one recipient whose plaintext is the data key.
import { decryptArmoredAge, encryptToAgeRecipient } from '../age/age-encryption.ts';
import { SopsError } from '../sops-error.ts';
import { mappingOf, stringLeaf } from '../tree.ts';
import { textField } from './fields.ts';
import type { MasterKeyType, Recipient } from './master-key.ts';

// A post-quantum stanza has about 2,400 characters, an RSA one less; more than this is not a wrapped data key.
const maxEncCharacters = 64 * 1024;

export const ageKey: MasterKeyType<Extract<Recipient, { type: 'age' }>> = {
  list: 'age',
  nameOf: ({ recipient }) => recipient,
  readRecipient(fields) {
    const recipient = textField(fields, 'recipient');
    return recipient === undefined ? undefined : { type: 'age', recipient };
  },
  async wrap({ recipient }, secret, { randomBytes, keyring }) {
    const enc = await encryptToAgeRecipient(secret, recipient, randomBytes, keyring.agePlugins);
    return mappingOf([
      ['recipient', stringLeaf(recipient)],
      ['enc', stringLeaf(enc)],
    ]);
  },
  async unwrap({ enc }, keyring) {
    if (enc.length > maxEncCharacters) return { reason: 'malformed' };
    const identities = (await keyring.ageIdentities?.()) ?? [];
    try {
      const result = await decryptArmoredAge(enc, identities, keyring.agePlugins);
      return typeof result === 'string' ? { reason: result } : result;
    } catch (cause) {
      // A plugin that failed, or that nobody has named a program for: another key may open the file all the same.
      const isPlugin =
        cause instanceof SopsError && (cause.code === 'key_service' || cause.code === 'unsupported');
      if (isPlugin) return { reason: 'service', cause };
      throw cause;
    }
  },
};
