// The near miss for "did you mean": a typo, another case, or the beginning of one name only.

const longestWord = 64;

/**
 * Returns the candidate that `word` was probably meant to be, or undefined. In this order: equal but for case; within
 * a few typing slips (one per three characters, two at most); the only candidate that begins with `word`.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > longestWord) return undefined;
  const names = [...candidates].filter((name) => name !== word && name.length <= longestWord);
  const folded = word.toLowerCase();
  return (
    names.find((name) => name.toLowerCase() === folded) ?? nearest(folded, names) ?? onlyLonger(folded, names)
  );
}

function nearest(folded: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let fewest = Math.min(2, Math.floor(folded.length / 3)) + 1;
  for (const name of names) {
    if (Math.abs(name.length - folded.length) >= fewest) continue;
    const slips = countSlips(folded, name.toLowerCase());
    if (slips < fewest) {
      fewest = slips;
      best = name;
    }
  }
  return best;
}

function onlyLonger(folded: string, names: readonly string[]): string | undefined {
  const longer = folded.length < 3 ? [] : names.filter((name) => name.toLowerCase().startsWith(folded));
  return longer.length === 1 ? longer[0] : undefined;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function countSlips(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwap ? (beforePrevious[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
