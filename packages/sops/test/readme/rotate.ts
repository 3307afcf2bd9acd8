import { randomBytes } from 'node:crypto';
import {
  formatSopsFile,
  type Keyring,
  parseSopsFile,
  type Recipient,
  rotateDataKey,
  unwrapDataKey,
} from '@clef/sops';

/** A new data key for exactly these recipients: whoever is left out cannot read what is written from now on. */
export async function rotate(
  bytes: Uint8Array,
  keyring: Keyring,
  recipients: Recipient[],
): Promise<Uint8Array> {
  const file = parseSopsFile(bytes, 'yaml');
  const key = await unwrapDataKey(file, keyring);
  return formatSopsFile(
    await rotateDataKey(file, key, recipients, { keyring, now: Date.now(), randomBytes }),
  );
}
