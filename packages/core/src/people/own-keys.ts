// A person's own age keys: making, bringing in, listing, and showing one. Private text leaves only through showPrivateKey.
import { resolve } from 'node:path';
import { recipientOf } from '@clef/sops';
import { ClefError } from '../errors.ts';
import { hasOverride, ownRecipients } from '../keys/age-keys.ts';
import {
  type AgeKeyEntry,
  type AgeKeyPair,
  createAgeKey,
  type KeepOptions,
  keepAgeKey,
  listAgeKeys,
  revealAgeKey,
} from '../keys/key-store.ts';
import { keyTextOf, noKeyIn, readIdentities, readKeyFile } from '../keys/key-text.ts';
import { askNewPassphrase } from '../keys/new-passphrase.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { shortKey } from '../manifest/names.ts';
import { openRepository } from '../repository.ts';
import type { World } from '../world.ts';

/** One of the person's keys. `environment`: it is in a variable, and Clef keeps nothing of it. */
export type OwnKey = {
  readonly recipient: string;
  readonly store: AgeKeyEntry['store'] | 'environment';
  readonly createdAt?: string;
  /** Whose key it is in the clef.yaml around here; absent where there is none or it does not have the key. */
  readonly person?: string;
};

/** A key that is kept now, and in words where. */
export type KeptOwnKey = { readonly recipient: string; readonly keptIn: string };

/**
 * The keys that Clef would try, in this order. A repository need not be there, nor be sound.
 * @throws {ClefError} `settings_invalid`, `bad_identity`, `key_locked`.
 */
export async function listOwnKeys(world: World, directory?: string): Promise<readonly OwnKey[]> {
  const manifest = await manifestAround(world, directory);
  const keys: readonly OwnKey[] = hasOverride(world)
    ? (await ownRecipients(world)).map((recipient) => ({ recipient, store: 'environment' }))
    : await listAgeKeys(world);
  return keys.map((key) => {
    const person = manifest?.recipients.find(({ keys: known }) =>
      known.some(({ text }) => text === key.recipient),
    );
    return { ...key, ...(person !== undefined && { person: person.name }) };
  });
}

/**
 * Makes one more key and keeps it.
 * @throws {ClefError} `usage` where a passphrase is wanted and nobody can be asked, `io`, `settings_invalid`.
 */
export async function generateOwnKey(
  world: World,
  { withPassphrase }: { readonly withPassphrase: boolean },
): Promise<KeptOwnKey> {
  const { entry, keptIn } = await createAgeKey(world, await keepOptions(world, withPassphrase));
  return { recipient: entry.recipient, keptIn };
}

/** A key file by its path, or the bytes of one. */
export type KeySource = { readonly file: string } | { readonly bytes: Uint8Array };

/**
 * Takes the keys of a key file in: all of them, or none where one is malformed. Keys that are kept already stay as they are.
 * @throws {ClefError} `bad_identity`, `no_age_key`, `key_locked`, `usage`, `io`, `private_key_given` where a key stands in
 * the place of the file's name. No message holds key text.
 */
export async function importOwnKeys(
  world: World,
  { from, withPassphrase }: { readonly from: KeySource; readonly withPassphrase: boolean },
): Promise<{ readonly imported: readonly KeptOwnKey[]; readonly present: readonly string[] }> {
  const { bytes, where } = await readSource(world, from);
  const pairs = await keyPairsIn(await keyTextOf(world, bytes, where), where);
  const known = (await listAgeKeys(world)).map((entry) => entry.recipient);
  const fresh = pairs.filter(({ recipient }) => !known.includes(recipient));
  const present = pairs.map(({ recipient }) => recipient).filter((recipient) => known.includes(recipient));
  if (fresh.length === 0) return { imported: [], present };
  const options = await keepOptions(world, withPassphrase);
  const imported: KeptOwnKey[] = [];
  // One after the other: each adds a line to the same list.
  for (const pair of fresh) {
    const { entry, keptIn } = await keepAgeKey(world, pair, options);
    imported.push({ recipient: entry.recipient, keptIn });
  }
  return { imported, present };
}

