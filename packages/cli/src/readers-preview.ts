// Who gains and who loses which cells, for a person: one line for each key.
import type { ReaderChange } from '@clef/core';
import { columns } from './print.ts';

const mostCells = 8;

/** `+` gains, `-` loses; the name or "(not in clef.yaml)", the key, the cells. */
export function readersPreview(changes: readonly ReaderChange[]): string {
  const lines = new Map<string, ReaderChange & { readonly cells: string[] }>();
  for (const change of changes) {
    const line = `${change.change} ${change.key}`;
    const entry = lines.get(line) ?? { ...change, cells: [] };
    entry.cells.push(change.cell);
    lines.set(line, entry);
  }
  return columns(
    [...lines.values()].map(({ change, person, key, cells }) => [
      change === 'gains' ? '+' : '-',
      person ?? (key.startsWith('age1') ? '(not in clef.yaml)' : '(kms)'),
      key,
      listSome(cells),
    ]),
  );
}

/** The first names of a list, and how many more there are. */
export function listSome(names: readonly string[], most: number = mostCells): string {
  const more = names.length - most;
  return more > 1 ? `${names.slice(0, most).join(', ')} and ${more} more` : names.join(', ');
}
