// A decrypted tree as the JSON that sops prints: ints and floats fall together, times are strings, order is free.
import type { TreeNode } from '../src/tree.ts';

export function plainJsonOf(node: TreeNode): unknown {
  if (node.kind === 'mapping') {
    const pairs = node.items.flatMap((item) =>
      item.kind === 'comment' ? [] : [[item.key, plainJsonOf(item.value)]],
    );
    return { __proto__: null, ...Object.fromEntries(pairs as [string, unknown][]) };
  }
  if (node.kind === 'sequence') {
    return node.items.flatMap((item) => (item.kind === 'comment' ? [] : [plainJsonOf(item)]));
  }
  const text = Buffer.from(node.bytes).toString('utf8');
  if (node.type === 'null') return null;
  if (node.type === 'bool') return text === 'True';
  return node.type === 'int' || node.type === 'float' ? Number(text) : text;
}

/** JSON text with sorted keys, for comparing. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson((value as Record<string, unknown>)[key])}`).join(',')}}`;
}
