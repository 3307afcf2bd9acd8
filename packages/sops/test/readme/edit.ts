import { randomBytes } from 'node:crypto';
import { editSopsFile, formatSopsFile, type Keyring, parseSopsFile, unwrapDataKey } from '@clef/sops';

/** Changes one value: that line, `lastmodified` and `mac` are all that differs afterwards. */
export async function setUrl(bytes: Uint8Array, keyring: Keyring): Promise<Uint8Array> {
  const file = parseSopsFile(bytes, 'yaml');
  const key = await unwrapDataKey(file, keyring);
  const edits = [{ op: 'set', path: ['db', 'url'], value: 'postgres://other' }] as const;
  return formatSopsFile(editSopsFile(file, key, edits, { now: Date.now(), randomBytes }));
}
