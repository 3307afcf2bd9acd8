// Where a person's age keys are kept, and how one gets there. `keys.yaml` says where each is, so that reading never probes;
// private keys leave this file only as parsed identities, and as text to the person who asks for exactly that.
import { dirname, join } from 'node:path';
import { createFileExclusive, ensurePrivateDirectory, replaceFile } from '@clef/host';
import { type AgeIdentity, encryptWithPassphrase, generateAgeIdentity } from '@clef/sops';
import { formatTimestamp } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { isMap, parseStrictYaml, type YamlValue } from '../manifest/strict-yaml.ts';
import { acquireLock } from '../transaction/repository-lock.ts';
import type { World } from '../world.ts';
import { configFolder } from './config-folder.ts';
import { identitiesOf, keyTextOf, maxKeyFileBytes, noKeyIn, readIfThere, readKeyFile } from './key-text.ts';
import { readKeychain, writeKeychain } from './keychain.ts';

/** Where a private key is kept. A `passphrase` file is an age file wrapped with scrypt. */
export type KeyStore = 'keychain' | 'file' | 'passphrase';

/** One line of keys.yaml. */
export type AgeKeyEntry = {
  readonly recipient: string;
  readonly store: KeyStore;
  readonly createdAt: string;
};

/** A private key as a key file's line has it, and its public half. */
export type AgeKeyPair = { readonly identity: string; readonly recipient: string };

export type KeepOptions = {
  /** Wrap the key with this passphrase, in a file. */
  readonly passphrase?: string;
};

export type KeptKey = {
  readonly entry: AgeKeyEntry;
  /** In words, where the private key is. */
  readonly keptIn: string;
};

const listName = 'keys.yaml';

/** The keys that keys.yaml lists, in its order; empty where there is no such file. */
export async function listAgeKeys(world: World): Promise<readonly AgeKeyEntry[]> {
  const path = join(configFolder(world), listName);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return [];
  const yaml = parseStrictYaml(bytes, { maxBytes: maxKeyFileBytes });
  const entries = 'faults' in yaml ? undefined : parseEntries(yaml.value);
  if (entries !== undefined) return entries;
  throw new ClefError({
    code: 'settings_invalid',
    message: `Cannot use "${path}": it is not the list of keys that Clef wrote`,
    hint: `restore the file, or move it away and run "clef init" to make a new key`,
    location: { file: path },
  });
}

/** Makes an X25519 key and keeps it, as {@link keepAgeKey} does. */
export async function createAgeKey(world: World, options: KeepOptions): Promise<KeptKey> {
  return keepAgeKey(world, generateAgeIdentity(world.randomBytes), options);
}

/**
 * Keeps a key and lists it in keys.yaml: wrapped with a passphrase where one is given, else in the operating system's
 * keychain where it answers, else in a file that only its owner reads.
 * @throws {ClefError} `io`, `bad_path`, `lock_held`, `settings_invalid` where keys.yaml is not what Clef wrote.
 */
export async function keepAgeKey(world: World, key: AgeKeyPair, options: KeepOptions): Promise<KeptKey> {
  const folder = configFolder(world);
  // A list that cannot be used is told of before a key is made.
  await listAgeKeys(world);
  await inConfigFolder(folder, () => ensurePrivateDirectory(folder));
  const { store, keptIn } = await keepIdentity(world, folder, key, options.passphrase);
  const entry: AgeKeyEntry = { recipient: key.recipient, store, createdAt: formatTimestamp(world.now()) };
  await addToList(world, folder, entry);
  return { entry, keptIn };
}

/** Reads and writes the list under a lock: of two processes that add a key at once, none takes the other's away. */
async function addToList(world: World, folder: string, entry: AgeKeyEntry): Promise<void> {
  const { now, randomBytes, breakLock = false } = world;
  const lock = await acquireLock(folder, {
    purpose: 'key',
    what: 'your configuration folder',
    now,
    randomBytes,
    breakLock,
  });
  try {
    const existing = await listAgeKeys(world);
    if (existing.some(({ recipient }) => recipient === entry.recipient)) return;
    await inConfigFolder(folder, () =>
      replaceFile(join(folder, listName), formatEntries([...existing, entry]), { mode: 0o600 }),
    );
  } finally {
    await lock.release();
  }
}

