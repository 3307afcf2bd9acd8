// age identities (secret) and recipients (public): strict parsing, generation. No error here ever holds a key's text.
import { randomBytes as cryptoRandomBytes, type KeyObject } from 'node:crypto';
import { decodeBech32, encodeBech32 } from '@clef/strict';
import { SopsError } from '../sops-error.ts';
import type { RandomBytes } from '../value-cipher.ts';
import { parseSshPublicKey, type SshIdentity } from './ssh-keys.ts';
import { isLowOrderPoint, x25519PrivateKey, x25519PublicBytes } from './x25519.ts';

/** A private key that can open stanzas. Opaque: its secret is reachable only inside this package. */
export type AgeIdentity =
  | {
      readonly kind: 'x25519';
      readonly recipient: string;
      readonly privateKey: KeyObject;
      readonly publicBytes: Uint8Array;
    }
  | { readonly kind: 'hybrid'; readonly reveal: () => string }
  | SshIdentity
  | { readonly kind: 'plugin'; readonly plugin: string; readonly reveal: () => string };

/** The kinds of age recipients that can be written to. */
export type AgeRecipientKind = 'x25519' | 'hybrid' | 'ssh-ed25519' | 'ssh-rsa' | 'plugin';

/** What is taken beside the keys of age itself. */
export type AgeKeyOptions = {
  /** Accepts keys of age plugins, which only a keyring with programs for them can use. */
  readonly allowPlugins?: boolean;
};

const secretPattern = /AGE-SECRET-KEY-|AGE-PLUGIN-|PRIVATE KEY/i;
const hybridRecipientBytes = 1216;
const maxIdentities = 1000;

/**
 * The identities in the text of a key file: one a line; empty lines and lines that begin with `#` are skipped, blanks
 * around a key too.
 *
 * Throws SopsError 'bad_identity' with the line for anything else, 'unsupported' for plugin identities unless they are
 * allowed; one bad line refuses the whole text. A text without identities gives an empty list. SSH keys are read by
 * {@link parseSshIdentity}.
 */
export function parseAgeIdentities(text: string, options: AgeKeyOptions = {}): AgeIdentity[] {
  const lines = text.split('\n').map((line, index) => ({ text: line.trim(), number: index + 1 }));
  const keys = lines.filter((line) => line.text !== '' && !line.text.startsWith('#'));
  if (keys.length > maxIdentities) {
    throw new SopsError('limit', `The key file holds more than ${maxIdentities} identities`);
  }
  return keys.map((line) => parseIdentity(line.text, line.number, options));
}

/** A new X25519 key pair: the identity as the text of a key file's line, and its recipient. */
export function generateAgeIdentity(randomBytes: RandomBytes = cryptoRandomBytes): {
  identity: string;
  recipient: string;
} {
  const secret = randomBytes(32);
  const recipient = encodeBech32('age', x25519PublicBytes(x25519PrivateKey(secret)));
  return { identity: encodeBech32('age-secret-key-', secret).toUpperCase(), recipient };
}

/**
 * The recipient of an identity. Loads the age library for the post-quantum kind only.
 *
 * Throws SopsError 'unsupported' for an identity of a plugin: only the plugin knows its recipient.
 */
export async function recipientOf(identity: AgeIdentity): Promise<string> {
  if (identity.kind === 'x25519' || identity.kind === 'ssh') return identity.recipient;
  if (identity.kind === 'plugin') {
    throw new SopsError('unsupported', 'The recipient of an age plugin identity is known to its plugin only');
  }
  const { identityToRecipient } = await import('age-encryption');
  try {
    return await identityToRecipient(identity.reveal());
  } catch {
    // The library's message can hold the key, so it is not even kept as a cause.
    throw new SopsError('bad_identity', 'The post-quantum identity has no valid recipient');
  }
}

/**
 * Says of which kind a recipient is.
 *
 * Throws SopsError 'bad_recipient' for a private key, a checksum error, mixed case or a point of low order, and
 * 'unsupported' for other SSH algorithms, and for plugin recipients unless they are allowed. The text is never quoted.
 */
