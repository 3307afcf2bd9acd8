// The data key of a file: make it, wrap it for recipients, get it back from the first stanza that gives it.

import type { AgeIdentity } from './age/age-keys.ts';
import { masterKeyTypes } from './master-keys/all.ts';
import type {
  Keyring,
  MasterKeyType,
  Recipient,
  Stanza,
  StanzaList,
  UnwrapFailure,
  WrapContext,
} from './master-keys/master-key.ts';
import type { Metadata } from './metadata.ts';
import { SopsError } from './sops-error.ts';
import type { Mapping } from './tree.ts';
import { type DataKey, dataKeyBytes, dataKeyFromBytes, type RandomBytes } from './value-cipher.ts';

// Local keys first: they cost nothing and ask nobody.
const order: readonly StanzaList[] = ['age', 'pgp', 'kms', 'gcp_kms', 'hckms', 'azure_kv', 'hc_vault'];

/** A fresh data key. */
export function createDataKey(randomBytes: RandomBytes): DataKey {
  return dataKeyFromBytes(randomBytes(32));
}

/**
 * The data key from the first stanza that one of the keys opens.
 *
 * Throws SopsError 'no_matching_key' (with the file's recipients) when no key fits or a stanza is damaged,
 * 'key_service' when none fits and a cloud key failed (its error is the cause), 'unsupported' for key groups.
 */
export async function openDataKey(metadata: Metadata, keyring: Keyring): Promise<DataKey> {
  const [group, ...more] = metadata.keyGroups;
  if (group === undefined || more.length > 0) {
    throw new SopsError('unsupported', 'Files with several key groups (Shamir) are not supported yet');
  }
  const asking = askOnce(keyring);
  const failures: UnwrapFailure[] = [];
  for (const stanza of inOrder(group)) {
    const result = await masterKeyTypes[stanza.list]?.unwrap(stanza, asking);
    if (result instanceof Uint8Array) return dataKeyFromBytes(result);
    if (result !== undefined) failures.push(result);
  }
  throw noMatchingKey(group, failures);
}

/** One stanza per recipient, each wrapping the same data key. Throws 'no_recipients' and what each key type throws. */
export async function wrapDataKey(
  key: DataKey,
  recipients: readonly Recipient[],
  context: WrapContext,
): Promise<{ list: StanzaList; fields: Mapping }[]> {
  if (recipients.length === 0) {
    throw new SopsError('no_recipients', 'A file without recipients could never be opened again');
  }
  const secret = dataKeyBytes(key);
  const stanzas: { list: StanzaList; fields: Mapping }[] = [];
  for (const recipient of recipients) {
    const { list, wrap } = typeOf(recipient);
    stanzas.push({ list, fields: await wrap(recipient, secret, context) });
  }
  return stanzas;
}

/** One text per recipient, equal for equal recipients: to compare lists and to name a recipient to people. */
export function recipientName(recipient: Recipient): string {
  switch (recipient.type) {
    case 'age':
      return recipient.recipient;
    case 'gcp_kms':
      return recipient.resourceId;
    case 'kms':
      return [
        recipient.arn,
        recipient.role ?? '',
        JSON.stringify(recipient.context ?? []),
        recipient.profile ?? '',
      ]
        .join(' ')
        .replace(/ {2}\[\] $/, '');
  }
}

function typeOf(recipient: Recipient): MasterKeyType {
  const type = masterKeyTypes[recipient.type];
  if (type === undefined) throw new SopsError('unsupported', 'This kind of recipient is not supported yet');
  return type;
}

function inOrder(group: readonly Stanza[]): Stanza[] {
  return [...group].sort((a, b) => order.indexOf(a.list) - order.indexOf(b.list));
}

function askOnce(keyring: Keyring): Keyring {
  const ask = keyring.ageIdentities;
  if (ask === undefined) return keyring;
  let answer: Promise<readonly AgeIdentity[]> | undefined;
  const ageIdentities = () => {
    answer ??= ask();
    return answer;
  };
  return { ...keyring, ageIdentities };
}

function noMatchingKey(group: readonly Stanza[], failures: readonly UnwrapFailure[]): SopsError {
  const recipients = group.flatMap(({ recipient }) =>
    recipient === undefined ? [] : [recipientName(recipient)],
  );
  const service = failures.find(({ reason }) => reason === 'service');
  if (service !== undefined) {
    const message = 'No key at hand opens the file, and a key service did not unwrap its data key';
    return new SopsError('key_service', message, { cause: service.cause, recipients });
  }
  const damaged = failures.some(({ reason }) => reason === 'malformed')
    ? '; at least one stanza is damaged'
    : '';
  const message = `None of the keys at hand opens the file, which has ${group.length} recipients${damaged}`;
  return new SopsError('no_matching_key', message, { recipients });
}
