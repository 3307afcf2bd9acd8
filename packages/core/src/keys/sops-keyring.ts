// The keys to try on a SOPS file: every source that SOPS knows, merged (spec sops-format, section 13), and the keys that
// Clef keeps. A source that is not usable does not hide the others; it is told of only when none of them opens the file.
import { isAbsolute, join, resolve } from 'node:path';
import { HostError, readRegularFile, runChild, splitWords, withAbsolutePath } from '@clef/host';
import {
  type AgeIdentity,
  type DataKey,
  isEncryptedKeyFile,
  type Keyring,
  parseAgeIdentities,
  parseDecryptionOrder,
  parseSshIdentity,
  recipientsOf,
  SopsError,
  type SopsFile,
  type StanzaList,
  unwrapDataKey,
} from '@clef/sops';
import { decodeUtf8 } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import type { World } from '../world.ts';
import { clefIdentities, recipientsOfIdentities } from './age-keys.ts';
import { agePlugins, programFailure } from './age-plugins.ts';
import { sopsCloudKeys } from './cloud-keys.ts';
import { platformConfigFolder } from './config-folder.ts';
import { listAgeKeys } from './key-store.ts';
import { identitiesOf, maxKeyFileBytes } from './key-text.ts';

const commandSeconds = 120;

/** What a source gave: identities, or keys that need a passphrase first. */
type Found = {
  readonly identities: readonly AgeIdentity[];
  readonly locked?: () => Promise<readonly AgeIdentity[]>;
};
type Source = { readonly name: string; readonly read: () => Promise<Found> };
const nothing: Found = { identities: [] };
/** They are of no use until the person has named their program. */
const withPlugins = { allowPlugins: true };

/**
 * The data key of a file that the person names: never of a cell, as keys that a stanza names with an AWS role or profile are
 * used with these. Keys behind a passphrase are asked for only where no other opens the file.
 * @param order - Which kinds of keys to try first; see {@link decryptionOrder}.
 * @throws {SopsError} `no_matching_key`, `key_service` ({@link serviceFailure} tells what to do), `bad_metadata`, `bad_shamir`.
 */
export async function openWithAnyKey(
  world: World,
  file: SopsFile,
  order: readonly StanzaList[] | undefined,
): Promise<DataKey> {
  const keyring = { ...wrappingKeyring(world), ...(order !== undefined && { order }) };
  const problems: string[] = [];
  const locked: (() => Promise<readonly AgeIdentity[]>)[] = [];
  const recipients = recipientsOf(file).flatMap((each) => (each.type === 'age' ? [each.recipient] : []));
  const ageIdentities = async (): Promise<readonly AgeIdentity[]> => {
    const found = await Promise.all(sources(world, recipients).map((source) => attempt(source, problems)));
    locked.push(...found.flatMap((each) => (each.locked === undefined ? [] : [each.locked])));
    return found.flatMap((each) => each.identities);
  };
  try {
    return await unwrapDataKey(file, { ...keyring, ageIdentities });
  } catch (error) {
    if (!(error instanceof SopsError) || locked.length === 0) throw toldOf(world, problems, error);
    const unlocked = await unlockAll(locked, problems);
    if (unlocked.length === 0) throw toldOf(world, problems, error);
    return unwrapDataKey(file, { ...keyring, ageIdentities: async () => unlocked });
  }
}

/** The error for what a key service, a plugin or GnuPG answered; anything else comes back as it is. */
export function serviceFailure(
  cause: unknown,
  doing: { readonly action: string; readonly file?: string },
): unknown {
  return cause instanceof SopsError ? programFailure(cause, doing.action) : fromGroundError(cause, doing);
}

/** What wrapping a data key needs: the clouds, GnuPG and the person's age plugins. */
export function wrappingKeyring(world: World): Keyring {
  const { environment } = world;
  const command = environment['SOPS_GPG_EXEC'];
  return {
    kms: sopsCloudKeys(world, { takesIdentities: true }),
    agePlugins: agePlugins(world),
    gpg: { command: command === undefined || command === '' ? 'gpg' : command, environment },
  };
}

/**
 * The order in which kinds of keys are tried: as given, else by `SOPS_DECRYPTION_ORDER`, else the engine's own.
 * @throws {ClefError} `usage`.
 */
export function decryptionOrder(world: World, given?: string): readonly StanzaList[] | undefined {
  const text = given ?? world.environment['SOPS_DECRYPTION_ORDER'] ?? '';
  if (text === '') return undefined;
  try {
    return parseDecryptionOrder(text);
  } catch (error) {
    if (!(error instanceof SopsError)) throw error;
    throw new ClefError({ code: 'usage', message: error.message, hint: 'write for example: age,kms' });
  }
}

function toldOf(world: World, problems: readonly string[], error: unknown): unknown {
  for (const message of problems) world.notify({ level: 'warning', message });
  return error;
}

async function attempt({ name, read }: Source, problems: string[]): Promise<Found> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof SopsError || error instanceof HostError || error instanceof ClefError))
      throw error;
    // A ClefError names its source itself; neither message holds text of a key.
    problems.push(error instanceof ClefError ? error.message : `No key from ${name}: ${error.message}`);
    return nothing;
  }
}

async function unlockAll(
  locked: readonly (() => Promise<readonly AgeIdentity[]>)[],
  problems: string[],
): Promise<readonly AgeIdentity[]> {
  const all: AgeIdentity[] = [];
  // One after the other: each asks on the terminal.
  for (const read of locked) {
    const source: Source = {
      name: 'a key with a passphrase',
      read: async () => ({ identities: await read() }),
    };
    all.push(...(await attempt(source, problems)).identities);
  }
  return all;
}