async function keepIdentity(
  world: World,
  folder: string,
  key: AgeKeyPair,
  passphrase: string | undefined,
): Promise<{ readonly store: KeyStore; readonly keptIn: string }> {
  if (passphrase !== undefined) {
    const path = keyPath(folder, key.recipient, 'passphrase');
    const wrapped = await encryptWithPassphrase(`${key.identity}\n`, passphrase);
    await writeKeyFile(folder, path, new TextEncoder().encode(wrapped));
    return { store: 'passphrase', keptIn: `in "${path}", wrapped with your passphrase` };
  }
  if (await writeKeychain(world, key.recipient, key.identity)) {
    return { store: 'keychain', keptIn: "in your system's keychain" };
  }
  const path = keyPath(folder, key.recipient, 'file');
  const text = `# created: ${formatTimestamp(world.now())}\n# public key: ${key.recipient}\n${key.identity}\n`;
  await writeKeyFile(folder, path, new TextEncoder().encode(text));
  return { store: 'file', keptIn: `in "${path}", readable by you alone (there is no keychain here)` };
}

async function writeKeyFile(folder: string, path: string, bytes: Uint8Array): Promise<void> {
  await inConfigFolder(folder, async () => {
    await ensurePrivateDirectory(dirname(path));
    await createFileExclusive(path, bytes, { mode: 0o600 });
  });
}

/** A post-quantum recipient is too long for a file's name; its first characters tell it apart as those of any other. */
function keyPath(folder: string, recipient: string, store: 'file' | 'passphrase'): string {
  return join(folder, 'keys', `${recipient.slice(0, 62)}.${store === 'file' ? 'txt' : 'age'}`);
}

/**
 * The identities of a listed key.
 * @throws {ClefError} `key_locked`, `no_age_key`, `bad_identity`, `io`.
 */
export async function openAgeKey(world: World, entry: AgeKeyEntry): Promise<readonly AgeIdentity[]> {
  const { bytes, where } = await readEntry(world, entry);
  const identities = await identitiesOf(world, bytes, where);
  if (identities.length === 0) throw noKeyIn(where, 'it holds no key');
  return identities;
}

/** The text of a listed key, in the clear: only for the person who asks to see it. Throws as {@link openAgeKey}. */
export async function revealAgeKey(world: World, entry: AgeKeyEntry): Promise<string> {
  const { bytes, where } = await readEntry(world, entry);
  return keyTextOf(world, bytes, where);
}

/** The file that holds a listed key; `undefined` for one in the keychain. */
export function keyFileOf(world: World, { recipient, store }: AgeKeyEntry): string | undefined {
  return store === 'keychain' ? undefined : keyPath(configFolder(world), recipient, store);
}

async function readEntry(
  world: World,
  entry: AgeKeyEntry,
): Promise<{ readonly bytes: Uint8Array; readonly where: string }> {
  const path = keyFileOf(world, entry);
  if (path !== undefined) return { bytes: await readKeyFile(world, path), where: `"${path}"` };
  const identity = await readKeychain(world, entry.recipient);
  if (identity !== undefined) return { bytes: new TextEncoder().encode(identity), where: 'your keychain' };
  throw new ClefError({
    code: 'key_locked',
    message: `Cannot read your key ${entry.recipient}: the keychain does not answer or has lost it`,
    hint: 'unlock the keychain, or give the key in CLEF_AGE_KEY_FILE',
  });
}

async function inConfigFolder(folder: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    throw fromGroundError(error, { action: `write to your configuration folder "${folder}"`, file: folder });
  }
}

function parseEntries(value: YamlValue): readonly AgeKeyEntry[] | undefined {
  if (!isMap(value) || value['version'] !== 1 || !Array.isArray(value['keys'])) return undefined;
  const entries = value['keys'].map(parseEntry);
  return entries.every((entry) => entry !== undefined) ? entries : undefined;
}

function parseEntry(value: YamlValue): AgeKeyEntry | undefined {
  if (!isMap(value)) return undefined;
  const { recipient, store, created } = value;
  if (
    typeof recipient !== 'string' ||
    !/^age1[a-z0-9]{1,2000}$/.test(recipient) ||
    typeof created !== 'string'
  )
    return undefined;
  if (store !== 'keychain' && store !== 'file' && store !== 'passphrase') return undefined;
  return { recipient, store, createdAt: created };
}

function formatEntries(entries: readonly AgeKeyEntry[]): Uint8Array {
  const lines = entries.map(
    ({ recipient, store, createdAt }) =>
      `  - { recipient: ${recipient}, store: ${store}, created: ${createdAt} }\n`,
  );
  return new TextEncoder().encode(
    `# Where your age keys are; written by clef.\nversion: 1\nkeys:\n${lines.join('')}`,
  );
}
