// Paths into a tree as SOPS writes them on the command line: ["key"][0]['other'].
import type { TreePath } from '@clef/sops';

/** The keys and indices, or undefined where the text is not such a path. */
export function parseTreePath(text: string): TreePath | undefined {
  const path: (string | number)[] = [];
  const step = /\s*\[\s*(?:"([^"]*)"|'([^']*)'|(-?[0-9]{1,9}))\s*\]\s*/y;
  while (step.lastIndex < text.length) {
    const match = step.exec(text);
    if (match === null) return undefined;
    path.push(match[1] ?? match[2] ?? Number(match[3]));
  }
  return path.length === 0 ? undefined : path;
}
