import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addRecipients,
  type DataKey,
  dataKeyBytes,
  decryptTree,
  type Edit,
  editSopsFile,
  encryptTree,
  formatSopsFile,
  generateAgeIdentity,
  parseAgeIdentities,
  parsePlainTree,
  parseSopsFile,
  recipientsOf,
  replaceTree,
  rewrap,
  rotateDataKey,
  SopsError,
  type SopsFile,
  type Tree,
  unwrapDataKey,
} from '../src/index.ts';
import { isSameTree } from '../src/tree.ts';
import { keepCiphertexts } from '../src/tree-cipher.ts';
import { anyTree, flatTree, flatValues, oddKeys, oddStrings } from './trees.ts';
import { fakeCloud, keyringOf, manifest, vectorBytes } from './vectors.ts';

const alice = generateAgeIdentity();
const bob = generateAgeIdentity();
const keyring = { ageIdentities: async () => parseAgeIdentities(alice.identity) };
const recipients = [{ type: 'age' as const, recipient: alice.recipient }];
const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };
const later = { now: sources.now + 60_000, randomBytes };

async function fileOf(tree: Tree): Promise<{ file: SopsFile; key: DataKey }> {
  const file = await encryptTree(tree, { ...sources, format: 'yaml', recipients });
  return { file, key: await unwrapDataKey(file, keyring) };
}

function textOf(file: SopsFile): string {
  return Buffer.from(formatSopsFile(file)).toString('utf8');
}

function reopened(file: SopsFile): SopsFile {
  return parseSopsFile(formatSopsFile(file), 'yaml');
}

function changedLines(before: SopsFile, after: SopsFile): string[] {
  const old = new Set(textOf(before).split('\n'));
  return textOf(after)
    .split('\n')
    .filter((line) => !old.has(line))
    .map((line) => line.split(':')[0]?.trim() ?? '');
}

const odd = flatTree([
  ...oddStrings.map((value, index) => [`v${index}`, value] as const),
  ...oddKeys.map((key) => [key, 'x'] as const),
]);

