// What holds for any history of a file and any damage to it, in every format: IVs are never used for two things, values that
// did not change keep their ciphertext, and no flipped byte changes a value.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type DataKey,
  dataKeyBytes,
  dataKeyFromBytes,
  decryptTree,
  type Edit,
  editSopsFile,
  encryptTree,
  type FormatName,
  formatPlainTree,
  formatSopsFile,
  generateAgeIdentity,
  type Mapping,
  mappingOf,
  parseAgeIdentities,
  parseSopsFile,
  replaceTree,
  rotateDataKey,
  SopsError,
  type SopsFile,
  stringLeaf,
  type Tree,
  unwrapDataKey,
} from '../src/index.ts';
import { mapTree } from '../src/tree.ts';
import { encryptValue, openValue, parseEncryptedValue } from '../src/value-cipher.ts';

const alice = generateAgeIdentity();
const keyring = { ageIdentities: async () => parseAgeIdentities(alice.identity) };
const recipients = [{ type: 'age' as const, recipient: alice.recipient }];
const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };
const formats: readonly FormatName[] = ['yaml', 'json', 'dotenv', 'ini', 'binary'];
const figures: string[] = [];
afterAll(() => console.log(figures.join('\n')));

type Opened = { readonly file: SopsFile; readonly key: DataKey };

// INI has sections, the others keys at top level; binary has the one value.
function treeOf(format: FormatName, values: Readonly<Record<string, string>>): Tree {
  const flat: Mapping = mappingOf(Object.entries(values).map(([key, text]) => [key, stringLeaf(text)]));
  const commented: Mapping = { ...flat, items: [{ kind: 'comment', text: ' a note' }, ...flat.items] };
  if (format === 'ini')
    return {
      documents: [
        mappingOf([
          ['DEFAULT', mappingOf([])],
          ['s', commented],
        ]),
      ],
    };
  if (format === 'binary') return { documents: [mappingOf([['data', stringLeaf(values['A'] ?? '')]])] };
  return { documents: [format === 'json' ? flat : commented] };
}

async function sealed(tree: Tree, format: FormatName): Promise<Opened> {
  const file = await encryptTree(tree, { ...sources, format, recipients });
  return { file, key: await unwrapDataKey(file, keyring) };
}

describe('INV-15: over any sequence of edits', () => {
  const key = fc.constantFrom('A', 'B', 'C');
  const value = fc.constantFrom(
    'x',
    'y',
    'x',
    '',
    'ENC[AES256_GCM,data:AAAA',
    '1',
    'a longer value than the others',
  );
  const step = fc.oneof(
    { arbitrary: fc.record({ op: fc.constant('set' as const), key, value }), weight: 48 },
    { arbitrary: fc.record({ op: fc.constant('delete' as const), key }), weight: 16 },
    { arbitrary: fc.record({ op: fc.constant('replace' as const), first: key, value }), weight: 8 },
    { arbitrary: fc.record({ op: fc.constant('rotate' as const) }), weight: 1 },
  );
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
  const sequences = fc.array(step, { minLength: 1, maxLength: 5 });
  const runs: Readonly<Partial<Record<FormatName, number>>> = {
    dotenv: 10_000,
    json: 500,
    ini: 500,
    yaml: 250,
  };

  it.each(Object.entries(runs) as [FormatName, number][])(
    'of %s no IV serves two values or two places under one data key, and unchanged values keep their text',
    async (format, numRuns) => {
      // All sequences begin at one file: histories that part are the worst case for a key that is used again.
      const start = await sealed(treeOf(format, { A: 'a', B: 'b' }), format);
      const used = new Map<string, string>();
      let edits = 0;
      await fc.assert(
        fc.asyncProperty(sequences, async (sequence) => {
          let opened = start;
          let before = new Map<string, string>();
          for (const one of sequence) {
            edits += 1;
            const next = await applied(opened, one, format);
            const isRotated = next.key !== opened.key;
            opened = next;
            const after = recordIvs(opened, used);
            for (const [meaning, text] of after) {
              const isNew = (before.get(meaning) ?? text) !== text;
              if (isNew && !isRotated) throw new Error('An unchanged value has another ciphertext');
            }
            before = after;
          }
        }),
        { numRuns },
      );
      figures.push(`${format}: ${numRuns} sequences, ${edits} edits, ${used.size} pairs of key and IV`);
    },
    300_000,
  );

  async function applied(opened: Opened, one: Step, format: FormatName): Promise<Opened> {
    const { file, key } = opened;
    const prefix = format === 'ini' ? ['s'] : [];
    const present = new Set(flatKeys(file));
    if (one.op === 'rotate') {
      const rotated = await rotateDataKey(file, key, recipients, { keyring, ...sources });
      return { file: rotated, key: await unwrapDataKey(rotated, keyring) };
    }
    if (one.op === 'replace') {
      const tree = treeOf(format, { [one.first]: one.value, Z: 'z', Y: one.value });
      return { file: replaceTree(file, key, tree, sources), key };
    }
    if (one.op === 'delete' && !present.has(one.key)) return opened;
    const path = [...prefix, one.key];
    const edit: Edit = one.op === 'set' ? { op: 'set', path, value: one.value } : { op: 'delete', path };
    return { file: editSopsFile(file, key, [edit], sources), key };
  }

  function flatKeys(file: SopsFile): string[] {
    const found: string[] = [];
    mapTree(file.tree, {
      leaf(leaf, { keys }) {
        found.push(keys.at(-1) ?? '');
        return leaf;
      },
      comment: (comment) => comment,
    });
    return found;
  }

  // What each ciphertext of the file says, by opening it: place, type and plaintext, the MAC among them.
  function recordIvs({ file, key }: Opened, used: Map<string, string>): Map<string, string> {
    const found = new Map<string, string>();
    const secret = Buffer.from(dataKeyBytes(key)).toString('latin1');
    const record = (text: string, aad: string) => {
      const value = parseEncryptedValue(text);
      if (value === undefined) return;
      const bytes = openValue(key, value, aad);
      if (bytes === undefined) throw new Error('A ciphertext does not open at its place');
      const meaning = `${aad}\0${value.type}\0${Buffer.from(bytes).toString('latin1')}`;
      const pair = secret + Buffer.from(value.iv).toString('latin1');
      if ((used.get(pair) ?? meaning) !== meaning) throw new Error('An IV serves two values');
      used.set(pair, meaning);
      found.set(meaning, text);
    };
    mapTree(file.tree, {
      leaf(leaf, { aad }) {
        record(Buffer.from(leaf.bytes).toString('utf8'), aad);
        return leaf;
      },
      comment(comment, { aad }) {
        record(comment.text, aad);
        return comment;
      },
    });
    const { mac, lastModified } = file.metadata;
    record(mac, lastModified);
    return withoutMac(found, lastModified);
  }

  function withoutMac(found: Map<string, string>, lastModified: string): Map<string, string> {
    return new Map([...found].filter(([meaning]) => !meaning.startsWith(`${lastModified}\0`)));
  }
});

