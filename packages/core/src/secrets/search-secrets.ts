// Where a key is, by a part of its name; and where a value is used. A value that is sought or found is never in the answer.
import { type Cell, matrixCells } from '../cells/cell.ts';
import { openSealedCell, readPendingKeys, readSealedCell, type SealedCell } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import type { Repository } from '../repository.ts';
import { isSameDigest, valueDigests } from './same-value.ts';

export type FoundKey = { readonly cell: string; readonly key: string; readonly pending?: true };

/** A cell that was not searched, and why, in words. */
export type UnreadCell = { readonly cell: string; readonly reason: string };

export type SearchResult = {
  /** In the order of the matrix and of the files. */
  readonly found: readonly FoundKey[];
  readonly unread: readonly UnreadCell[];
};

/** How many cells are open at once: each may be a question to a KMS. */
const cellsAtOnce = 8;

/**
 * The keys whose name holds `pattern`, or matches it as a whole where it has `*` or `?`. Case does not count. Needs no key
 * of anybody.
 * @throws {ClefError} `usage` for an empty pattern.
 */
export async function searchKeys(repository: Repository, pattern: string): Promise<SearchResult> {
  if (pattern === '') throw emptySearch('pattern', 'name a part of the key, such as URL or DB_*');
  return searchCells(repository, async (sealed) => {
    const present = sealed.keys.filter((key) => isMatch(key, pattern)).map((key) => ({ key }));
    const announced = [...(await readPendingKeys(repository, sealed.cell))];
    const pending = announced
      .filter((key) => isMatch(key, pattern) && !sealed.keys.includes(key))
      .map((key) => ({ key, pending: true as const }));
    return [...present, ...pending];
  });
}

/**
 * The keys that have this very value, among the cells that the caller can read.
 * @throws {ClefError} `usage` for an empty value.
 */
export async function searchValue(repository: Repository, value: Uint8Array): Promise<SearchResult> {
  if (value.length === 0) throw emptySearch('value', 'no key has an empty value');
  const digestOf = valueDigests(repository.world);
  const sought = digestOf(value);
  return searchCells(repository, async (sealed) => {
    const { values } = await openSealedCell(repository, sealed);
    const same = [...values].map(([key, found]) => ({ key, isSame: isSameDigest(digestOf(found), sought) }));
    return same.filter(({ isSame }) => isSame).map(({ key }) => ({ key }));
  });
}

type FoundInCell = Omit<FoundKey, 'cell'>;

async function searchCells(
  repository: Repository,
  search: (sealed: SealedCell) => Promise<readonly FoundInCell[]>,
): Promise<SearchResult> {
  const cells = matrixCells(repository.manifest);
  const answers = new Map<Cell, readonly FoundInCell[] | UnreadCell>();
  const waiting = cells.values();
  const work = async (): Promise<void> => {
    for (const cell of waiting) {
      answers.set(cell, await searchCell(repository, cell, search));
      repository.world.progress?.({ what: 'Searching', done: answers.size, total: cells.length });
    }
  };
  await Promise.all(Array.from({ length: cellsAtOnce }, work));
  const found: FoundKey[] = [];
  const unread: UnreadCell[] = [];
  for (const cell of cells) {
    const answer = answers.get(cell) ?? [];
    if ('reason' in answer) unread.push(answer);
    else found.push(...answer.map((entry) => ({ cell: cell.label, ...entry })));
  }
  return { found, unread };
}

/** What keeps one cell from being read does not keep the others from being searched. */
async function searchCell(
  repository: Repository,
  cell: Cell,
  search: (sealed: SealedCell) => Promise<readonly FoundInCell[]>,
): Promise<readonly FoundInCell[] | UnreadCell> {
  try {
    const sealed = await readSealedCell(repository, cell);
    return sealed === undefined ? [] : await search(sealed);
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    return { cell: cell.label, reason: error.message };
  }
}

function isMatch(key: string, pattern: string): boolean {
  const [name, wanted] = [key.toLowerCase(), pattern.toLowerCase()];
  return /[*?]/.test(wanted) ? isGlobMatch(name, wanted) : name.includes(wanted);
}

/** `*` any text, `?` one character. Takes at most length times length steps, whatever the pattern. */
function isGlobMatch(name: string, pattern: string): boolean {
  let [at, wanted] = [0, 0];
  /** Where the last star was, and how much of the name it has taken. */
  let [star, taken] = [-1, 0];
  while (at < name.length) {
    if (pattern[wanted] === '*') {
      star = wanted++;
      taken = at;
    } else if (pattern[wanted] === '?' || pattern[wanted] === name[at]) {
      at += 1;
      wanted += 1;
    } else if (star >= 0) {
      wanted = star + 1;
      at = ++taken;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(wanted));
}

function emptySearch(what: string, hint: string): ClefError {
  return new ClefError({ code: 'usage', message: `The ${what} to search for is empty`, hint });
}
