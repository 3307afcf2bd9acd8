// Trees for tests: odd strings, arbitrary documents, comparison by content.
import fc from 'fast-check';
import { typedLeaf } from '../src/leaf-values.ts';
import { type Entry, type Mapping, mappingOf, stringLeaf, type Tree, type TreeNode } from '../src/tree.ts';

/** Strings that YAML readers take for something else, or that writers damage. */
export const oddStrings: readonly string[] = [
  '2024-01-01',
  '2024-01-01T10:00:00Z',
  '1_000',
  '0b101',
  '0o17',
  '0777',
  '08',
  '1e3',
  '.5',
  '.inf',
  '.nan',
  '12:30:45',
  'yes',
  'no',
  'on',
  'y',
  'true',
  'null',
  '~',
  '<<',
  '=',
  '-',
  '- a',
  '?',
  '? a',
  ': a',
  'a: b',
  'a #b',
  '#c',
  '{a',
  '[a]',
  '&a',
  '*a',
  '!a',
  '|',
  '>',
  '%a',
  '@a',
  '`a',
  '"a"',
  "'a'",
  "it's",
  '\\',
  '---',
  '...',
  '--- a',
  ' leading',
  'trailing ',
  'trailing spaces   ',
  '\ttab first',
  'tab\tinside',
  'line\nbreak',
  'two\n\nbreaks\n',
  'ends\n\n',
  '\nstarts',
  ' indented\nblock',
  'crlf\r\nline',
  'bare\rreturn',
  'next\u0085line',
  'separator\u2028line',
  'separator\u2029paragraph',
  '\ufeffbom',
  'nul\u0000byte',
  'bell\u0007',
  'escape\u001b[31m',
  'delete\u007f',
  'emoji 😀👩‍👩‍👧',
  'é e\u0301',
  '\u202ereversed',
  'ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]',
  'ENC[',
  'sops',
  '__proto__',
  'x'.repeat(5000),
  '-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n-----END AGE ENCRYPTED FILE-----\n',
];

/** Keys that a reader must take for strings. */
export const oddKeys: readonly string[] = [
  '1',
  'true',
  'yes',
  'null',
  '2024-01-01',
  '',
  ' ',
  'a b',
  'a:b',
  'a: b',
  'a.b',
  '__proto__',
  'constructor',
  'toString',
  'line\nbreak',
  '#x',
  '- x',
  '? x',
  'ü',
  '😀',
  'k'.repeat(200),
  'tab\tkey',
];

const isWellFormed = (value: string) => !/\p{Surrogate}/u.test(value);

const text = fc.oneof(
  fc.constantFrom(...oddStrings),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
// The real tool would take a lone surrogate for something else; there are none in UTF-8.
const wellFormed = text.filter(isWellFormed);
const keyText = fc
  .oneof(fc.constantFrom(...oddKeys), fc.string({ maxLength: 12 }), fc.stringMatching(/^[a-z_]{1,10}$/))
  .filter((key) => key !== 'sops' && isWellFormed(key) && !key.endsWith('_unencrypted'));

const leaf: fc.Arbitrary<TreeNode> = fc.oneof(
  { arbitrary: wellFormed.map((value) => stringLeaf(value)), weight: 6 },
  {
    arbitrary: fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .map((n) => typedLeaf('int', n.toString())),
    weight: 2,
  },
  { arbitrary: fc.boolean().map((value) => typedLeaf('bool', value ? 'True' : 'False')), weight: 1 },
  { arbitrary: fc.constant(typedLeaf('null', '')), weight: 1 },
  {
    arbitrary: fc.constantFrom('1.5', '-0.25', '123456789.125').map((value) => typedLeaf('float', value)),
    weight: 1,
  },
  { arbitrary: fc.constant(typedLeaf('time', '2024-01-02T03:04:05Z')), weight: 1 },
);

function mapping(value: fc.Arbitrary<TreeNode>): fc.Arbitrary<Mapping> {
  const entries = fc.uniqueArray(fc.tuple(keyText, value), { maxLength: 5, selector: ([key]) => key });
  return entries.map((pairs) => mappingOf(pairs));
}

const { node } = fc.letrec<{ node: TreeNode }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { arbitrary: leaf, weight: 5 },
    { arbitrary: mapping(tie('node')), weight: 2 },
    {
      arbitrary: fc
        .array(tie('node'), { maxLength: 4 })
        .map((items): TreeNode => ({ kind: 'sequence', items })),
      weight: 1,
    },
  ),
}));

/** Any document SOPS can hold, without comments. */
export const anyTree: fc.Arbitrary<Tree> = mapping(node).map((document) => ({ documents: [document] }));

/** A flat map of strings. */
export function flatTree(
  values: Readonly<Record<string, string>> | readonly (readonly [string, string])[],
): Tree {
  const pairs = Array.isArray(values)
    ? (values as readonly (readonly [string, string])[])
    : Object.entries(values);
  return { documents: [mappingOf(pairs.map(([key, value]) => [key, stringLeaf(value)] as const))] };
}

/** The string values of a flat tree. */
export function flatValues(tree: Tree): Record<string, string> {
  const entries = (tree.documents[0]?.items ?? []).filter((item): item is Entry => item.kind === 'entry');
  return Object.fromEntries(
    entries.map(({ key, value }) => [
      key,
      value.kind === 'leaf' ? Buffer.from(value.bytes).toString('utf8') : '',
    ]),
  );
}
