// age stanzas: `enc` is an armored age file for one recipient whose plaintext is the data key.
import { decryptArmoredAge, encryptToAgeRecipient } from '../age/age-encryption.ts';
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
  async wrap({ recipient }, secret, { randomBytes }) {
    const enc = await encryptToAgeRecipient(secret, recipient, randomBytes);
    return mappingOf([
      ['recipient', stringLeaf(recipient)],
      ['enc', stringLeaf(enc)],
    ]);
  },
  async unwrap({ enc }, keyring) {
    if (enc.length > maxEncCharacters) return { reason: 'malformed' };
    const identities = (await keyring.ageIdentities?.()) ?? [];
    const result = await decryptArmoredAge(enc, identities);
    return typeof result === 'string' ? { reason: result } : result;
  },
};
