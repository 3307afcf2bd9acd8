// The age file inside of an artifact, through age-encryption, which is loaded on first use. Its messages stop here: they
// can hold a private key.
import { type AgeKey, parseKeyReference } from '@clef/kms';
import { decodeBech32 } from '@clef/strict';
import { ArtifactError } from './artifact-error.ts';

const maxHeaderBytes = 4096;
const maxKeyFileCharacters = 64 * 1024;

/** An age private key as text, and the recipient that it opens. Strings cannot be wiped: keep it briefly. */
export type AgeIdentity = { readonly identity: string; readonly recipient: string };

/** A new hybrid post-quantum pair, for one artifact. */
export async function makeOneTimeIdentity(): Promise<AgeIdentity> {
  const { generateHybridIdentity, identityToRecipient } = await import('age-encryption');
  const identity = await generateHybridIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** A binary age file for exactly one recipient. */
export async function encryptTo(recipient: string, plaintext: Uint8Array): Promise<Uint8Array> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return await encrypter.encrypt(plaintext);
}

/** The plaintext of a binary age file; `no_match` where it is for another key, `malformed` where it is damaged. */
export async function decryptWith(
  identity: string,
  ciphertext: Uint8Array,
): Promise<Uint8Array | 'no_match' | 'malformed'> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(identity);
    return await decrypter.decrypt(ciphertext);
  } catch (error) {
    const isOther = error instanceof Error && error.message.startsWith('no identity matched');
    return isOther ? 'no_match' : 'malformed';
  }
}

/** Whether `text` is a whole private key of the given kind. Says nothing about which. */
export function isAgeIdentity(text: string, kind: 'hybrid' | 'x25519'): boolean {
  const prefix = kind === 'hybrid' ? 'age-secret-key-pq-' : 'age-secret-key-';
  const decoded = text === text.toUpperCase() ? decodeBech32(text) : undefined;
  return decoded?.prefix === prefix && decoded.bytes.length === 32;
}

/**
 * The one private key in the text of an age key file (comments and blank lines are skipped), with its recipient.
 * @throws {ArtifactError} `bad_identity` where there is none, more than one, or something else. The text is never quoted.
 */
export async function parseAgeIdentity(
  text: string,
): Promise<{ readonly identity: string; readonly recipient: AgeKey }> {
  if (text.length > maxKeyFileCharacters) throw badIdentity('The file is too large for an age key file');
  const lines = text.split('\n').map((line) => line.trim());
  const [identity, ...more] = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (identity === undefined) throw badIdentity('There is no age private key in the file');
  if (more.length > 0) throw badIdentity('There is more than one key in the file, where one is wanted');
  if (identity.startsWith('age1'))
    throw badIdentity('An age public key stands where the private one is wanted');
  if (!isAgeIdentity(identity, 'x25519') && !isAgeIdentity(identity, 'hybrid')) {
    throw badIdentity('The key is no AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…, or it has a typing error');
  }
  const { identityToRecipient } = await import('age-encryption');
  return { identity, recipient: parseKeyReference(await identityToRecipient(identity)) as AgeKey };
}

function badIdentity(message: string): ArtifactError {
  return new ArtifactError('bad_identity', message);
}

/**
 * The type of the only stanza of a binary age file; undefined where there are several, or the header is not one
 * (C2SP age, "File format"). Whether the file is intact is for decryption to say.
 */
export function ageStanzaType(file: Uint8Array): string | undefined {
  const header = Buffer.from(file.subarray(0, maxHeaderBytes)).toString('latin1');
  const [version, first = '', ...rest] = header.split('\n');
  const [, type] = /^-> ([\x21-\x7e]+)(?: [\x21-\x7e]+)*$/.exec(first) ?? [];
  const end = rest.findIndex((line) => line.startsWith('--- '));
  const body = rest.slice(0, Math.max(end, 0));
  const isAlone = body.every((line) => /^[A-Za-z0-9+/]{0,64}$/.test(line));
  return version === 'age-encryption.org/v1' && end > 0 && isAlone ? type : undefined;
}
