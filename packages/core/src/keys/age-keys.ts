// The person's own age keys: where each is kept, how one is made, and how they are found. `keys.yaml` says where each key
// is, so that reading never probes; private keys leave this file only as parsed identities.
import { dirname, isAbsolute, join } from 'node:path';
import {
  createFileExclusive,
  ensurePrivateDirectory,
  HostError,
  readRegularFile,
  replaceFile,
  runChild,
  statRegularFile,
} from '@clef/host';
import {
  type AgeIdentity,
  decryptWithPassphrase,
  encryptWithPassphrase,
  generateAgeIdentity,
  isEncryptedKeyFile,
  parseAgeIdentities,
  recipientOf,
  SopsError,
} from '@clef/sops';
import { decodeUtf8, formatTimestamp } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { fromGroundError, uncapitalised } from '../from-ground-error.ts';
import { isMap, parseStrictYaml, type YamlValue } from '../manifest/strict-yaml.ts';
import type { World } from '../world.ts';
import { configFolder, platformConfigFolder } from './config-folder.ts';
import { readKeychain, writeKeychain } from './keychain.ts';

/** Where a private key is kept. A `passphrase` file is an age file wrapped with scrypt. */
export type KeyStore = 'keychain' | 'file' | 'passphrase';

/** One line of keys.yaml. */
export type AgeKeyEntry = {
  readonly recipient: string;
  readonly store: KeyStore;
  readonly createdAt: string;
};

const listName = 'keys.yaml';
const maxKeyFileBytes = 64 * 1024;
const commandSeconds = 30;

/** The keys that keys.yaml lists, in its order; empty where there is no such file. */
export async function listAgeKeys(world: World): Promise<readonly AgeKeyEntry[]> {
  const path = join(configFolder(world), listName);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return [];
  const yaml = parseStrictYaml(bytes, { maxBytes: maxKeyFileBytes });
  const entries = 'faults' in yaml ? undefined : readEntries(yaml.value);
  if (entries !== undefined) return entries;
  throw new ClefError({
    code: 'settings_invalid',
    message: `Cannot use "${path}": it is not the list of keys that Clef wrote`,
    hint: `restore the file, or move it away and run "clef init" to make a new key`,
    location: { file: path },
  });
}

/**
 * Makes an X25519 key and keeps it: wrapped with a passphrase where one is given, else in the operating system's
 * keychain where it answers, else in a file that only its owner reads.
 * @returns the new entry and, in words, where the private key is.
 */
export async function createAgeKey(
  world: World,
  options: { readonly passphrase?: string },
): Promise<{ readonly entry: AgeKeyEntry; readonly keptIn: string }> {
  const folder = configFolder(world);
  const { identity, recipient } = generateAgeIdentity();
  const existing = await listAgeKeys(world);
  await inConfigFolder(folder, () => ensurePrivateDirectory(folder));
  const { store, keptIn } = await keepIdentity(world, folder, { identity, recipient }, options.passphrase);
  const entry: AgeKeyEntry = { recipient, store, createdAt: formatTimestamp(world.now()) };
  await inConfigFolder(folder, () =>
    replaceFile(join(folder, listName), formatEntries([...existing, entry]), { mode: 0o600 }),
  );
  return { entry, keptIn };
}

/**
 * The recipients that belong to this person, without opening any private key: from `CLEF_AGE_KEY…` where one is set,
 * else from keys.yaml.
 */
export async function ownRecipients(world: World): Promise<readonly string[]> {
  if (hasOverride(world)) return Promise.all((await overrideIdentities(world)).map(recipientOf));
  return (await listAgeKeys(world)).map((entry) => entry.recipient);
}

/**
 * The identities to try on a file: those of `CLEF_AGE_KEY`, `CLEF_AGE_KEY_FILE` and `CLEF_AGE_KEY_CMD` where any is set;
 * else the listed keys that are among the file's recipients (so that no other is unlocked for nothing); else what the
 * standard variables and the key file of SOPS hold.
 * @param fileRecipients - The age recipients that the file names.
 * @throws {ClefError} `bad_identity`, `key_locked`, `io`, `settings_invalid`. No message holds key text.
 */
export async function findAgeIdentities(
  world: World,
  fileRecipients: readonly string[],
): Promise<readonly AgeIdentity[]> {
  const own = await clefIdentities(world, fileRecipients);
  return own.length > 0 ? own : once(world, 'sops', () => sopsIdentities(world));
}

