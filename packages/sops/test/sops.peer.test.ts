// The real sops 3.12.2 and the Debian age as peers, both directions.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import { decryptArmoredAge, encryptToAgeRecipient } from '../src/age/age-encryption.ts';
import {
  addRecipients,
  decryptTree,
  editSopsFile,
  encryptTree,
  formatPlainTree,
  formatSopsFile,
  generateAgeIdentity,
  parseAgeIdentities,
  parsePlainTree,
  parseSopsFile,
  type Recipient,
  rotateDataKey,
  type SopsFile,
  type Tree,
  unwrapDataKey,
} from '../src/index.ts';
import { isSameTree } from '../src/tree.ts';
import { openPeerHome, outputOf, type PeerHome } from './peers.ts';
import { canonicalJson, plainJsonOf } from './plain-json.ts';
import { anyTree, flatTree, flatValues, oddKeys, oddStrings } from './trees.ts';

const alice = generateAgeIdentity();
const bob = generateAgeIdentity();
const aliceIdentities = parseAgeIdentities(alice.identity);
const keyring = { ageIdentities: async () => aliceIdentities };
const recipients: Recipient[] = [{ type: 'age', recipient: alice.recipient }];
const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };

let home: PeerHome;
beforeAll(() => {
  home = openPeerHome(alice.identity);
});
afterAll(() => home.remove());

async function encryptHere(tree: Tree): Promise<SopsFile> {
  return encryptTree(tree, { ...sources, format: 'yaml', recipients, keyring });
}

async function openHere(bytes: Uint8Array): Promise<{ file: SopsFile; tree: Tree }> {
  const file = parseSopsFile(bytes, 'yaml');
  return { file, tree: decryptTree(file, await unwrapDataKey(file, keyring)) };
}

async function sopsJson(file: SopsFile): Promise<unknown> {
  home.write('ours.yaml', formatSopsFile(file));
  return JSON.parse(await outputOf(home.sops(['decrypt', '--output-type', 'json', 'ours.yaml'])));
}

async function sopsEncrypt(plain: string | Uint8Array): Promise<Uint8Array> {
  home.write('plain.yaml', plain);
  await outputOf(home.sops(['encrypt', '--age', alice.recipient, '--output', 'theirs.yaml', 'plain.yaml']));
  return home.read('theirs.yaml');
}

const odd = flatTree([
  ...oddStrings.map((value, index) => [`v${index}`, value] as const),
  ...oddKeys.map((key) => [key, `value of ${JSON.stringify(key)}`] as const),
]);

