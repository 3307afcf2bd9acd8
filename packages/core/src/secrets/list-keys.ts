// Names, never values: needs no key of anybody.
import { findCell, matrixCells } from '../cells/cell.ts';
import { readSealedCell, readSidecar, requireSealedCell, warnOfDifferentRecipients } from '../cells/read.ts';
import { findEnvironment } from '../manifest/find.ts';
import { parseCellName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';

/** One key of a cell and what its sidecar says of it. */
export type ListedKey = {
  readonly name: string;
  readonly changedAt?: string;
  readonly by?: string;
  readonly pending?: true;
};

/**
 * The keys of a cell in the order of its file, then the pending ones.
 * @throws {ClefError} `missing_cell`, and what reading the file can give.
 */
export async function listKeys(
  repository: Repository,
  { cell: target }: { readonly cell: string },
): Promise<readonly ListedKey[]> {
  const cell = findCell(repository.manifest, target);
  const [sealed, { sidecar }] = await Promise.all([
    requireSealedCell(repository, cell),
    readSidecar(repository, cell),
  ]);
  warnOfDifferentRecipients(repository, sealed);
  const present = sealed.keys.map((name) => {
    const change = sidecar.keys.get(name);
    return { name, ...(change && { changedAt: change.changedAt, by: change.by }) };
  });
  const pending = [...sidecar.pending].filter((name) => !sealed.keys.includes(name));
  return [...present, ...pending.map((name) => ({ name, pending: true as const }))];
}

/** One cell of the matrix; `keys` is undefined where its file is missing. */
export type ListedCell = { readonly cell: string; readonly path: string; readonly keys: number | undefined };

/** Every cell of the matrix and how many keys it has. */
export async function listCells(repository: Repository): Promise<readonly ListedCell[]> {
  return Promise.all(
    matrixCells(repository.manifest).map(async (cell) => {
      const sealed = await readSealedCell(repository, cell);
      if (sealed !== undefined) warnOfDifferentRecipients(repository, sealed);
      return { cell: cell.label, path: cell.path, keys: sealed?.keys.length };
    }),
  );
}

/**
 * Whether changes of a cell ask for confirmation; its namespace need not exist yet.
 * @throws {ClefError} `usage`, `bad_name`, `unknown_environment`.
 */
export function isProtectedCell({ manifest }: Repository, target: string): boolean {
  return findEnvironment(manifest, parseCellName(target).environment).protected;
}