export function checkAgeRecipient(
  text: string,
  { allowPlugins = false }: AgeKeyOptions = {},
): AgeRecipientKind {
  if (secretPattern.test(text)) {
    throw new SopsError(
      'bad_recipient',
      'This is a private key where a recipient is wanted: treat it as leaked',
    );
  }
  if (text.startsWith('ssh-')) return parseSshPublicKey(text).kind;
  if (!text.startsWith('age1')) {
    throw new SopsError('bad_recipient', 'An age recipient begins with "age1" or "ssh-"');
  }
  if (isPluginRecipient(text)) {
    if (!allowPlugins) throw new SopsError('unsupported', 'age plugin recipients are not supported here');
    pluginOfRecipient(text);
    return 'plugin';
  }
  const kind = text.startsWith('age1pq1') ? 'hybrid' : 'x25519';
  const decoded = text === text.toLowerCase() ? decodeBech32(text) : undefined;
  const prefix = kind === 'hybrid' ? 'age1pq' : 'age';
  const size = kind === 'hybrid' ? hybridRecipientBytes : 32;
  if (decoded?.prefix !== prefix || decoded.bytes.length !== size) {
    throw new SopsError('bad_recipient', 'The age recipient has a typing error or is cut short');
  }
  if (isLowOrderPoint(decoded.bytes.subarray(size - 32))) {
    throw new SopsError('bad_recipient', 'The age recipient is a point of low order, which protects nothing');
  }
  return kind;
}

/** The public key bytes of an X25519 recipient that {@link checkAgeRecipient} has accepted. */
export function x25519RecipientBytes(text: string): Uint8Array {
  const bytes = decodeBech32(text)?.bytes;
  if (bytes?.length !== 32) throw new SopsError('bad_recipient', 'The age recipient is not an X25519 one');
  return bytes;
}

/** The name of the plugin that a recipient is for. Throws 'bad_recipient' when it is not one, or not a safe name. */
export function pluginOfRecipient(text: string): string {
  const decoded = isPluginRecipient(text) && text === text.toLowerCase() ? decodeBech32(text) : undefined;
  const name = decoded?.prefix.slice('age1'.length) ?? '';
  if (isPluginName(name)) return name;
  throw new SopsError('bad_recipient', 'The age plugin recipient has a typing error or names no plugin');
}

/** A name that is safe as a part of a path: nothing but small letters, digits and hyphens (catalogue: GHSA-32gq-x56h-299c). */
export function isPluginName(name: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,63}$/.test(name);
}

function isPluginRecipient(text: string): boolean {
  return /^age1[^1]*1/.test(text) && !text.startsWith('age1pq1');
}

function parseIdentity(line: string, number: number, { allowPlugins = false }: AgeKeyOptions): AgeIdentity {
  const position = { line: number, column: 1 };
  const isPlugin = line.startsWith('AGE-PLUGIN-');
  if (isPlugin && !allowPlugins) {
    throw new SopsError('unsupported', 'age plugin identities are not supported here', { position });
  }
  if (/^age1/.test(line)) {
    throw new SopsError('bad_identity', 'A recipient stands where a private key is wanted', { position });
  }
  const decoded = line === line.toUpperCase() ? decodeBech32(line) : undefined;
  const [, plugin = ''] = /^age-plugin-(.*)-$/.exec(decoded?.prefix ?? '') ?? [];
  if (isPlugin && isPluginName(plugin)) return { kind: 'plugin', plugin, reveal: () => line };
  const isPrefix = decoded?.prefix === 'age-secret-key-' || decoded?.prefix === 'age-secret-key-pq-';
  if (decoded === undefined || !isPrefix || decoded.bytes.length !== 32) {
    throw new SopsError('bad_identity', 'The line is not an age identity, or it has a typing error', {
      position,
    });
  }
  return decoded.prefix === 'age-secret-key-' ? x25519Identity(decoded.bytes) : hybridIdentity(line);
}

function x25519Identity(secret: Uint8Array): AgeIdentity {
  const privateKey = x25519PrivateKey(secret);
  const publicBytes = x25519PublicBytes(privateKey);
  const recipient = encodeBech32('age', publicBytes);
  return { kind: 'x25519', recipient, privateKey, publicBytes };
}

// A closure instead of a field, so that printing or serialising an identity shows nothing.
function hybridIdentity(text: string): AgeIdentity {
  return { kind: 'hybrid', reveal: () => text };
}
