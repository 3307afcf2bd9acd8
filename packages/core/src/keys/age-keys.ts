// How a person's private keys are found: by the person's own variables, in Clef's own list, and last where SOPS would look.
// Nothing in a repository has a say in it.
import { isAbsolute, join } from 'node:path';
import { HostError, runChild, withAbsolutePath } from '@clef/host';
import { type AgeIdentity, recipientOf } from '@clef/sops';
import { ClefError } from '../errors.ts';
import type { World } from '../world.ts';
import { platformConfigFolder } from './config-folder.ts';
import { listAgeKeys, openAgeKey, revealAgeKey } from './key-store.ts';
import { identitiesOf, keyTextOf, maxKeyFileBytes, noKeyIn, readIfThere, readKeyFile } from './key-text.ts';

const commandSeconds = 30;
const overrides = ['CLEF_AGE_KEY', 'CLEF_AGE_KEY_FILE', 'CLEF_AGE_KEY_CMD'] as const;

/**
 * The recipients that belong to this person, without opening any private key: from `CLEF_AGE_KEY…` where one is set,
 * else from keys.yaml.
 */
export async function ownRecipients(world: World): Promise<readonly string[]> {
  if (hasOverride(world)) return recipientsOfIdentities(await overrideIdentities(world));
  return (await listAgeKeys(world)).map((entry) => entry.recipient);
}

/** The recipients of identities; a plugin's is known to its program only, and is left out. */
export function recipientsOfIdentities(identities: readonly AgeIdentity[]): Promise<readonly string[]> {
  return Promise.all(identities.filter(({ kind }) => kind !== 'plugin').map(recipientOf));
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
    own.push(...(await once(world, entry.recipient, () => openAgeKey(world, entry))));
  }
  return own;
}

/** A key file as text, and where it came from. */
export type KeyText = { readonly where: string; readonly text: string };

/**
 * What may hold the private key of a recipient, for readers that take identities as text only: what `CLEF_AGE_KEY…` name
 * where one is set, and then nothing else; else the listed key of that recipient.
 * @throws {ClefError} As {@link findAgeIdentities} does.
 */
export async function keyTextsFor(world: World, recipient: string): Promise<readonly KeyText[]> {
  const texts: KeyText[] = [];
  for (const where of overrides) {
    const value = world.environment[where];
    if (value !== undefined)
      texts.push({ where, text: await keyTextOf(world, await bytesOf(world, where, value), where) });
  }
  if (texts.length > 0) return texts;
  const entry = (await listAgeKeys(world)).find((listed) => listed.recipient === recipient);
  return entry === undefined ? [] : [{ where: 'your key store', text: await revealAgeKey(world, entry) }];
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

/** Whether the person names keys by a variable of Clef's; then nothing else is looked at. */
export function hasOverride(world: World): boolean {
  return overrides.some((name) => world.environment[name] !== undefined);
}

function overrideIdentities(world: World): Promise<readonly AgeIdentity[]> {
  return once(world, 'override', () => fromVariables(world, overrides));
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
      environment: withAbsolutePath(world.environment),
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
