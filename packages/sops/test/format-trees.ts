// Arbitrary documents for each format: everything that it can hold and that reads back as the same tree.
import fc from 'fast-check';
import {
  type Comment,
  type Entry,
  type FormatName,
  type Leaf,
  type Mapping,
  mappingOf,
  stringLeaf,
  type Tree,
  type TreeNode,
} from '../src/index.ts';
import { typedLeaf } from '../src/leaf-values.ts';
import { anyTree, oddKeys, oddStrings } from './trees.ts';

const isWellFormed = (text: string) => !/\p{Surrogate}/u.test(text);
const anyText = fc
  .oneof(
    fc.constantFrom(...oddStrings),
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  .filter(isWellFormed);
const anyKey = fc
  .oneof(fc.constantFrom(...oddKeys), fc.string({ maxLength: 12 }), fc.stringMatching(/^[A-Z_]{1,10}$/))
  .filter((key) => isWellFormed(key) && !key.startsWith('sops') && !key.endsWith('_unencrypted'));

const anyFloat = fc
  .double({ noDefaultInfinity: true, noNaN: true })
  .filter((value) => !Number.isInteger(value))
  .map((value) => floatLeaf(value));
const jsonLeaf: fc.Arbitrary<TreeNode> = fc.oneof(
  { arbitrary: anyText.map((text) => stringLeaf(text)), weight: 6 },
  {
    arbitrary: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => typedLeaf('int', String(n))),
    weight: 2,
  },
  { arbitrary: anyFloat, weight: 1 },
  { arbitrary: fc.constantFrom(typedLeaf('bool', 'True'), typedLeaf('bool', 'False')), weight: 1 },
  { arbitrary: fc.constantFrom(typedLeaf('null', ''), typedLeaf('float', '-0')), weight: 1 },
);

function floatLeaf(value: number): Leaf {
  const digits = value.toLocaleString('en', { useGrouping: false, maximumSignificantDigits: 21 });
  return typedLeaf('float', Number(digits) === value && !/e/.test(digits) ? digits : '0.5');
}

const { node: jsonNode } = fc.letrec<{ node: TreeNode }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { arbitrary: jsonLeaf, weight: 5 },
    // Keys may stand there twice.
    {
      arbitrary: fc.array(fc.tuple(anyKey, tie('node')), { maxLength: 5 }).map((pairs) => mappingOf(pairs)),
      weight: 2,
    },
    {
      arbitrary: fc
        .array(tie('node'), { maxLength: 4 })
        .map((items): TreeNode => ({ kind: 'sequence', items })),
      weight: 1,
    },
  ),
}));

const comment: fc.Arbitrary<Comment> = fc
  .constantFrom(' a note', 'note', ' # marker', ' ENC[not', ' ünï')
  .map((text) => ({ kind: 'comment', text }));

const dotenvItem: fc.Arbitrary<Entry | Comment> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('entry' as const),
      key: anyKey.filter((key) => !/[=\n]|^#/.test(key)),
      value: anyText.filter((text) => !text.includes('\\n')).map((text): TreeNode => stringLeaf(text)),
    }),
    weight: 5,
  },
  { arbitrary: comment, weight: 1 },
);

const iniKey = fc.oneof(
  fc.stringMatching(/^[A-Za-z_][\w. ]{0,10}[\w]$/),
  fc.constantFrom('a:b', 'a=b', 'a`b', '😀', 'ü'),
);
const iniText = anyText.filter((text) => !text.includes('`') || !text.includes('"'));
const iniSection = fc
  .tuple(
    fc.uniqueArray(fc.tuple(iniKey, iniText), { maxLength: 6, selector: ([key]) => key }),
    fc.option(fc.constant<Comment>({ kind: 'comment', text: 'note' }), { nil: undefined }),
  )
  .map(([pairs, note]): Mapping => {
    const { items } = mappingOf(pairs.map(([key, text]) => [key, stringLeaf(text)] as const));
    return { kind: 'mapping', items: note === undefined ? items : [note, ...items] };
  });
const iniName = fc.oneof(
  fc.stringMatching(/^[a-z][\w. ]{0,8}$/),
  fc.constantFrom('s', 'default', '[x]', ' padded '),
);
const iniTree = fc
  .tuple(fc.array(fc.tuple(iniName, iniSection), { maxLength: 4 }), iniSection)
  .map(([sections, first]) => {
    const defaults: Mapping = { ...first, items: first.items.filter(({ kind }) => kind === 'entry') };
    return mappingOf([['DEFAULT', defaults] as const, ...sections.filter(([name]) => name !== 'sops')]);
  });

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  anyText.map((text) => new TextEncoder().encode(text)),
);

/** Documents that a format holds without loss. */
export const anyTreeOf: Readonly<Record<FormatName, fc.Arbitrary<Tree>>> = {
  yaml: anyTree,
  json: documents(fc.array(fc.tuple(anyKey, jsonNode), { maxLength: 6 }).map((pairs) => mappingOf(pairs))),
  dotenv: documents(
    fc.array(dotenvItem, { maxLength: 8 }).map((items): Mapping => ({ kind: 'mapping', items })),
  ),
  ini: documents(iniTree),
  binary: documents(bytes.map((value) => mappingOf([['data', stringLeaf(value)]]))),
};

function documents(document: fc.Arbitrary<Mapping>): fc.Arbitrary<Tree> {
  return document.map((root) => ({ documents: [root] }));
}
