// PGP stanzas: `enc` is an armored message that the GnuPG program encrypted and decrypts, as with the real tool. Which
// program runs and with which environment is the caller's choice; nothing in a file can choose it.
import { HostError, runChild, withAbsolutePath } from '@clef/host';
import { formatTimestamp } from '@clef/strict';
import { SopsError } from '../sops-error.ts';
import { mappingOf, stringLeaf } from '../tree.ts';
import { textField } from './fields.ts';
import type { GpgProgram, MasterKeyType, Recipient, UnwrapFailure } from './master-key.ts';

const maxEncCharacters = 64 * 1024;
const maxOutputBytes = 256 * 1024;
// Somebody may have to find a smart card first.
const timeoutSeconds = 300;

export const pgpKey: MasterKeyType<Extract<Recipient, { type: 'pgp' }>> = {
  list: 'pgp',
  nameOf: ({ fingerprint }) => fingerprint,
  readRecipient(fields) {
    const fingerprint = textField(fields, 'fp');
    return fingerprint === undefined ? undefined : { type: 'pgp', fingerprint };
  },
  async wrap({ fingerprint }, secret, { keyring, now }) {
    const enc = await encrypt(keyring.gpg, fingerprint, secret);
    return mappingOf([
      ['created_at', stringLeaf(formatTimestamp(now))],
      ['enc', stringLeaf(enc)],
      ['fp', stringLeaf(fingerprint)],
    ]);
  },
  async unwrap({ enc }, { gpg }) {
    if (enc.length > maxEncCharacters) return { reason: 'malformed' };
    return gpg === undefined ? { reason: 'no_match' } : decrypt(gpg, enc);
  },
};

async function encrypt(
  gpg: GpgProgram | undefined,
  fingerprint: string,
  secret: Uint8Array,
): Promise<string> {
  // Hex only: never an option, a user ID or a pattern.
  if (!/^[0-9A-Fa-f]{40}(?:[0-9A-Fa-f]{24})?$/.test(fingerprint)) {
    throw new SopsError('bad_recipient', 'A PGP recipient is a fingerprint of 40 hexadecimal digits');
  }
  if (gpg === undefined) {
    throw new SopsError('key_service', 'Cannot wrap the data key: no GnuPG program is at hand for a PGP key');
  }
  const args = [
    '--batch',
    '--no-default-recipient',
    '--yes',
    '--encrypt',
    '--armor',
    '--recipient',
    fingerprint,
    // The fingerprint is the trust decision: the owner's trust settings are not asked.
    '--trusted-key',
    fingerprint.slice(-16),
    '--no-encrypt-to',
  ];
  const { exitCode, stdout } = await run(gpg, args, secret);
  const text = Buffer.from(stdout).toString('latin1');
  if (exitCode === 0 && text.startsWith('-----BEGIN PGP MESSAGE-----')) return text;
  throw new SopsError(
    'key_service',
    `GnuPG did not encrypt to the key ${fingerprint} (exit code ${exitCode})`,
  );
}

async function decrypt(gpg: GpgProgram, enc: string): Promise<Uint8Array | UnwrapFailure> {
  try {
    // The facts for programs go to stderr, so that stdout is the plaintext alone.
    const args = ['--batch', '--quiet', '--status-fd', '2', '--decrypt'];
    const { exitCode, stdout, stderr } = await run(gpg, args, new TextEncoder().encode(enc));
    const facts = statusesOf(stderr);
    if (exitCode === 0 && facts.has('DECRYPTION_OKAY')) return stdout;
    const failure = failureOf(facts);
    if (failure !== undefined) return failure;
    throw new SopsError('key_service', `GnuPG did not decrypt (exit code ${exitCode})`);
  } catch (cause) {
    if (cause instanceof SopsError) return { reason: 'service', cause };
    throw cause;
  }
}

// DECRYPTION_INFO is said once a private key has opened the message; ERROR of a key that is there and did not, as when
// nobody typed its passphrase.
function failureOf(facts: ReadonlySet<string>): UnwrapFailure | undefined {
  if (facts.has('NODATA') || facts.has('DECRYPTION_INFO')) return { reason: 'malformed' };
  if (facts.has('DECRYPTION_FAILED') && !facts.has('ERROR')) return { reason: 'no_match' };
  return undefined;
}

async function run(
  { command, environment }: GpgProgram,
  args: readonly string[],
  input: Uint8Array,
): Promise<{ exitCode: number; stdout: Uint8Array; stderr: Uint8Array }> {
  try {
    return await runChild({
      command,
      args,
      environment: withAbsolutePath(environment),
      stdio: 'capture',
      input,
      maxOutputBytes,
      timeoutSeconds,
    });
  } catch (cause) {
    if (cause instanceof HostError) throw new SopsError('key_service', 'GnuPG could not be run', { cause });
    throw cause;
  }
}

function statusesOf(stderr: Uint8Array): ReadonlySet<string> {
  const text = Buffer.from(stderr).toString('latin1');
  return new Set(Array.from(text.matchAll(/^\[GNUPG:\] ([A-Z_]+)/gm), ([, name]) => name ?? ''));
}