function sources(world: World, recipients: readonly string[]): readonly Source[] {
  const { environment, homeDirectory } = world;
  const variable = (name: string, read: (value: string) => Promise<Found>): Source[] => {
    const value = environment[name];
    return value === undefined || value === '' ? [] : [{ name, read: () => read(value) }];
  };
  const sshFile = (path: string) => sshIdentities(world, path);
  return [
    ...variable('SOPS_AGE_KEY', async (text) =>
      isEncryptedKeyFile(text)
        ? ageIdentitiesIn(world, new TextEncoder().encode(text), 'SOPS_AGE_KEY')
        : { identities: parseAgeIdentities(oneALine(text), withPlugins) },
    ),
    ...variable('SOPS_AGE_KEY_FILE', (path) => ageFile(world, path)),
    ...variable('SOPS_AGE_KEY_CMD', (line) => ageCommand(world, line, recipients)),
    { name: 'your SOPS key file', read: () => ifThere(ageFile(world, defaultKeyFile(world))) },
    ...variable('SOPS_AGE_SSH_PRIVATE_KEY_FILE', sshFile),
    ...variable('SOPS_AGE_SSH_PRIVATE_KEY_CMD', async (line) => {
      const text = decodeUtf8(await outputOf(world, line, {}));
      return { identities: [parseSshIdentity(text)] };
    }),
    // A home that is relative would be a folder of the repository, which has no say in keys.
    ...(isAbsolute(homeDirectory) && recipients.some((recipient) => recipient.startsWith('ssh-'))
      ? ['id_ed25519', 'id_rsa']
      : []
    ).map(
      (file): Source => ({
        name: `~/.ssh/${file}`,
        read: () => ifThere(sshFile(join(homeDirectory, '.ssh', file))),
      }),
    ),
    { name: 'your Clef keys', read: () => clefKeys(world, recipients) },
  ];
}

/** SOPS 3.13 takes several in one line, separated by blanks; a comment line stays one. */
function oneALine(text: string): string {
  return text
    .split('\n')
    .map((line) => (line.trim().startsWith('#') ? line : line.trim().replaceAll(/\s+/g, '\n')))
    .join('\n');
}

function defaultKeyFile(world: World): string {
  return join(platformConfigFolder(world), 'sops', 'age', 'keys.txt');
}

async function ageFile(world: World, path: string): Promise<Found> {
  const absolute = resolve(world.cwd, path);
  return ageIdentitiesIn(
    world,
    await readRegularFile(absolute, { maxBytes: maxKeyFileBytes, atOnce: true }),
    `"${absolute}"`,
  );
}

async function ageIdentitiesIn(world: World, bytes: Uint8Array, where: string): Promise<Found> {
  if (!isEncryptedKeyFile(bytes)) return { identities: parseAgeIdentities(textOf(bytes), withPlugins) };
  return { identities: [], locked: () => identitiesOf(world, bytes, where) };
}

/** Without the cause of a failure, which would quote bytes of a private key. */
function textOf(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch {
    throw new SopsError('bad_identity', 'It is no text');
  }
}

/**
 * As SOPS 3.12 runs it: once for each recipient, named in `SOPS_AGE_RECIPIENT`, until one of the keys it prints is a
 * recipient's.
 */
async function ageCommand(world: World, line: string, recipients: readonly string[]): Promise<Found> {
  const identities: AgeIdentity[] = [];
  for (const recipient of new Set(recipients)) {
    const found = await ageIdentitiesIn(
      world,
      await outputOf(world, line, { SOPS_AGE_RECIPIENT: recipient }),
      'SOPS_AGE_KEY_CMD',
    );
    if (found.locked !== undefined) return { ...found, identities };
    identities.push(...found.identities);
    const names = await recipientsOfIdentities(found.identities);
    if (names.some((each) => recipients.includes(each))) break;
  }
  return { identities };
}

async function outputOf(
  world: World,
  line: string,
  more: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const [command, ...args] = splitWords(line) ?? [];
  if (command === undefined) throw new SopsError('bad_identity', 'It is no command line');
  const { exitCode, stdout } = await runChild({
    command,
    args,
    cwd: world.cwd,
    environment: { ...withAbsolutePath(world.environment), ...more },
    stdio: 'capture',
    maxOutputBytes: maxKeyFileBytes,
    timeoutSeconds: commandSeconds,
  });
  if (exitCode === 0) return stdout;
  throw new SopsError('bad_identity', `Its command ended with ${exitCode}`);
}

async function sshIdentities(world: World, path: string): Promise<Found> {
  const absolute = isAbsolute(path) ? path : resolve(world.cwd, path);
  const text = textOf(await readRegularFile(absolute, { maxBytes: maxKeyFileBytes, atOnce: true }));
  const { askPassphrase } = world;
  const ask = askPassphrase && (() => askPassphrase(`Passphrase of "${absolute}"`));
  return { identities: [parseSshIdentity(text, ask === undefined ? {} : { askPassphrase: ask })] };
}

/** A listed key that is wrapped with a passphrase waits until nothing else opens the file. */
async function clefKeys(world: World, recipients: readonly string[]): Promise<Found> {
  const listed = await listAgeKeys(world);
  const read = () => clefIdentities(world, recipients);
  const asks = listed.some(
    ({ recipient, store }) => store === 'passphrase' && recipients.includes(recipient),
  );
  return asks ? { identities: [], locked: read } : { identities: await read() };
}

async function ifThere(found: Promise<Found>): Promise<Found> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof HostError && error.code === 'not_found') return nothing;
    throw error;
  }
}
