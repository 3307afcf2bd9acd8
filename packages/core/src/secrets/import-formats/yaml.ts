// YAML: one map of strings. A plain word that some reader of YAML takes for a number, a date, a boolean or null is refused,
// as nobody knows which text was meant; to read a text that a person edits, every plain word is text.
import type { Position } from '@clef/strict';
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, type Scalar } from 'yaml';
import { parseStrictYaml } from '../../manifest/strict-yaml.ts';
import { type FoundValues, type Leaf, nameLeaves } from './found-values.ts';

export type YamlOptions = {
  readonly maxBytes: number;
  readonly flatten?: string | undefined;
  /** Take plain words as text, whatever a reader of YAML would make of them. */
  readonly isAllText?: boolean;
};

/** Reads one YAML document. */
export function readYaml(bytes: Uint8Array, options: YamlOptions): FoundValues {
  const yaml = parseStrictYaml(bytes, options);
  if ('faults' in yaml) return { values: [], faults: yaml.faults, notes: [] };
  const root = yaml.document.contents;
  if (root === null) return { values: [], faults: [], notes: [] };
  if (!isMap(root))
    return {
      values: [],
      faults: [{ class: 'format', message: 'The file is not one map of names and values' }],
      notes: [],
    };
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = yaml.text.indexOf('\n'); at >= 0; at = yaml.text.indexOf('\n', at + 1))
    lines.addNewLine(at + 1);
  const positionOf = (node: Node): Position => {
    const { line, col } = lines.linePos(node.range?.[0] ?? 0);
    return { line, column: col };
  };
  return nameLeaves(leavesOf(root.items, [], { ...options, positionOf }), options.flatten);
}

type Walk = YamlOptions & { readonly positionOf: (node: Node) => Position };

function leavesOf(pairs: readonly Pair[], path: Leaf['path'], walk: Walk): readonly Leaf[] {
  return pairs.flatMap(({ key, value }) => {
    const name = key as Scalar;
    return nodeLeaves(value as Node | null, [...path, String(name.value ?? '')], walk, walk.positionOf(name));
  });
}

function nodeLeaves(node: Node | null, path: Leaf['path'], walk: Walk, position: Position): readonly Leaf[] {
  if (isMap(node)) {
    if (node.items.length === 0) return [{ path, position, refused: 'is an empty map' }];
    return leavesOf(node.items, path, walk);
  }
  if (isSeq(node)) {
    if (node.items.length === 0) return [{ path, position, refused: 'is an empty list' }];
    return node.items.flatMap((item, index) =>
      nodeLeaves(item as Node | null, [...path, index], walk, position),
    );
  }
  if (!isScalar(node)) return [{ path, position, ...typed }];
  const value = typeof node.value === 'string' ? node.value : '';
  const isPlain = node.type === 'PLAIN' || node.type === undefined;
  return [
    { path, position, ...(isPlain && walk.isAllText !== true && looksTyped(value) ? typed : { value }) },
  ];
}

const typed = {
  refused: 'is not text to every reader of YAML: a number, a date, a boolean or null',
  hint: 'put it in quotes',
} as const;

const words = /^(?:~|null|true|false|yes|no|on|off|y|n|<<|=|[-+]?\.inf|\.nan)?$/i;
const numbers =
  /^[-+]?(?:0b[01_]+|0x[0-9a-f_]+|0o?[0-7_]+|[0-9][0-9_]*(?::[0-5]?[0-9])*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?|\.[0-9][0-9_]*(?:e[-+]?[0-9]+)?)$/i;
const dates = /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9:.+\-Zz \t]*)?$/;

/** Whether YAML 1.1 or 1.2 gives a plain scalar another type than text; an empty one is null. */
export function looksTyped(text: string): boolean {
  return text.length <= 64
    ? words.test(text) || numbers.test(text) || dates.test(text)
    : /^[-+0-9._]+$/.test(text);
}