/**
 * A private key as the line of a key file: to carry it to another machine.
 * @param recipient - Which of several; the only one without it.
 * @throws {ClefError} `no_age_key`, `usage` where there are several and none is named, `key_locked`, `io`.
 */
export async function showPrivateKey(world: World, recipient?: string): Promise<AgeKeyPair> {
  const entry = chooseEntry(await listAgeKeys(world), recipient);
  const text = await revealAgeKey(world, entry);
  const [pair] = await keyPairsIn(text, 'your key store');
  if (pair?.recipient === entry.recipient) return pair;
  throw noKeyIn('your key store', `it does not belong to ${shortKey(entry.recipient)}`);
}

/**
 * One of the keys that {@link listOwnKeys} lists; the first where none is named.
 * @throws {ClefError} `no_age_key`, `private_key_given`, and what listing can give.
 */
export async function findOwnKey(world: World, directory?: string, recipient?: string): Promise<OwnKey> {
  refusePrivateKey(recipient);
  const keys = await listOwnKeys(world, directory);
  const found = recipient === undefined ? keys[0] : keys.find((key) => key.recipient === recipient);
  if (found !== undefined) return found;
  throw noSuchKey(recipient);
}

async function readSource(
  world: World,
  from: KeySource,
): Promise<{ readonly bytes: Uint8Array; readonly where: string }> {
  if ('bytes' in from) return { bytes: from.bytes, where: 'standard input' };
  refusePrivateKey(from.file);
  const path = resolve(world.cwd, from.file);
  return { bytes: await readKeyFile(world, path), where: `"${path}"` };
}

/** What stands on a command line is in the shell's history and was to be seen by every process. */
function refusePrivateKey(argument: string | undefined): void {
  if (argument === undefined || !/AGE-SECRET-KEY-|PRIVATE KEY/i.test(argument)) return;
  throw new ClefError({
    code: 'private_key_given',
    message: 'A private key was given as an argument, where other processes can read it: treat it as leaked',
    hint: 'make a new key with "clef key generate", and never use this one again',
  });
}

function noSuchKey(recipient: string | undefined): ClefError {
  return new ClefError({
    code: 'no_age_key',
    message:
      recipient === undefined
        ? 'There is no age key of yours on this machine'
        : 'None of your age keys has this public key',
    hint: 'run "clef key list" to see your keys, or "clef key generate" to make one',
  });
}

function chooseEntry(entries: readonly AgeKeyEntry[], recipient: string | undefined): AgeKeyEntry {
  refusePrivateKey(recipient);
  const found = recipient === undefined ? entries : entries.filter((entry) => entry.recipient === recipient);
  const [only, another] = found;
  if (only !== undefined && another === undefined) return only;
  if (only === undefined) throw noSuchKey(recipient);
  throw new ClefError({
    code: 'usage',
    message: `You have ${found.length} keys: ${found.map((entry) => shortKey(entry.recipient)).join(', ')}`,
    hint: 'name one by its public key: clef key show age1… --private',
  });
}

async function keepOptions(world: World, withPassphrase: boolean): Promise<KeepOptions> {
  return withPassphrase ? { passphrase: await askNewPassphrase(world) } : {};
}

async function keyPairsIn(text: string, where: string): Promise<readonly AgeKeyPair[]> {
  const identities = readIdentities(text, where);
  if (identities.length === 0) throw noKeyIn(where, 'it holds no key');
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  return Promise.all(
    identities.map(async (identity, index) => ({
      identity: lines[index] as string,
      recipient: await recipientOf(identity),
    })),
  );
}

async function manifestAround(world: World, directory: string | undefined): Promise<Manifest | undefined> {
  try {
    return (await openRepository(world, directory)).manifest;
  } catch (error) {
    // Keys belong to the person: they are listed where there is no repository, or a broken one.
    if (error instanceof ClefError) return undefined;
    throw error;
  }
}
