// The examples of the README are files beside this test: each stands there word for word, and each does what it says.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
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
} from '../src/index.ts';
import { setUrl } from './readme/edit.ts';
import { decrypted } from './readme/encrypt-and-decrypt.ts';
import { ownKeyService } from './readme/own-key-service.ts';
import { rotate } from './readme/rotate.ts';

const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };
const plain = 'db:\n    url: postgres://db\n';
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe('the README', () => {
  it.each(readdirSync(new URL('./readme', import.meta.url)))('holds %s word for word', (name) => {
    const example = readFileSync(new URL(`./readme/${name}`, import.meta.url), 'utf8');
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(
      `\`\`\`ts\n${example}\`\`\``,
    );
  });

  it('encrypts and decrypts', () => expect(text(decrypted)).toBe(plain));

  it('edits and rotates', async () => {
    const [alice, bob] = [generateAgeIdentity(), generateAgeIdentity()];
    const keyring = { ageIdentities: async () => parseAgeIdentities(alice.identity) };
    const recipients = [{ type: 'age', recipient: alice.recipient } as const];
    const tree = parsePlainTree(Buffer.from(plain), 'yaml');
    const file = await encryptTree(tree, { ...sources, format: 'yaml', recipients });
    const edited = await setUrl(formatSopsFile(file), keyring);
    const rotated = parseSopsFile(
      await rotate(edited, keyring, [{ type: 'age', recipient: bob.recipient }]),
      'yaml',
    );
    await expect(unwrapDataKey(rotated, keyring)).rejects.toMatchObject({ code: 'no_matching_key' });
    const asBob = { ageIdentities: async () => parseAgeIdentities(bob.identity) };
    const opened = decryptTree(rotated, await unwrapDataKey(rotated, asBob));
    expect(text(formatPlainTree(opened, 'yaml'))).toBe('db:\n    url: postgres://other\n');
  });

  it("takes somebody's own key service", async () => {
    const mask = (_: string, bytes: Uint8Array) => Promise.resolve(bytes.map((byte) => byte ^ 0xa5));
    const keyring = { kms: ownKeyService({ encrypt: mask, decrypt: mask }) };
    const resourceId = 'projects/p/locations/l/keyRings/r/cryptoKeys/k';
    const recipients = [{ type: 'gcp_kms', resourceId } as const];
    const tree = parsePlainTree(Buffer.from(plain), 'yaml');
    const file = await encryptTree(tree, { ...sources, format: 'yaml', recipients, keyring });
    expect(text(formatPlainTree(decryptTree(file, await unwrapDataKey(file, keyring)), 'yaml'))).toBe(plain);
  });
});
