// Bytes to age recipients and back. X25519 and SSH keys run on node:crypto, plugins as processes; post-quantum keys and
// passphrases go to the age library, which is loaded only then and whose messages stop here: they can hold a secret key.
import { SopsError } from '../sops-error.ts';
import type { RandomBytes } from '../value-cipher.ts';
import {
  type AgeFile,
  type AgeStanza,
  decodeArmor,
  decodeUnpadded,
  encodeArmor,
  openAgeFile,
  parseAgeFile,
  sealAgeFile,
  unpadded,
} from './age-file.ts';
import {
  type AgeIdentity,
  type AgeRecipientKind,
  checkAgeRecipient,
  x25519RecipientBytes,
} from './age-keys.ts';
import { type AgePlugins, unwrapByPlugin, wrapByPlugin } from './plugin.ts';
import { parseSshPublicKey } from './ssh-keys.ts';
import { makeSshStanza, openSshStanza } from './ssh-stanzas.ts';
import { makeX25519Stanza, openX25519Stanza } from './x25519.ts';

const scryptWorkFactor = 18;
const maxKeyFileBytes = 1024 * 1024;

/** How an age file did not open: nobody's key, or a file that is not as it was written. */
export type AgeFailure = 'no_match' | 'malformed';

/**
 * An armored age file for exactly one recipient, as SOPS stores it. Throws as {@link checkAgeRecipient} does, and as
 * {@link wrapByPlugin} for a recipient of a plugin.
 */
export async function encryptToAgeRecipient(
  plaintext: Uint8Array,
  recipient: string,
  randomBytes: RandomBytes,
  plugins?: AgePlugins,
): Promise<string> {
  const kind = checkAgeRecipient(recipient, { allowPlugins: plugins !== undefined });
  if (kind === 'hybrid') return encryptByLibrary(plaintext, recipient);
  const fileKey = randomBytes(16);
  const stanzas = await stanzasFor(kind, recipient, { fileKey, randomBytes, plugins });
  return encodeArmor(sealAgeFile(stanzas, plaintext, { fileKey, nonce: randomBytes(16) }));
}

async function stanzasFor(
  kind: Exclude<AgeRecipientKind, 'hybrid'>,
  recipient: string,
  {
    fileKey,
    randomBytes,
    plugins,
  }: { fileKey: Uint8Array; randomBytes: RandomBytes; plugins: AgePlugins | undefined },
): Promise<readonly AgeStanza[]> {
  if (kind === 'plugin') return wrapByPlugin(plugins, recipient, fileKey);
  if (kind !== 'x25519') return [await makeSshStanza(parseSshPublicKey(recipient), fileKey, randomBytes)];
  const stanza = makeX25519Stanza(x25519RecipientBytes(recipient), fileKey, randomBytes(32));
  if (stanza === undefined) throw new SopsError('bad_recipient', 'The age recipient is a point of low order');
  return [{ args: ['X25519', unpadded(stanza.share)], body: stanza.body }];
}

/** The plaintext of an armored age file, or why none of the identities opens it. */
export async function decryptArmoredAge(
  armored: string,
  identities: readonly AgeIdentity[],
  plugins?: AgePlugins,
): Promise<Uint8Array | AgeFailure> {
  const bytes = decodeArmor(armored);
  return bytes === undefined ? 'malformed' : await decryptAge(bytes, identities, plugins);
}

/**
 * The plaintext of a binary age file, or why none of the identities opens it. Keys that ask nobody are tried first.
 *
 * Throws SopsError 'bad_identity' for a wrong passphrase of an SSH key, and as {@link unwrapByPlugin}.
 */
export async function decryptAge(
  bytes: Uint8Array,
  identities: readonly AgeIdentity[],
  plugins?: AgePlugins,
): Promise<Uint8Array | AgeFailure> {
  const file = parseAgeFile(bytes);
  if (file === undefined) return 'malformed';
  const opened = openWithX25519(file, identities);
  if (opened !== 'no_match') return opened;
  const byLibrary = await openWithHybrid(file, bytes, identities);
  if (byLibrary !== 'no_match') return byLibrary;
  const bySsh = await openWithSsh(file, identities);
  return bySsh === 'no_match' ? openWithPlugins(file, identities, plugins) : bySsh;
}

async function openWithHybrid(
  file: AgeFile,
  bytes: Uint8Array,
  identities: readonly AgeIdentity[],
): Promise<Uint8Array | AgeFailure> {
  const hybrid = identities.flatMap((identity) => (identity.kind === 'hybrid' ? [identity.reveal()] : []));
  const isFor = file.stanzas.some(({ args }) => args[0] === 'mlkem768x25519');
  return isFor && hybrid.length > 0 ? decryptByLibrary(bytes, hybrid) : 'no_match';
}

async function openWithSsh(
  file: AgeFile,
  identities: readonly AgeIdentity[],
): Promise<Uint8Array | AgeFailure> {
  for (const identity of identities) {
    if (identity.kind !== 'ssh') continue;
    for (const stanza of file.stanzas) {
      const fileKey = await openSshStanza(stanza, identity);
      if (fileKey !== 'no_match') return openWithFileKey(file, fileKey);
    }
  }
  return 'no_match';
}

