// Every format against the real sops 3.12.2: 200 random documents each way, byte for byte what it prints, and turns in
// changing one file.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import {
  decryptTree,
  editSopsFile,
  encryptTree,
  entriesOf,
  type FormatName,
  formatPlainTree,
  formatSopsFile,
  generateAgeIdentity,
  type Mapping,
  mappingOf,
  parseAgeIdentities,
  parsePlainTree,
  parseSopsFile,
  SopsError,
  type SopsFile,
  stringLeaf,
  type Tree,
  unwrapDataKey,
} from '../src/index.ts';
import { isSameTree, mapTree } from '../src/tree.ts';
import { anyTreeOf } from './format-trees.ts';
import { openPeerHome, outputOf, type PeerHome } from './peers.ts';
import { canonicalJson, plainJsonOf } from './plain-json.ts';

const documentsEachWay = 200;
const minutes = 60_000;
const suffixes: Readonly<Record<FormatName, string>> = {
  yaml: '.yaml',
  json: '.json',
  dotenv: '.env',
  ini: '.ini',
  binary: '.bin',
};
const formats = Object.keys(suffixes) as FormatName[];

const alice = generateAgeIdentity();
const keyring = { ageIdentities: async () => parseAgeIdentities(alice.identity) };
const recipients = [{ type: 'age' as const, recipient: alice.recipient }];
const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };

let home: PeerHome;
beforeAll(() => {
  home = openPeerHome(alice.identity);
});
afterAll(() => home.remove());

const encryptHere = (tree: Tree, format: FormatName): Promise<SopsFile> =>
  encryptTree(tree, { ...sources, format, recipients });

async function openHere(bytes: Uint8Array, format: FormatName): Promise<Tree> {
  const file = parseSopsFile(bytes, format);
  return decryptTree(file, await unwrapDataKey(file, keyring));
}

async function sopsPrints(bytes: Uint8Array, format: FormatName): Promise<Uint8Array> {
  const name = `ours${suffixes[format]}`;
  home.write(name, bytes);
  const { exitCode, stdout, stderr } = await home.sops(['decrypt', name]);
  if (exitCode !== 0) throw new Error(`Exit ${exitCode}: ${Buffer.from(stderr).toString('utf8')}`);
  return stdout;
}

async function sopsEncrypts(plain: Uint8Array, format: FormatName): Promise<Uint8Array> {
  const name = `plain${suffixes[format]}`;
  const encrypted = `theirs${suffixes[format]}`;
  home.write(name, plain);
  await outputOf(home.sops(['encrypt', '--age', alice.recipient, '--output', encrypted, name]));
  return home.read(encrypted);
}

/** What both sides must agree on: floats and ints fall together in JSON. */
function contentOf(tree: Tree): string {
  return tree.documents.map((document) => canonicalJson(plainJsonOf(document))).join('\n');
}

