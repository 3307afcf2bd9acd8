import { randomBytes } from 'node:crypto';
import {
  decryptTree,
  encryptTree,
  formatPlainTree,
  formatSopsFile,
  generateAgeIdentity,
  parseAgeIdentities,
  parsePlainTree,
  parseSopsFile,
  unwrapDataKey,
} from '@clef/sops';

const alice = generateAgeIdentity();
const plaintext = new TextEncoder().encode('db:\n    url: postgres://db\n');

// Encrypt: any format that parsePlainTree reads, to any list of recipients.
const encrypted = await encryptTree(parsePlainTree(plaintext, 'yaml'), {
  format: 'yaml',
  recipients: [{ type: 'age', recipient: alice.recipient }],
  now: Date.now(),
  randomBytes,
});
const bytes = formatSopsFile(encrypted);

// Decrypt: everything before the key needs none; every tag and the MAC have been verified before a value comes out.
const file = parseSopsFile(bytes, 'yaml');
const key = await unwrapDataKey(file, { ageIdentities: async () => parseAgeIdentities(alice.identity) });
export const decrypted = formatPlainTree(decryptTree(file, key), 'yaml');