it('INV-16: 1,000,000 values have as many IVs', () => {
  const count = 1_000_000;
  const key = dataKeyFromBytes(randomBytes(32));
  const plaintext = Uint8Array.of(1);
  // Half of each IV is kept: by chance two of them are equal once in 37 million runs.
  const halves = new BigUint64Array(count);
  for (let index = 0; index < count; index += 1) {
    const text = encryptValue(key, plaintext, { aad: 'a:', type: 'str', randomBytes });
    const iv = Buffer.from(text.slice(text.indexOf(',iv:') + 4, text.indexOf(',tag:')), 'base64');
    if (iv.length !== 32) throw new Error('An IV has another length than 32 bytes');
    halves[index] = iv.readBigUInt64LE(0);
  }
  halves.sort();
  const twice = halves.findIndex((half, index) => index > 0 && half === halves[index - 1]);
  expect(twice).toBe(-1);
}, 300_000);

describe('a flipped byte', () => {
  // The last one stands in clear, long enough to be hit: only the MAC is over it.
  const values = {
    A: 'first',
    B: 'second',
    C: 'third\nof two lines',
    D_unencrypted: 'in clear, '.repeat(12),
  };

  it.each(formats)('of a file in %s is an error or changes no value', async (format) => {
    const { file } = await sealed(treeOf(format, values), format);
    const original = formatSopsFile(file);
    const meant = await valuesOf(original, format);
    let [errors, same] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const damaged = original.map((byte, index) => (index === at ? byte ^ mask : byte));
        const read = await valuesOf(damaged, format).catch((error: unknown) => {
          if (error instanceof SopsError) return undefined;
          throw error;
        });
        if (read === undefined) errors += 1;
        else same += 1;
        expect(read ?? meant).toEqual(meant);
      }),
      { numRuns: 600 },
    );
    figures.push(`${format}: ${errors} flipped bytes refused, ${same} without effect`);
  });

  // Comments are outside the MAC, and JSON has none; so is the name of a value in clear: SOPS binds names to ciphertext only.
  async function valuesOf(bytes: Uint8Array, format: FormatName): Promise<string> {
    const file = parseSopsFile(bytes, format);
    const tree = decryptTree(file, await unwrapDataKey(file, keyring));
    const text = Buffer.from(formatPlainTree(tree, 'json')).toString('utf8');
    return text.replace(/"[^"]*_unencrypted"/, '"NAME_unencrypted"');
  }
});
