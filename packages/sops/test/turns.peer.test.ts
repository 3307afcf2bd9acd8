// Both sides at work on one file, in every format: after each `set`, `rotate` and `updatekeys` of one the other reads it.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import {
  addRecipients,
  type DataKey,
  decryptTree,
  editSopsFile,
  encryptTree,
  type FormatName,
  formatPlainTree,
  formatSopsFile,
  generateAgeIdentity,
  type Mapping,
  mappingOf,
  parseAgeIdentities,
  parsePlainTree,
  parseSopsConfig,
  parseSopsFile,
  recipientsOf,
  rewrap,
  rotateDataKey,
  type SopsFile,
  stringLeaf,
  type Tree,
  unwrapDataKey,
} from '../src/index.ts';
import { openPeerHome, outputOf, type PeerHome } from './peers.ts';

const [alice, bob] = [generateAgeIdentity(), generateAgeIdentity()];
const keyring = { ageIdentities: async () => parseAgeIdentities(alice.identity) };
const asBob = { SOPS_AGE_KEY: bob.identity };
const age = (recipient: string) => ({ type: 'age' as const, recipient });
const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };
const suffixes: Readonly<Record<FormatName, string>> = {
  yaml: '.yaml',
  json: '.json',
  dotenv: '.env',
  ini: '.ini',
  binary: '.bin',
};
const formats = Object.keys(suffixes) as FormatName[];

let home: PeerHome;
beforeAll(() => {
  home = openPeerHome(alice.identity);
});
afterAll(() => home.remove());

function treeOf(format: FormatName, value: string): Tree {
  const flat: Mapping = mappingOf([
    ['data', stringLeaf(value)],
    ['other', stringLeaf('stays')],
  ]);
  if (format === 'ini')
    return {
      documents: [
        mappingOf([
          ['DEFAULT', mappingOf([])],
          ['s', flat],
        ]),
      ],
    };
  if (format === 'binary') return { documents: [mappingOf([['data', stringLeaf(value)]])] };
  return { documents: [flat] };
}

const pathOf = (format: FormatName): string[] => (format === 'ini' ? ['s', 'data'] : ['data']);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

async function change(
  name: string,
  format: FormatName,
  work: (file: SopsFile, key: DataKey) => SopsFile | Promise<SopsFile>,
): Promise<void> {
  const file = parseSopsFile(home.read(name), format);
  home.write(name, formatSopsFile(await work(file, await unwrapDataKey(file, keyring))));
}

describe.runIf(hasPeer('sops')).each(formats)('one file in %s', (format) => {
  const name = `turns${suffixes[format]}`;

  async function bothRead(value: string, environment: Record<string, string> = {}): Promise<void> {
    const wanted = text(formatPlainTree(treeOf(format, value), format));
    const theirs = await outputOf(home.sops(['decrypt', name], environment));
    expect(theirs).toBe(wanted);
    const file = parseSopsFile(home.read(name), format);
    const tree = decryptTree(file, await unwrapDataKey(file, keyring));
    expect(text(formatPlainTree(tree, format))).toBe(wanted);
  }

  async function start(): Promise<void> {
    const plain = formatPlainTree(treeOf(format, 'first'), format);
    const tree = parsePlainTree(plain, format);
    const file = await encryptTree(tree, { ...sources, format, recipients: [age(alice.recipient)] });
    home.write(name, formatSopsFile(file));
    home.write('.sops.yaml', `creation_rules: [{ age: "${alice.recipient},${bob.recipient}" }]\n`);
  }

  it('is read by both after every step of either', async () => {
    await start();
    await bothRead('first');
    const place = pathOf(format)
      .map((step) => `[${JSON.stringify(step)}]`)
      .join('');
    await outputOf(home.sops(['set', name, place, '"theirs\\nof two lines"']));
    await bothRead('theirs\nof two lines');
    await change(name, format, (file, key) =>
      editSopsFile(file, key, [{ op: 'set', path: pathOf(format), value: 'ours # ; = "x"' }], sources),
    );
    await bothRead('ours # ; = "x"');
    await outputOf(home.sops(['rotate', '--in-place', name]));
    await bothRead('ours # ; = "x"');
    await change(name, format, (file, key) =>
      rotateDataKey(file, key, recipientsOf(file), { keyring, ...sources }),
    );
    await bothRead('ours # ; = "x"');
    await outputOf(home.sops(['updatekeys', '--yes', name]));
    await bothRead('ours # ; = "x"', asBob);
    await change(name, format, (file, key) => rewrap(file, key, [age(alice.recipient)], sources));
    await bothRead('ours # ; = "x"');
    expect((await home.sops(['decrypt', name], asBob)).exitCode).toBe(128);
    await change(name, format, (file, key) => addRecipients(file, key, [age(bob.recipient)], sources));
    await bothRead('ours # ; = "x"', asBob);
    await outputOf(home.sops(['set', name, place, '"last"'], asBob));
    await bothRead('last');
  });
});

describe.runIf(hasPeer('sops'))('stores', () => {
  it.each([
    ['yaml', 'yaml', [0, 1, 2, 3, 4, 8, 9, 10]],
    ['json', 'json', [-1, 0, 1, 2, 4, 8]],
    ['binary', 'json_binary', [-1, 0, 2, 4]],
  ] as const)('of %s indent as the real tool does, for every setting', async (format, store, indents) => {
    const inner = mappingOf([['b', { kind: 'sequence', items: [stringLeaf('x'), stringLeaf('y')] }]]);
    const tree = format === 'binary' ? treeOf(format, 'x') : { documents: [mappingOf([['data', inner]])] };
    const plain = formatPlainTree(tree, format);
    const name = `laid-out${suffixes[format]}`;
    home.write(name, plain);
    for (const indent of indents) {
      const config = `creation_rules: [{ age: "${alice.recipient}" }]\nstores: { ${store}: { indent: ${indent} } }\n`;
      home.write('.sops.yaml', config);
      const layout = { indent: parseSopsConfig(Buffer.from(config)).indents[store] ?? Number.NaN };
      const theirs = text((await home.sops(['encrypt', name])).stdout);
      const recipients = [age(alice.recipient)];
      const ours = await encryptTree(parsePlainTree(plain, format), {
        ...sources,
        format,
        recipients,
        layout,
      });
      expect(shapeOf(text(formatSopsFile(ours))), `indent ${indent}`).toEqual(shapeOf(theirs));
      home.write(`sealed-${name}`, formatSopsFile(ours));
      const printed = await outputOf(home.sops(['decrypt', `sealed-${name}`]));
      expect(text(formatPlainTree(tree, format, layout))).toBe(printed);
    }
  });

  function shapeOf(file: string): string[] {
    return file
      .replaceAll(/data:[^,]*,iv:[^,]*,tag:[^,]*,/g, '')
      .replaceAll(/BEGIN AGE ENCRYPTED FILE-----[\s\S]*?-----END/g, 'BEGIN-END')
      .replaceAll(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]*Z/g, 'TIME')
      .split('\n');
  }
});