/** {@link findAgeIdentities} without what SOPS itself would find. */
export async function clefIdentities(
  world: World,
  fileRecipients: readonly string[],
): Promise<readonly AgeIdentity[]> {
  if (hasOverride(world)) return overrideIdentities(world);
  const own: AgeIdentity[] = [];
  // One after the other: each may ask for a passphrase.
  for (const entry of await listAgeKeys(world)) {
    if (!fileRecipients.includes(entry.recipient)) continue;
    own.push(...(await once(world, entry.recipient, () => openEntry(world, entry))));
  }
  return own;
}

const opened = new WeakMap<World, Map<string, Promise<readonly AgeIdentity[]>>>();

/** Nobody is asked twice in a run, whether for several cells at once or for several questions about one. */
function once(
  world: World,
  what: string,
  open: () => Promise<readonly AgeIdentity[]>,
): Promise<readonly AgeIdentity[]> {
  const answers = opened.get(world) ?? new Map<string, Promise<readonly AgeIdentity[]>>();
  opened.set(world, answers);
  const answer = answers.get(what) ?? open();
  answers.set(what, answer);
  return answer;
}

async function keepIdentity(
  world: World,
  folder: string,
  key: { readonly identity: string; readonly recipient: string },
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

function keyPath(folder: string, recipient: string, store: 'file' | 'passphrase'): string {
  return join(folder, 'keys', `${recipient}.${store === 'file' ? 'txt' : 'age'}`);
}

async function openEntry(world: World, entry: AgeKeyEntry): Promise<readonly AgeIdentity[]> {
  if (entry.store === 'keychain') {
    const identity = await readKeychain(world, entry.recipient);
    if (identity !== undefined) return readIdentities(identity, 'your keychain');
    throw new ClefError({
      code: 'key_locked',
      message: `Cannot read your key ${entry.recipient}: the keychain does not answer or has lost it`,
      hint: 'unlock the keychain, or give the key in CLEF_AGE_KEY_FILE',
    });
  }
  const path = keyPath(configFolder(world), entry.recipient, entry.store);
  const identities = await identitiesOf(world, await readKeyFile(world, path), `"${path}"`);
  if (identities.length === 0) throw noKeyIn(`"${path}"`, 'it holds no key');
  return identities;
}

function hasOverride(world: World): boolean {
  return ['CLEF_AGE_KEY', 'CLEF_AGE_KEY_FILE', 'CLEF_AGE_KEY_CMD'].some(
    (name) => world.environment[name] !== undefined,
  );
}

function overrideIdentities(world: World): Promise<readonly AgeIdentity[]> {
  return once(world, 'override', () =>
    fromVariables(world, ['CLEF_AGE_KEY', 'CLEF_AGE_KEY_FILE', 'CLEF_AGE_KEY_CMD']),
  );
}

async function sopsIdentities(world: World): Promise<readonly AgeIdentity[]> {
  const given = await fromVariables(world, ['SOPS_AGE_KEY', 'SOPS_AGE_KEY_FILE', 'SOPS_AGE_KEY_CMD']);
  const path = join(platformConfigFolder(world), 'sops', 'age', 'keys.txt');
  const bytes = await readIfThere(path);
  return bytes === undefined ? given : [...given, ...(await identitiesOf(world, bytes, `"${path}"`))];
}

/** All that several variables name, one after the other. */
async function fromVariables(world: World, names: readonly string[]): Promise<readonly AgeIdentity[]> {
  const identities: AgeIdentity[] = [];
  for (const name of names) identities.push(...(await fromVariable(world, name)));
  return identities;
}

/** The identities that one variable names: by value, as a file (…_FILE) or as what a command prints (…_CMD). */
async function fromVariable(world: World, name: string): Promise<readonly AgeIdentity[]> {
  const value = world.environment[name];
  if (value === undefined) return [];
  if (value.trim() === '') {
    throw new ClefError({
      code: 'settings_invalid',
      message: `${name} is set but empty`,
      hint: `unset ${name}, or give it a key`,
    });
  }
  const identities = await identitiesOf(world, await bytesOf(world, name, value), name);
  if (identities.length > 0) return identities;
  throw noKeyIn(name, 'it holds no key');
}

async function bytesOf(world: World, name: string, value: string): Promise<Uint8Array> {
  if (name.endsWith('_CMD')) return outputOf(world, name, value);
  if (!name.endsWith('_FILE')) return new TextEncoder().encode(value);
  return readKeyFile(world, isAbsolute(value) ? value : join(world.cwd, value));
}

/** Splits at white space and runs without a shell: the variable belongs to the person, not to a repository. */
async function outputOf(world: World, name: string, commandLine: string): Promise<Uint8Array> {
  const [command = '', ...args] = commandLine.trim().split(/\s+/);
  const failed = (cause?: unknown): ClefError =>
    new ClefError({
      code: 'settings_invalid',
      message: `The command in ${name} failed`,
      hint: `run it by hand; it must print an age private key (AGE-SECRET-KEY-1…) and exit 0`,
      cause,
    });
  try {
    const { exitCode, stdout } = await runChild({
      command,
      args,
      cwd: world.cwd,
      environment: world.environment,
      stdio: 'capture',
      maxOutputBytes: maxKeyFileBytes,
      timeoutSeconds: commandSeconds,
    });
    if (exitCode === 0) return stdout;
  } catch (error) {
    if (error instanceof HostError) throw failed(error);
    throw error;
  }
  throw failed();
}

async function readKeyFile(world: World, path: string): Promise<Uint8Array> {
  try {
    const bytes = await readRegularFile(path, { maxBytes: maxKeyFileBytes });
    const facts = await statRegularFile(path);
    if (facts !== undefined && (facts.mode & 0o077) !== 0 && world.platform !== 'win32') {
      world.notify({
        level: 'warning',
        message: `your key file "${path}" can be read by others; run: chmod 600 "${path}"`,
      });
    }
    return bytes;
  } catch (error) {
    throw fromGroundError(error, { action: `read your key file "${path}"`, file: path });
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readRegularFile(path, { maxBytes: maxKeyFileBytes });
  } catch (error) {
    if (error instanceof HostError && error.code === 'not_found') return undefined;
    throw fromGroundError(error, { action: `read "${path}"`, file: path });
  }
}

/** The identities in a key file's bytes; asks for the passphrase where the file is wrapped. */
export async function identitiesOf(
  world: World,
  bytes: Uint8Array,
  where: string,
): Promise<readonly AgeIdentity[]> {
  if (!isEncryptedKeyFile(bytes)) return readIdentities(textOf(bytes, where), where);
  if (world.askPassphrase === undefined) {
    throw new ClefError({
      code: 'key_locked',
      message: `The key in ${where} is wrapped with a passphrase, and there is no terminal to ask for it`,
      hint: 'run this on a terminal, or give another key in CLEF_AGE_KEY_FILE',
    });
  }
  try {
    return readIdentities(
      await decryptWithPassphrase(bytes, await world.askPassphrase(`Passphrase of ${where}`)),
      where,
    );
  } catch (error) {
    if (!(error instanceof SopsError)) throw error;
    throw new ClefError({
      code: 'key_locked',
      message: `The passphrase does not open the key in ${where}`,
      hint: 'run the command again and type it once more',
      cause: error,
    });
  }
}

function textOf(bytes: Uint8Array, where: string): string {
  try {
    return decodeUtf8(bytes);
  } catch {
    // The cause would quote bytes of a private key.
    throw malformed(where);
  }
}

function readIdentities(text: string, where: string): readonly AgeIdentity[] {
  try {
    return parseAgeIdentities(text);
  } catch (error) {
    if (!(error instanceof SopsError)) throw error;
    // A public key alone is the commonest slip, and no sign of a damaged private one (catalogue D02).
    if (/^\s*age1\S*\s*$/.test(text)) throw noKeyIn(where, 'it is a public key');
    throw malformed(where, uncapitalised(error.message));
  }
}

function noKeyIn(where: string, why: string): ClefError {
  return new ClefError({
    code: 'no_age_key',
    message: `There is no age private key in ${where}: ${why}`,
    hint: 'give a private key that begins with AGE-SECRET-KEY-1, alone on its line',
  });
}

function malformed(where: string, why = 'it is no text'): ClefError {
  return new ClefError({
    code: 'bad_identity',
    message: `The age key in ${where} is not usable: ${why}`,
    hint: 'give a private key that begins with AGE-SECRET-KEY-1, alone on its line',
  });
}

async function inConfigFolder(folder: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    throw fromGroundError(error, { action: `write to your configuration folder "${folder}"`, file: folder });
  }
}

function readEntries(value: YamlValue): readonly AgeKeyEntry[] | undefined {
  if (!isMap(value) || value['version'] !== 1 || !Array.isArray(value['keys'])) return undefined;
  const entries = value['keys'].map(readEntry);
  return entries.every((entry) => entry !== undefined) ? entries : undefined;
}

function readEntry(value: YamlValue): AgeKeyEntry | undefined {
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
