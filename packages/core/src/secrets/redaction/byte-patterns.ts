// Finds many byte strings at once in a stream, in one step a byte (Aho and Corasick, 1975).

/** An automaton over some patterns. A state is a number; 0 is the start. */
export type BytePatterns = {
  /** The state after one more byte. */
  readonly next: (state: number, byte: number) => number;
  /** How many of the last bytes could be the beginning of a pattern; all of a pattern where it ends here. */
  readonly depthOf: (state: number) => number;
  /** The length of the longest pattern that ends here; 0 where none does. */
  readonly matchOf: (state: number) => number;
};

type Tables = {
  readonly byte: Uint8Array;
  /** The first child, and the next child of the same parent; 0 where there is none. */
  readonly child: Int32Array;
  readonly sibling: Int32Array;
  /** The state of the longest proper suffix that begins a pattern. */
  readonly fail: Int32Array;
  readonly depth: Int32Array;
  readonly match: Int32Array;
};

/** Memory: 21 bytes for each byte of the patterns. Empty patterns are left out. */
export function bytePatterns(patterns: readonly Uint8Array[]): BytePatterns {
  const tables = emptyTables(1 + patterns.reduce((sum, pattern) => sum + pattern.length, 0));
  let size = 1;
  for (const pattern of patterns) size = insert(tables, pattern, size);
  const first = firstBytes(tables);
  linkSuffixes(tables, first);
  return {
    next: (state, byte) => step(tables, first, state, byte),
    depthOf: (state) => tables.depth[state] as number,
    matchOf: (state) => tables.match[state] as number,
  };
}

function emptyTables(size: number): Tables {
  return {
    byte: new Uint8Array(size),
    child: new Int32Array(size),
    sibling: new Int32Array(size),
    fail: new Int32Array(size),
    depth: new Int32Array(size),
    match: new Int32Array(size),
  };
}

/** Adds a pattern to the tree; returns the next free state. */
function insert({ byte, child, sibling, depth, match }: Tables, pattern: Uint8Array, free: number): number {
  let size = free;
  let state = 0;
  for (const value of pattern) {
    let found = child[state] as number;
    while (found !== 0 && byte[found] !== value) found = sibling[found] as number;
    if (found === 0) {
      found = size++;
      byte[found] = value;
      depth[found] = (depth[state] as number) + 1;
      sibling[found] = child[state] as number;
      child[state] = found;
    }
    state = found;
  }
  match[state] = pattern.length;
  return size;
}

/** The children of the start by their byte: most bytes of most streams are looked up here. */
function firstBytes({ byte, child, sibling }: Tables): Int32Array {
  const first = new Int32Array(256);
  for (let state = child[0] as number; state !== 0; state = sibling[state] as number) {
    first[byte[state] as number] = state;
  }
  return first;
}

/** Breadth first: the suffix of a state is shallower than the state. */
function linkSuffixes(tables: Tables, first: Int32Array): void {
  const { byte, child, sibling, fail, match } = tables;
  const queue: number[] = [...first].filter((state) => state !== 0);
  for (let head = 0; head < queue.length; head += 1) {
    const state = queue[head] as number;
    if (match[state] === 0) match[state] = match[fail[state] as number] as number;
    for (let next = child[state] as number; next !== 0; next = sibling[next] as number) {
      fail[next] = step(tables, first, fail[state] as number, byte[next] as number);
      queue.push(next);
    }
  }
}

function step(
  { byte, child, sibling, fail }: Tables,
  first: Int32Array,
  from: number,
  value: number,
): number {
  for (let state = from; state !== 0; state = fail[state] as number) {
    let next = child[state] as number;
    while (next !== 0 && byte[next] !== value) next = sibling[next] as number;
    if (next !== 0) return next;
  }
  return first[value] as number;
}