async function openWithPlugins(
  file: AgeFile,
  identities: readonly AgeIdentity[],
  plugins: AgePlugins | undefined,
): Promise<Uint8Array | AgeFailure> {
  const failures: SopsError[] = [];
  for (const identity of identities) {
    if (identity.kind !== 'plugin') continue;
    try {
      const fileKey = await unwrapByPlugin(plugins, identity, file.stanzas);
      if (fileKey !== undefined) return openWithFileKey(file, fileKey);
    } catch (error) {
      // The next plugin may open the file all the same.
      if (!(error instanceof SopsError)) throw error;
      failures.push(error);
    }
  }
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  return 'no_match';
}

function openWithFileKey(file: AgeFile, fileKey: Uint8Array | 'malformed'): Uint8Array | 'malformed' {
  const plaintext = fileKey === 'malformed' ? 'payload' : openAgeFile(file, fileKey);
  return typeof plaintext === 'string' ? 'malformed' : plaintext;
}

/** {@link decryptAge} for X25519 identities alone; never loads the library. */
export function openWithX25519(file: AgeFile, identities: readonly AgeIdentity[]): Uint8Array | AgeFailure {
  const stanzas = x25519Stanzas(file);
  if (stanzas === undefined) return 'malformed';
  for (const identity of identities) {
    if (identity.kind !== 'x25519') continue;
    for (const stanza of stanzas) {
      const fileKey = openX25519Stanza(identity.privateKey, identity.publicBytes, stanza);
      if (fileKey === 'low_order') return 'malformed';
      if (fileKey === undefined) continue;
      return openWithFileKey(file, fileKey);
    }
  }
  return 'no_match';
}

/** True for a key file that is itself encrypted with a passphrase, armored or binary. */
export function isEncryptedKeyFile(file: string | Uint8Array): boolean {
  const text = typeof file === 'string' ? file : Buffer.from(file.subarray(0, 100)).toString('latin1');
  return (
    text.startsWith('age-encryption.org/') || text.trimStart().startsWith('-----BEGIN AGE ENCRYPTED FILE')
  );
}

/**
 * The text of a passphrase-encrypted key file, armored or binary. About a second of work by design.
 *
 * Throws SopsError 'bad_identity' when the passphrase is wrong or the file damaged: the two cannot be told apart.
 */
export async function decryptWithPassphrase(file: string | Uint8Array, passphrase: string): Promise<string> {
  const bytes = file.length > maxKeyFileBytes ? undefined : binaryOf(file);
  const isAlone = bytes !== undefined && parseAgeFile(bytes)?.stanzas[0]?.args[0] === 'scrypt';
  if (bytes === undefined || !isAlone) {
    throw new SopsError('bad_identity', 'The key file is not an age file made with a passphrase');
  }
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  try {
    return await decrypter.decrypt(bytes, 'text');
  } catch {
    throw new SopsError('bad_identity', 'The passphrase does not open the key file, or the file is damaged');
  }
}

function binaryOf(file: string | Uint8Array): Uint8Array | undefined {
  const text = typeof file === 'string' ? file : Buffer.from(file).toString('latin1');
  return typeof file !== 'string' && text.startsWith('age-encryption.org/') ? file : decodeArmor(text);
}

/** An armored age file that a passphrase opens. Throws SopsError 'bad_identity' for an empty passphrase. */
export async function encryptWithPassphrase(
  text: string,
  passphrase: string,
  { workFactor = scryptWorkFactor }: { workFactor?: number } = {},
): Promise<string> {
  if (passphrase === '') throw new SopsError('bad_identity', 'An empty passphrase protects nothing');
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(workFactor);
  return encodeArmor(await encrypter.encrypt(text));
}

type X25519Stanza = { readonly share: Uint8Array; readonly body: Uint8Array };

// Undefined when a stanza of a known type is malformed, or a passphrase stanza is not alone.
function x25519Stanzas(file: AgeFile): X25519Stanza[] | undefined {
  if (file.stanzas.length > 1 && file.stanzas.some(({ args }) => args[0] === 'scrypt')) return undefined;
  const found: X25519Stanza[] = [];
  for (const { args, body } of file.stanzas) {
    if (args[0] !== 'X25519') continue;
    const share = args.length === 2 ? decodeUnpadded(args[1] ?? '') : undefined;
    if (share?.length !== 32 || body.length !== 32) return undefined;
    found.push({ share, body });
  }
  return found;
}

async function encryptByLibrary(plaintext: Uint8Array, recipient: string): Promise<string> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  try {
    encrypter.addRecipient(recipient);
    return encodeArmor(await encrypter.encrypt(plaintext));
  } catch {
    throw new SopsError('bad_recipient', 'Cannot encrypt to the post-quantum age recipient');
  }
}

async function decryptByLibrary(
  bytes: Uint8Array,
  identities: readonly string[],
): Promise<Uint8Array | AgeFailure> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
    return await decrypter.decrypt(bytes);
  } catch (error) {
    // Only this one text means "not for you"; nothing of the message travels on.
    return error instanceof Error && error.message.startsWith('no identity matched')
      ? 'no_match'
      : 'malformed';
  }
}