describe('a new file', () => {
  it('looks as the real tool writes it', async () => {
    const text = textOf((await fileOf(flatTree({ A: '1', B: 'two' }))).file);
    const shape = text
      .replaceAll(/ENC\[.*?,type:(\w+)\]/g, 'ENC[$1]')
      .replaceAll(/^ {12}[A-Za-z0-9+/=]+\n/gm, '');
    expect(shape.replace(alice.recipient, 'age1…')).toMatchInlineSnapshot(`
      "A: ENC[str]
      B: ENC[str]
      sops:
          age:
              - recipient: age1…
                enc: |
                  -----BEGIN AGE ENCRYPTED FILE-----
                  -----END AGE ENCRYPTED FILE-----
          lastmodified: "2026-11-24T08:00:00Z"
          mac: ENC[str]
          unencrypted_suffix: _unencrypted
          version: 3.12.2
      "
    `);
  });

  it('holds every odd string and key', async () => {
    const { file, key } = await fileOf(odd);
    expect(flatValues(decryptTree(reopened(file), key))).toEqual(flatValues(odd));
  });

  it('may be an empty map', async () => {
    const { file, key } = await fileOf(flatTree({}));
    expect(textOf(file)).toMatch(/^sops:\n/);
    expect(decryptTree(reopened(file), key).documents[0]?.items).toEqual([]);
    const edited = editSopsFile(file, key, [{ op: 'set', path: ['A'], value: '1' }], later);
    expect(textOf(edited)).toMatch(/^A: ENC\[/);
  });

  it('needs a recipient', async () => {
    const action = encryptTree(flatTree({ A: '1' }), { ...sources, format: 'yaml', recipients: [] });
    await expect(action).rejects.toMatchObject({ code: 'no_recipients' });
  });
});

describe('an edit', () => {
  it('of 1 value among 1,000 changes that line and the metadata', async () => {
    const values = Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [`KEY_${index}`, `value ${index}`]),
    );
    const { file, key } = await fileOf(flatTree(values));
    const edited = editSopsFile(file, key, [{ op: 'set', path: ['KEY_500'], value: 'changed' }], later);
    expect(changedLines(file, edited)).toEqual(['KEY_500', 'lastmodified', 'mac']);
    expect(flatValues(decryptTree(edited, key))).toEqual({ ...values, KEY_500: 'changed' });
  });

  it('to the same value keeps its ciphertext', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1', B: '2' }));
    const edited = editSopsFile(file, key, [{ op: 'set', path: ['A'], value: '1' }], later);
    expect(changedLines(file, edited)).toEqual(['lastmodified', 'mac']);
  });

  it('keeps comments, order, style and line ends of what it does not touch', async () => {
    const text = textOf((await fileOf(flatTree({ A: '1', B: '2', C: '3' }))).file);
    const styled = `# head\n\n${text.replace(/^(B: )(.*)$/m, '# own line\n\n$1"$2"   # behind')}`;
    for (const variant of [styled, styled.replaceAll('\n', '\r\n'), `\ufeff${styled}`]) {
      const file = parseSopsFile(Buffer.from(variant), 'yaml');
      const key = await unwrapDataKey(file, keyring);
      const edited = editSopsFile(
        file,
        key,
        [
          { op: 'set', path: ['A'], value: 'changed' },
          { op: 'delete', path: ['C'] },
          { op: 'set', path: ['D'], value: 'new' },
        ],
        later,
      );
      expect(changedLines(file, edited)).toEqual(['A', 'D', 'lastmodified', 'mac']);
      expect(textOf(edited).includes('\r\n')).toBe(variant.includes('\r\n'));
      expect(flatValues(decryptTree(edited, key))).toEqual({ A: 'changed', B: '2', D: 'new' });
    }
  });

  it.each([
    ['a nested value', ['n', 'a'], 'n: {a: "1", b: "2"}\nm: "3"\n'],
    ['a list element', ['l', 1], 'l: [a, b, c]\nm: "3"\n'],
    ['a value in a list of maps', ['l', 0, 'k'], 'l:\n  - k: "1"\n    j: "2"\n  - x\n'],
    ['a missing branch', ['new', 'deep', 'er'], 'a: "1"\n'],
    ['a block scalar', ['b'], 'a_unencrypted: x\nb: |\n  one\n  two\nc: "3"\n'],
    ['a null', ['b'], 'a: "1"\nb:\nc: "3"\n'],
  ] as const)('sets %s', async (_, path, plain) => {
    const { file, key } = await fileOf(parsePlainTree(Buffer.from(plain), 'yaml'));
    const edited = editSopsFile(file, key, [{ op: 'set', path, value: 'changed' }], later);
    const wanted = editSopsFile(edited, key, [], later);
    expect(isSameTree(decryptTree(reopened(edited), key), decryptTree(wanted, key))).toBe(true);
    expect(
      JSON.stringify(decryptTree(edited, key).documents, (name, value: unknown) =>
        name === 'bytes' ? Buffer.from(value as Uint8Array).toString('utf8') : value,
      ),
    ).toContain('"changed"');
  });

  it.each([
    ['an empty path', []],
    ['a missing key', ['nope']],
    ['an index into a map', [0]],
    ['an index beyond the list', ['l', 9]],
    ['a key of a list', ['l', 'k']],
  ] as const)('refuses to delete %s', async (_, path) => {
    const { file, key } = await fileOf(parsePlainTree(Buffer.from('a: "1"\nl: [x]\n'), 'yaml'));
    const action = () => editSopsFile(file, key, [{ op: 'delete', path }], later);
    expect(action).toThrowError(expect.objectContaining({ code: 'unsupported' }) as Error);
  });

  it('refuses a file that does not verify', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1', B: '2' }));
    const [first, second, ...rest] = textOf(file).split('\n');
    const swapped = parseSopsFile(Buffer.from([second, first, ...rest].join('\n')), 'yaml');
    const action = () => editSopsFile(swapped, key, [{ op: 'set', path: ['A'], value: 'x' }], later);
    expect(action).toThrowError(expect.objectContaining({ code: 'mac_mismatch' }) as Error);
  });

  it('of a value keeps the comment and the quotes of the key on its line', async () => {
    const text = textOf((await fileOf(flatTree({ A: '1', B: '2' }))).file);
    const file = parseSopsFile(Buffer.from(text.replace(/^B: (.*)$/m, `"B":  '$1'   # behind`)), 'yaml');
    const key = await unwrapDataKey(file, keyring);
    const edited = editSopsFile(file, key, [{ op: 'set', path: ['B'], value: 'new' }], later);
    expect(textOf(edited)).toMatch(/^"B": {2}ENC\[[^\]]+\] {3}# behind$/m);
    expect(changedLines(file, edited)).toEqual(['"B"', 'lastmodified', 'mac']);
  });

  it('never takes a clear value for a ciphertext to use again, whatever it looks like', async () => {
    const lookalike = /^A: (.*)$/m.exec(textOf((await fileOf(flatTree({ A: '1' }))).file))?.[1] ?? '';
    const tree = flatTree({ A_unencrypted: lookalike });
    const { file, key } = await fileOf(tree);
    expect(textOf(file)).toContain(`A_unencrypted: ${lookalike}\n`);
    expect([...keepCiphertexts(file.tree, decryptTree(file, key)).keys()]).toEqual([]);
  });

  it('leaves stanzas of kinds it does not know byte for byte', async () => {
    const test = manifest.cases.find(({ id }) => id === 'kms-all-types-yaml');
    const file = parseSopsFile(vectorBytes(test?.file ?? ''), 'yaml');
    const key = await unwrapDataKey(file, keyringOf([]));
    const edited = editSopsFile(file, key, [{ op: 'set', path: ['a'], value: 'x' }], later);
    expect(changedLines(file, edited)).toEqual(['a', 'lastmodified', 'mac']);
  });

  it('keeps unknown metadata fields and the version of the file', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1' }));
    const text = textOf(file).replace('version: 3.12.2', 'future_field: {a: [1]}\n    version: 3.99.0');
    const edited = editSopsFile(
      parseSopsFile(Buffer.from(text), 'yaml'),
      key,
      [{ op: 'set', path: ['A'], value: '2' }],
      later,
    );
    expect(textOf(edited)).toContain('    future_field: {a: [1]}\n    version: 3.99.0\n');
  });

  it('as a whole tree keeps what did not change, also where it moved', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1', B: '2', C: '3' }));
    const edited = replaceTree(file, key, flatTree({ C: '3', A: '1', D: '4' }), later);
    expect(changedLines(file, edited)).toEqual(['D', 'lastmodified', 'mac']);
  });
});

