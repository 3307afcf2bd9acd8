// The data key of a file: make it, wrap it for recipients, get it back from the first keys that give it.

import type { AgeIdentity } from './age/age-keys.ts';
import { firstThatOpens } from './first-that-opens.ts';
import { groupsOf, joinShares, type Recipients, splitForGroups } from './key-groups.ts';
import { masterKeyTypes } from './master-keys/all.ts';
import {
  type Keyring,
  type MasterKeyType,
  type Recipient,
  type Stanza,
  type StanzaList,
  stanzaLists,
  type UnwrapFailure,
  type WrapContext,
} from './master-keys/master-key.ts';
import type { KeyGroup, Metadata, StanzaGroups } from './metadata.ts';
import { SopsError } from './sops-error.ts';
import type { Mapping } from './tree.ts';
import { type DataKey, dataKeyBytes, dataKeyFromBytes, type RandomBytes } from './value-cipher.ts';

// Local keys first: they cost nothing and ask no service.
const defaultOrder: readonly StanzaList[] = ['age', 'pgp'];

/** A key may be a program or a service, and whoever made the file chose how many groups it has. */
const groupsAtOnce = 8;

/** A fresh data key. */
export function createDataKey(randomBytes: RandomBytes): DataKey {
  return dataKeyFromBytes(randomBytes(32));
}

/**
 * The data key from the first stanza that one of the keys opens, or from the shares of all key groups that open.
 *
 * Throws SopsError 'no_matching_key' (with the file's recipients) when no key fits or a stanza is damaged,
 * 'key_service' when none fits and a cloud key failed (its error is the cause).
 */
export async function openDataKey(metadata: Metadata, keyring: Keyring): Promise<DataKey> {
  const { keyGroups, shamirThreshold } = metadata;
  const open = openOnce(askOnce(keyring));
  const order = keyring.order ?? defaultOrder;
  const results = await inTurns(keyGroups, (group) => firstThatOpens(inOrder(group, order), open));
  const secrets = results.filter((result): result is Uint8Array => result instanceof Uint8Array);
  const key = keyGroups.length > 1 ? await joinShares(secrets, shamirThreshold) : secrets[0];
  if (key !== undefined) return dataKeyFromBytes(key);
  const failures = results.flatMap((result) => (result instanceof Uint8Array ? [] : result));
  throw noMatchingKey(metadata, failures, secrets.length);
}

/**
 * One stanza per recipient, each wrapping the data key or its group's share.
 *
 * Throws SopsError 'no_recipients', 'bad_shamir', and what each key type throws.
 */
export async function wrapDataKey(
  key: DataKey,
  recipients: Recipients,
  context: WrapContext,
): Promise<StanzaGroups> {
  const { groups, threshold } = groupsOf(recipients);
  const secrets = await splitForGroups(dataKeyBytes(key), recipients);
  const wrapped: { list: StanzaList; fields: Mapping }[][] = [];
  for (const [index, secret] of secrets.entries()) {
    wrapped.push(await wrapForAll(secret, groups[index] ?? [], context));
  }
  return { groups: wrapped, threshold };
}

/** One text per recipient, equal for equal recipients: to compare lists and to name a recipient to people. */
export function recipientName(recipient: Recipient): string {
  return typeOf(recipient).nameOf(recipient);
}

/**
 * The order of `SOPS_DECRYPTION_ORDER`: names of lists, separated by commas. Kinds that are left out come last.
 *
 * Throws SopsError 'unsupported' for a name that is unknown or stands there twice.
 */
export function parseDecryptionOrder(text: string): readonly StanzaList[] {
  const names = text === '' ? [] : text.split(',').map((name) => name.trim());
  const unknown = names.findIndex((name) => !(stanzaLists as readonly string[]).includes(name));
  if (unknown !== -1) {
    const known = stanzaLists.join(', ');
    throw new SopsError('unsupported', `Name ${unknown + 1} of the decryption order is none of ${known}`);
  }
  if (new Set(names).size !== names.length) {
    throw new SopsError('unsupported', 'The decryption order names a kind of key twice');
  }
  return names.length === 0 ? defaultOrder : (names as StanzaList[]);
}

async function wrapForAll(
  secret: Uint8Array,
  recipients: readonly Recipient[],
  context: WrapContext,
): Promise<{ list: StanzaList; fields: Mapping }[]> {
  const stanzas: { list: StanzaList; fields: Mapping }[] = [];
  for (const recipient of recipients) {
    const { list, wrap } = typeOf(recipient);
    stanzas.push({ list, fields: await wrap(recipient, secret, context) });
  }
  return stanzas;
}

function typeOf(recipient: Recipient): MasterKeyType {
  return masterKeyTypes[recipient.type];
}

/** What `work` gives for each item, in their order; at most {@link groupsAtOnce} are worked on together. */
async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  const waiting = [...items.entries()].reverse();
  const takeTurns = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [index, item] = next;
      results[index] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: groupsAtOnce }, takeTurns));
  return results;
}

function inOrder(group: KeyGroup, order: readonly StanzaList[]): Stanza[] {
  const rank = ({ list }: Stanza): number => (order.includes(list) ? order.indexOf(list) : order.length);
  return [...group].sort((a, b) => rank(a) - rank(b));
}

// Each distinct wrapped key once, however many groups or duplicates name it.
function openOnce(keyring: Keyring): (stanza: Stanza) => Promise<Uint8Array | UnwrapFailure> {
  const answers = new Map<string, Promise<Uint8Array | UnwrapFailure>>();
  return (stanza) => {
    // Every identity is tried on an age stanza, whoever it says it is for.
    const key = stanza.list === 'age' ? '' : recipientName(stanza.recipient);
    const question = JSON.stringify([stanza.list, key, stanza.enc]);
    const answer = answers.get(question) ?? masterKeyTypes[stanza.list].unwrap(stanza, keyring);
    answers.set(question, answer);
    return answer;
  };
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

function noMatchingKey(
  { keyGroups, shamirThreshold }: Metadata,
  failures: readonly UnwrapFailure[],
  opened: number,
): SopsError {
  const recipients = keyGroups.flat().map(({ recipient }) => recipientName(recipient));
  const groups =
    keyGroups.length > 1
      ? `; keys of ${Math.max(2, shamirThreshold)} of its ${keyGroups.length} key groups are needed, and ${opened} opened`
      : '';
  const service = failures.find(({ reason }) => reason === 'service');
  if (service !== undefined) {
    const message = `No key at hand opens the file, and a key service did not unwrap its data key${groups}`;
    return new SopsError('key_service', message, { cause: service.cause, recipients });
  }
  const damaged = failures.some(({ reason }) => reason === 'malformed')
    ? '; at least one stanza is damaged'
    : '';
  const message = `None of the keys at hand opens the file, which has ${recipients.length} recipients${groups}${damaged}`;
  return new SopsError('no_matching_key', message, { recipients });
}
