// What a key file says: its bytes read with care, its identities parsed. No error here holds a key's text.
import { HostError, readRegularFile, statRegularFile } from '@clef/host';
import {
  type AgeIdentity,
  type AgeKeyOptions,
  decryptWithPassphrase,
  isEncryptedKeyFile,
  parseAgeIdentities,
  SopsError,
} from '@clef/sops';
import { decodeUtf8 } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { fromGroundError, uncapitalised } from '../from-ground-error.ts';
import type { World } from '../world.ts';

/** The most that a key file, or what stands for one, may hold. */
export const maxKeyFileBytes = 64 * 1024;

/**
 * The bytes of a person's key file. Warns where others can read it.
 * @throws {ClefError} `io`, `bad_path`, `limit`.
 */
export async function readKeyFile(world: World, path: string): Promise<Uint8Array> {
  try {
    const bytes = await readRegularFile(path, { maxBytes: maxKeyFileBytes, atOnce: true });
    const facts = await statRegularFile(path, { atOnce: true });
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

/** The same where there may be no such file. */
export async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readRegularFile(path, { maxBytes: maxKeyFileBytes, atOnce: true });
  } catch (error) {
    if (error instanceof HostError && error.code === 'not_found') return undefined;
    throw fromGroundError(error, { action: `read "${path}"`, file: path });
  }
}

/**
 * The identities in a key file's bytes; asks for the passphrase where the file is wrapped.
 * @throws {ClefError} `bad_identity`, `no_age_key` for a public key, `key_locked`.
 */
export async function identitiesOf(
  world: World,
  bytes: Uint8Array,
  where: string,
): Promise<readonly AgeIdentity[]> {
  return readIdentities(await keyTextOf(world, bytes, where), where, { allowPlugins: true });
}

/**
 * A key file's text in the clear; asks for the passphrase where the file is wrapped.
 * @throws {ClefError} `bad_identity` where it is no text, `key_locked`.
 */
export async function keyTextOf(world: World, bytes: Uint8Array, where: string): Promise<string> {
  if (!isEncryptedKeyFile(bytes)) return textOf(bytes, where);
  if (world.askPassphrase === undefined) {
    throw new ClefError({
      code: 'key_locked',
      message: `The key in ${where} is wrapped with a passphrase, and there is no terminal to ask for it`,
      hint: 'run this on a terminal, or give another key in CLEF_AGE_KEY_FILE',
    });
  }
  try {
    return await decryptWithPassphrase(bytes, await world.askPassphrase(`Passphrase of ${where}`));
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

/** @throws {ClefError} `bad_identity`, `no_age_key` for a public key. */
export function readIdentities(
  text: string,
  where: string,
  options: AgeKeyOptions = {},
): readonly AgeIdentity[] {
  try {
    return parseAgeIdentities(text, options);
  } catch (error) {
    if (!(error instanceof SopsError)) throw error;
    // A public key alone is the commonest slip, and no sign of a damaged private one (catalogue D02).
    if (/^\s*age1\S*\s*$/.test(text)) throw noKeyIn(where, 'it is a public key');
    throw malformed(where, uncapitalised(error.message));
  }
}

/** The error for a place that holds no private key. */
export function noKeyIn(where: string, why: string): ClefError {
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