const edits = fc.array(
  fc.oneof(
    {
      arbitrary: fc.record({
        op: fc.constant('set' as const),
        key: fc.constantFrom('A', 'B', 'C', ...oddKeys.slice(0, 8)),
        value: fc.constantFrom(...oddStrings, 'same'),
      }),
      weight: 4,
    },
    {
      arbitrary: fc.record({ op: fc.constant('delete' as const), key: fc.constantFrom('A', 'B', 'C') }),
      weight: 1,
    },
  ),
  { maxLength: 8 },
);

describe('properties', () => {
  it('any tree reads back from what is written', async () => {
    await fc.assert(
      fc.asyncProperty(anyTree, async (tree) => {
        const { file, key } = await fileOf(tree);
        expect(isSameTree(decryptTree(reopened(file), key), tree)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('INV-15: over any sequence of edits an IV never serves two plaintexts, and unchanged values keep their text', async () => {
    await fc.assert(
      fc.asyncProperty(edits, async (sequence) => {
        const opened = await fileOf(flatTree({ A: 'a', B: 'b' }));
        let { file } = opened;
        let values = new Map(Object.entries({ A: 'a', B: 'b' }));
        const used = new Map<string, string>();
        for (const change of sequence) {
          if (change.op === 'delete' && !values.has(change.key)) continue;
          const before = new Map(ciphertexts(file));
          const edit: Edit =
            change.op === 'set'
              ? { op: 'set', path: [change.key], value: change.value }
              : { op: 'delete', path: [change.key] };
          file = editSopsFile(file, opened.key, [edit], later);
          const old = values;
          values = new Map(values);
          if (change.op === 'set') values.set(change.key, change.value);
          else values.delete(change.key);
          expect(new Map(Object.entries(flatValues(decryptTree(file, opened.key))))).toEqual(values);
          for (const [key, text] of ciphertexts(file)) {
            if (old.get(key) === values.get(key)) expect(text).toBe(before.get(key));
            const iv = /,iv:([^,]+),/.exec(text)?.[1] ?? '';
            const meaning = `${key}\0${values.get(key)}`;
            expect(used.get(iv) ?? meaning).toBe(meaning);
            used.set(iv, meaning);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('any other byte in the place of one is an error or changes nothing', async () => {
    const { file, key } = await fileOf(flatTree({ A: 'first', B: 'second' }));
    const original = formatSopsFile(file);
    const values = flatValues(decryptTree(file, key));
    const end = textOf(file).indexOf('sops:');
    fc.assert(
      fc.property(fc.nat({ max: end - 1 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const damaged = Uint8Array.from(original);
        damaged[at] = (damaged[at] ?? 0) ^ mask;
        try {
          expect(flatValues(decryptTree(parseSopsFile(damaged, 'yaml'), key))).toEqual(values);
        } catch (error) {
          if (!(error instanceof SopsError)) throw error;
        }
      }),
      { numRuns: 1500 },
    );
  });
});

function ciphertexts(file: SopsFile): [string, string][] {
  return Object.entries(flatValues(file.tree));
}

describe('recipients', () => {
  it('are added without touching values, MAC or the other stanzas', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1' }));
    const shared = await addRecipients(
      file,
      key,
      [{ type: 'age', recipient: bob.recipient }, ...recipients],
      later,
    );
    expect(textOf(shared).startsWith(textOf(file).slice(0, textOf(file).indexOf('    lastmodified')))).toBe(
      true,
    );
    expect(shared.metadata.mac).toBe(file.metadata.mac);
    expect(recipientsOf(shared)).toEqual([...recipients, { type: 'age', recipient: bob.recipient }]);
    const asBob = await unwrapDataKey(shared, {
      ageIdentities: async () => parseAgeIdentities(bob.identity),
    });
    expect(flatValues(decryptTree(shared, asBob))).toEqual({ A: '1' });
  });

  it('that are there already change nothing', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1' }));
    expect(await addRecipients(file, key, recipients, later)).toBe(file);
  });

  it('rewrapped keep data key, values and MAC', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1' }));
    const other = await rewrap(file, key, [{ type: 'age', recipient: bob.recipient }], later);
    expect(other.metadata.mac).toBe(file.metadata.mac);
    await expect(unwrapDataKey(other, keyring)).rejects.toMatchObject({
      code: 'no_matching_key',
      recipients: [bob.recipient],
    });
  });

  it('INV-08: after a rotation neither the old key nor an old stanza reads anything', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1', B: '2' }));
    const rotated = await rotateDataKey(file, key, [{ type: 'age', recipient: bob.recipient }], later);
    expect(() => decryptTree(rotated, key)).toThrowError(
      expect.objectContaining({ code: 'value_auth_failed' }) as Error,
    );
    const graft = textOf(rotated).replace(
      / {4}age:\n(?: {8}.*\n)+/,
      /( {4}age:\n(?: {8}.*\n)+)/.exec(textOf(file))?.[1] ?? '',
    );
    const grafted = parseSopsFile(Buffer.from(graft), 'yaml');
    const old = await unwrapDataKey(grafted, keyring);
    expect(() => decryptTree(grafted, old)).toThrowError(
      expect.objectContaining({ code: 'value_auth_failed' }) as Error,
    );
    const fresh = await unwrapDataKey(rotated, {
      ageIdentities: async () => parseAgeIdentities(bob.identity),
    });
    expect(flatValues(decryptTree(rotated, fresh))).toEqual({ A: '1', B: '2' });
    expect(dataKeyBytes(fresh)).not.toEqual(dataKeyBytes(key));
    const ivs = (text: string): string[] => text.match(/iv:[^,]+/g) ?? [];
    expect(ivs(textOf(rotated)).filter((iv) => ivs(textOf(file)).includes(iv))).toEqual([]);
  });

  it('of both age kinds and both clouds are written and read', async () => {
    const pq = manifest.keys['pq']?.recipient ?? '';
    const all = [
      {
        type: 'kms' as const,
        arn: 'arn:aws:kms:eu-west-1:111122223333:key/k',
        context: [
          ['a', '1'],
          ['b', 'x,y:z'],
        ] as const,
      },
      { type: 'gcp_kms' as const, resourceId: 'projects/p/locations/l/keyRings/r/cryptoKeys/k' },
      { type: 'age' as const, recipient: alice.recipient },
      { type: 'age' as const, recipient: pq },
    ];
    const file = await encryptTree(flatTree({ A: '1' }), {
      ...sources,
      format: 'yaml',
      recipients: all,
      keyring: { kms: fakeCloud },
    });
    expect(recipientsOf(reopened(file))).toEqual(all);
    for (const keys of [keyring, keyringOf(['pq']), { kms: fakeCloud }]) {
      expect(flatValues(decryptTree(file, await unwrapDataKey(file, keys)))).toEqual({ A: '1' });
    }
    await expect(unwrapDataKey(file, {})).rejects.toMatchObject({ code: 'no_matching_key' });
    const broken = { kms: { ...fakeCloud, unwrap: () => Promise.reject(new Error('denied')) } };
    await expect(unwrapDataKey(file, broken)).rejects.toMatchObject({
      code: 'key_service',
      cause: new Error('denied'),
    });
  });

  it('of every kind of cloud key are wrapped anew, added to and rotated', async () => {
    const test = manifest.cases.find(({ id }) => id === 'kms-all-types-yaml');
    const known = parseSopsFile(vectorBytes(test?.file ?? ''), 'yaml');
    const opened = await unwrapDataKey(known, keyringOf([]));
    const all = recipientsOf(known);
    expect(all.map(({ type }) => type)).toEqual(['kms', 'kms', 'gcp_kms', 'hckms', 'azure_kv', 'hc_vault']);
    for (const change of [rewrap, rotateDataKey]) {
      const changed = await change(known, opened, all, { ...later, keyring: keyringOf([]) });
      expect(recipientsOf(changed)).toEqual(all);
      await expect(unwrapDataKey(changed, keyringOf([]))).resolves.toBeDefined();
    }
    const shared = await addRecipients(known, opened, recipients, later);
    expect(shared.metadata.keyGroups.flat()).toHaveLength(known.metadata.keyGroups.flat().length + 1);
  });

  it('ask for identities once, and only when an age stanza is there', async () => {
    let asked = 0;
    const counting = {
      ageIdentities: async () => {
        asked += 1;
        return [];
      },
      kms: fakeCloud,
    };
    const shared = await fileOf(flatTree({ A: '1' }));
    const both = await addRecipients(
      shared.file,
      shared.key,
      [{ type: 'age', recipient: bob.recipient }],
      later,
    );
    await expect(unwrapDataKey(both, counting)).rejects.toMatchObject({ code: 'no_matching_key' });
    expect(asked).toBe(1);
    const cloud = [{ type: 'kms' as const, arn: 'arn:aws:kms:eu-west-1:111122223333:key/k' }];
    const file = await encryptTree(flatTree({}), {
      ...sources,
      format: 'yaml',
      recipients: cloud,
      keyring: counting,
    });
    await unwrapDataKey(file, counting);
    expect(asked).toBe(1);
  });
});