describe.runIf(hasPeer('sops'))('the real sops', () => {
  it('is there, in the version that these tests were written for', async () => {
    expect(await outputOf(home.sops(['--version']))).toContain('sops 3.12.2');
  });

  it('decrypts our file with every odd string and key', async () => {
    const theirs = await sopsJson(await encryptHere(odd));
    expect(canonicalJson(theirs)).toBe(canonicalJson(plainJsonOf(odd.documents[0] as never)));
  });

  it('encrypts every odd string from our plaintext, and we read them back', async () => {
    const { tree } = await openHere(await sopsEncrypt(formatPlainTree(odd, 'yaml')));
    expect(flatValues(tree)).toEqual(flatValues(odd));
  });

  it('decrypts an empty map of ours', async () => {
    expect(await sopsJson(await encryptHere({ documents: [{ kind: 'mapping', items: [] }] }))).toEqual({});
  });

  it('sets values in our file, and we read them and keep the others', async () => {
    const ours = await encryptHere(odd);
    home.write('set.yaml', formatSopsFile(ours));
    for (const [index, value] of oddStrings.slice(0, 25).entries()) {
      await outputOf(home.sops(['set', 'set.yaml', `["new${index}"]`, JSON.stringify(value)]));
    }
    const { tree } = await openHere(home.read('set.yaml'));
    const added = Object.fromEntries(oddStrings.slice(0, 25).map((value, index) => [`new${index}`, value]));
    expect(flatValues(tree)).toEqual({ ...flatValues(odd), ...added });
  });

  it('reads what we set in its file, and our change is that line and the metadata', async () => {
    const theirs = parseSopsFile(await sopsEncrypt('a: one\n# note\nb: two\nn:\n  c: three\n'), 'yaml');
    const key = await unwrapDataKey(theirs, keyring);
    const edited = editSopsFile(
      theirs,
      key,
      [
        { op: 'set', path: ['n', 'c'], value: 'changed' },
        { op: 'set', path: ['d'], value: 'new' },
        { op: 'delete', path: ['a'] },
      ],
      sources,
    );
    const before = Buffer.from(formatSopsFile(theirs)).toString('utf8').split('\n');
    const after = Buffer.from(formatSopsFile(edited)).toString('utf8').split('\n');
    expect(after.filter((line) => !before.includes(line))).toHaveLength(4);
    expect(before.filter((line) => !after.includes(line))).toHaveLength(4);
    expect(await sopsJson(edited)).toEqual({ b: 'two', n: { c: 'changed' }, d: 'new' });
  });

  it('writes a file byte-identical to ours when it changes nothing of the values', async () => {
    const ours = await encryptHere(odd);
    home.write('same.yaml', formatSopsFile(ours));
    await outputOf(home.sops(['set', 'same.yaml', '["v0"]', JSON.stringify(oddStrings[0])]));
    const isTime = (line: string) => /^ {4}(?:lastmodified|mac): /.test(line);
    const lines = (bytes: Uint8Array) =>
      Buffer.from(bytes)
        .toString('utf8')
        .split('\n')
        .filter((line) => !isTime(line));
    const [theirs, mine] = [lines(home.read('same.yaml')), lines(formatSopsFile(ours))];
    expect(theirs.filter((line) => !mine.includes(line))).toEqual([]);
  });

  it('takes its newcomer and its rotation from us, and we from it', async () => {
    const ours = await encryptHere(flatTree({ A: '1' }));
    const key = await unwrapDataKey(ours, keyring);
    const shared = await addRecipients(ours, key, [{ type: 'age', recipient: bob.recipient }], sources);
    home.write('shared.yaml', formatSopsFile(shared));
    const asBob = { SOPS_AGE_KEY: bob.identity };
    expect(await outputOf(home.sops(['decrypt', 'shared.yaml'], asBob))).toBe('A: "1"\n');
    const rotated = await rotateDataKey(shared, key, recipients, sources);
    home.write('rotated.yaml', formatSopsFile(rotated));
    expect(await outputOf(home.sops(['decrypt', 'rotated.yaml']))).toBe('A: "1"\n');
    expect((await home.sops(['decrypt', 'rotated.yaml'], asBob)).exitCode).toBe(128);
    await outputOf(home.sops(['rotate', '--in-place', '--add-age', bob.recipient, 'rotated.yaml']));
    expect(flatValues((await openHere(home.read('rotated.yaml'))).tree)).toEqual({ A: '1' });
  });

  it('agrees on comments in maps, lists and documents', async () => {
    const plain =
      '# head\na: 1 # end\nlist:\n  # first\n  - x\n  - k: v\n    # inner\n    l: w\n# tail\n---\n# two\nb: 2\n';
    const theirs = await openHere(await sopsEncrypt(plain));
    expect(isSameTree(theirs.tree, parsePlainTree(Buffer.from(plain), 'yaml'))).toBe(true);
    const ours = await encryptHere(theirs.tree);
    home.write('comments.yaml', formatSopsFile(ours));
    const printed = await outputOf(home.sops(['decrypt', 'comments.yaml']));
    expect(isSameTree(parsePlainTree(Buffer.from(printed), 'yaml'), theirs.tree)).toBe(true);
  });

  it('and we take turns in setting values of one file', async () => {
    const turns = fc.array(
      fc.record({
        ours: fc.boolean(),
        key: fc.constantFrom('A', 'B', 'C', 'D'),
        value: fc.constantFrom(...oddStrings.filter((value) => value !== '')),
      }),
      { minLength: 4, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(turns, async (sequence) => {
        home.write('turns.yaml', formatSopsFile(await encryptHere(flatTree({ A: 'a' }))));
        const values: Record<string, string> = { A: 'a' };
        for (const { ours, key, value } of sequence) {
          values[key] = value;
          if (!ours) await outputOf(home.sops(['set', 'turns.yaml', `["${key}"]`, JSON.stringify(value)]));
          else {
            const file = parseSopsFile(home.read('turns.yaml'), 'yaml');
            const dataKey = await unwrapDataKey(file, keyring);
            home.write(
              'turns.yaml',
              formatSopsFile(editSopsFile(file, dataKey, [{ op: 'set', path: [key], value }], sources)),
            );
          }
          expect(flatValues((await openHere(home.read('turns.yaml'))).tree)).toEqual(values);
        }
        const printed = await outputOf(home.sops(['decrypt', '--output-type', 'json', 'turns.yaml']));
        expect(JSON.parse(printed)).toEqual(values);
      }),
      { numRuns: 12 },
    );
  });

  it('decrypts any document of ours', async () => {
    await fc.assert(
      fc.asyncProperty(anyTree, async (tree) => {
        const theirs = await sopsJson(await encryptHere(tree));
        expect(canonicalJson(theirs)).toBe(canonicalJson(plainJsonOf(tree.documents[0] as never)));
      }),
      { numRuns: 60 },
    );
  });

  it('encrypts any document that we print, and we read the same tree', async () => {
    await fc.assert(
      fc.asyncProperty(anyTree, async (tree) => {
        const { tree: read } = await openHere(await sopsEncrypt(formatPlainTree(tree, 'yaml')));
        expect(isSameTree(read, tree)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe.runIf(hasPeer('age'))('the Debian age', () => {
  it('opens what we wrap, and we open what it wraps', async () => {
    const secret = randomBytes(32);
    home.write('key.txt', `${alice.identity}\n`);
    const armored = await encryptToAgeRecipient(secret, alice.recipient, randomBytes);
    const opened = await home.age('age', ['--decrypt', '-i', 'key.txt'], Buffer.from(armored));
    expect(Buffer.from(opened.stdout).equals(secret)).toBe(true);
    const theirs = await outputOf(home.age('age', ['--encrypt', '--armor', '-r', alice.recipient], secret));
    const ours = await decryptArmoredAge(theirs, aliceIdentities);
    expect(Buffer.from(ours as Uint8Array).equals(secret)).toBe(true);
  });

  it('makes keys that we read, and takes ours', async () => {
    const theirs = await outputOf(home.age('age-keygen', []));
    const [identity] = parseAgeIdentities(theirs);
    expect(theirs).toContain(identity?.kind === 'x25519' ? identity.recipient : 'none');
    home.write('ours.txt', `${bob.identity}\n`);
    expect((await outputOf(home.age('age-keygen', ['-y', 'ours.txt']))).trim()).toBe(bob.recipient);
  });
});