// The real tool writes values that its own reader takes for others; those it prints are only compared as far as that.
function isBrokenByTheirs(tree: Tree, format: FormatName): boolean {
  let isBroken = false;
  mapTree(tree, {
    leaf(leaf) {
      const text = Buffer.from(leaf.bytes).toString('utf8');
      // A block with an indentation sign inside a list, or behind a first tab.
      if (format === 'yaml' && /\n/.test(text) && /^[\s\u2028\u2029]|[\u2028\u2029]/.test(text))
        isBroken = true;
      if (format === 'ini' && /^["'`]|\\$|`|""/.test(text)) isBroken = true;
      // Outer blanks need quotes, and the quotes it takes for them are closed by the one inside.
      if (format === 'ini' && text.includes('"') && text !== text.trim()) isBroken = true;
      if (format === 'dotenv' && text.includes('\\n')) isBroken = true;
      return leaf;
    },
    comment: (comment) => comment,
  });
  return isBroken;
}

describe.runIf(hasPeer('sops')).each(formats)('the real sops and %s', (format) => {
  it(
    'prints our files as we do, byte for byte',
    async () => {
      let compared = 0;
      await fc.assert(
        fc.asyncProperty(anyTreeOf[format], async (tree) => {
          const theirs = await sopsPrints(formatSopsFile(await encryptHere(tree, format)), format);
          const isBroken = isBrokenByTheirs(tree, format);
          compared += isBroken ? 0 : 1;
          const ours = formatPlainTree(tree, format);
          if (!isBroken)
            expect(Buffer.from(theirs).toString('latin1')).toBe(Buffer.from(ours).toString('latin1'));
        }),
        { numRuns: documentsEachWay },
      );
      console.log(
        `${format}: ${documentsEachWay} of ours decrypted by sops, ${compared} compared byte for byte`,
      );
      expect(compared).toBeGreaterThan(documentsEachWay / 4);
    },
    5 * minutes,
  );

  it(
    'encrypts what we print, and we read the same tree',
    async () => {
      await fc.assert(
        fc.asyncProperty(anyTreeOf[format], async (tree) => {
          const read = await openHere(await sopsEncrypts(formatPlainTree(tree, format), format), format);
          if (format === 'json') expect(floated(read)).toBe(floated(tree));
          else expect(isSameTree(read, tree) || contentOf(read)).toBe(true);
        }),
        { numRuns: documentsEachWay },
      );
    },
    5 * minutes,
  );
});

// Up to 3.13.1 every number of JSON is a double.
function floated(tree: Tree): string {
  const rounded = mapTree(tree, {
    leaf(leaf) {
      const text = Buffer.from(leaf.bytes).toString('utf8');
      if (leaf.type !== 'int' && leaf.type !== 'float') return leaf;
      return stringLeaf(`number ${Object.is(Number(text), -0) ? '-0' : Number(text)}`);
    },
    comment: (comment) => comment,
  });
  const values: string[] = [];
  mapTree(rounded, {
    leaf(leaf, { keys }) {
      values.push(`${keys.join('\0')} ${leaf.type} ${Buffer.from(leaf.bytes).toString('hex')}`);
      return leaf;
    },
    comment: (comment) => comment,
  });
  return values.join('\n');
}

describe.runIf(hasPeer('sops'))('turns in setting values of one file', () => {
  const turn = fc.record({
    isOurs: fc.boolean(),
    key: fc.constantFrom('A', 'B', 'C', 'D'),
    value: fc.constantFrom(
      'x',
      'two words',
      'a=b',
      '#c',
      '"q"',
      'ends\\',
      'é😀',
      'line\nbreak',
      '1',
      ' pad ',
      '`b`',
    ),
  });

  it.each(['yaml', 'json', 'dotenv', 'ini'] as const)(
    '%s stays readable for both, with all values',
    async (format) => {
      const prefix = format === 'ini' ? ['s'] : [];
      const flat = mappingOf([['A', stringLeaf('a')]]);
      const start: Mapping = format === 'ini' ? mappingOf([['s', flat]]) : flat;
      const name = `turns${suffixes[format]}`;
      await fc.assert(
        fc.asyncProperty(fc.array(turn, { minLength: 4, maxLength: 8 }), async (turns) => {
          home.write(name, formatSopsFile(await encryptHere({ documents: [start] }, format)));
          const values: Record<string, string> = { A: 'a' };
          for (const { isOurs, key, value } of turns) {
            values[key] = value;
            const path = [...prefix, key];
            if (isOurs) {
              const file = parseSopsFile(home.read(name), format);
              const dataKey = await unwrapDataKey(file, keyring);
              home.write(
                name,
                formatSopsFile(editSopsFile(file, dataKey, [{ op: 'set', path, value }], sources)),
              );
            } else {
              const steps = path.map((step) => `[${JSON.stringify(step)}]`).join('');
              await outputOf(home.sops(['set', name, steps, JSON.stringify(value)]));
            }
            expect(valuesIn(await openHere(home.read(name), format), prefix)).toEqual(values);
          }
          const printed = JSON.parse(await outputOf(home.sops(['decrypt', '--output-type', 'json', name])));
          expect(format === 'ini' ? printed.s : printed).toEqual(values);
        }),
        { numRuns: 15 },
      );
    },
    5 * minutes,
  );

  function valuesIn(tree: Tree, prefix: readonly string[]): unknown {
    let root = tree.documents[0] ?? mappingOf([]);
    for (const step of prefix) {
      const inner = entriesOf(root).find(({ key }) => key === step)?.value;
      if (inner?.kind === 'mapping') root = inner;
    }
    return { ...(plainJsonOf(root) as object) };
  }
});

describe.runIf(hasPeer('sops'))('INI text of any kind', () => {
  const pieces = fc.constantFrom(
    ...[
      '=',
      ':',
      ';',
      '#',
      '"',
      '"""',
      '`',
      "'",
      '\\',
      ' ',
      '\t',
      'a',
      'b',
      '\u00a0',
      'é',
      '""',
      ' ; x',
      '# y',
      'v w',
    ],
  );
  const scrap = fc.array(pieces, { maxLength: 5 }).map((words) => words.join(''));
  const key = fc.oneof(
    { arbitrary: fc.constantFrom('a', 'b', 'c', 'kk', '"a=b"', '`a:b`', '"""a"b"""'), weight: 6 },
    { arbitrary: scrap, weight: 1 },
  );
  const literal = fc.tuple(
    fc.constantFrom('k = """', 'm=`'),
    scrap,
    fc.constantFrom('\n', '\r\n'),
    scrap,
    fc.constantFrom('"""', '`'),
    scrap,
  );
  const line = fc.oneof(
    { arbitrary: fc.tuple(key, fc.constantFrom('=', ' = ', ':'), scrap), weight: 6 },
    { arbitrary: fc.tuple(fc.constantFrom('; ', '#', '[s]', '[t] ; x', '[ u ]#y'), scrap), weight: 2 },
    { arbitrary: fc.constant(['']), weight: 1 },
    { arbitrary: literal, weight: 2 },
  );
  const text = fc
    .tuple(fc.array(line, { minLength: 1, maxLength: 7 }), fc.constantFrom('\n', '\n', '\r\n'))
    .map(([lines, end]) => lines.map((words) => words.join('') + end).join(''));

  it(
    'is read as the real tool reads it, or refused as there: values, comments, repeated sections',
    async () => {
      let [taken, refused] = [0, 0];
      await fc.assert(
        fc.asyncProperty(text, async (source) => {
          home.write('any.ini', source);
          const sealed = await sealAs('json');
          const ours = treeOrCode(source);
          if (sealed.exitCode !== 0) {
            refused += 1;
            expect(ours).toBe('parse_error');
            return;
          }
          // The key "-", which the real tool cannot read back itself.
          if (ours === 'unsupported') return;
          if (typeof ours === 'string') throw new Error(`We refuse: ${ours}`);
          taken += 1;
          expect(await printed('json', sealed.stdout)).toBe(latin1(formatPlainTree(ours, 'json')));
          // It writes texts with these in quotes that do not hold them.
          if (/["\\]/.test(source)) return;
          const text = await printed('ini', (await sealAs('ini')).stdout);
          if (text !== '') expect(text).toBe(latin1(formatPlainTree(ours, 'ini')));
        }),
        { numRuns: documentsEachWay },
      );
      console.log(`ini texts: ${taken} read by both, ${refused} refused by both`);
      expect(taken).toBeGreaterThan(documentsEachWay / 4);
    },
    5 * minutes,
  );

  const sealAs = (type: FormatName) =>
    home.sops(['encrypt', '--age', alice.recipient, '--output-type', type, 'any.ini']);

  // Empty where the real tool fails on what it wrote.
  async function printed(type: FormatName, sealed: Uint8Array): Promise<string> {
    home.write(`sealed.${type}`, sealed);
    return latin1((await home.sops(['decrypt', `sealed.${type}`])).stdout);
  }

  function treeOrCode(source: string): Tree | string {
    try {
      return parsePlainTree(new TextEncoder().encode(source), 'ini');
    } catch (error) {
      if (error instanceof SopsError) return error.code;
      throw error;
    }
  }

  function latin1(bytes: Uint8Array): string {
    return Buffer.from(bytes).toString('latin1');
  }
});

describe.runIf(hasPeer('sops'))('a file that we write anew', () => {
  it.each(formats)(
    'in %s is laid out as sops does, but for what changes with every writing',
    async (format) => {
      const inner = mappingOf([
        ['data', stringLeaf('one')],
        ['B', stringLeaf('two')],
      ]);
      const tree = { documents: [format === 'ini' ? mappingOf([['s', inner]]) : inner] };
      const plain = format === 'binary' ? new TextEncoder().encode('one') : formatPlainTree(tree, format);
      const [theirs, ours] = [
        await sopsEncrypts(plain, format),
        formatSopsFile(await encryptHere(parsePlainTree(plain, format), format)),
      ].map((bytes) => shapeOf(bytes, format));
      expect(ours).toEqual(theirs);
    },
  );

  // sops 3.12 writes the metadata of INI in random order.
  function shapeOf(bytes: Uint8Array, format: FormatName): string[] {
    const text = Buffer.from(bytes)
      .toString('utf8')
      .replaceAll(/data:[^,]*,iv:[^,]*,tag:[^,]*,/g, '')
      .replaceAll(/BEGIN AGE ENCRYPTED FILE-----[\s\S]*?-----END/g, 'BEGIN-END')
      .replaceAll(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]*Z/g, 'TIME');
    const lines = text.split('\n');
    return format === 'ini' ? lines.sort() : lines;
  }
});
