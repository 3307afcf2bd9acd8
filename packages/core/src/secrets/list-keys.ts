// Names, never values: needs no key of anybody.
import { findCell, matrixCells } from '../cells/cell.ts';
import { inParallel } from '../cells/in-parallel.ts';
import { readSealedCell, readSidecar, requireSealedCell, warnOfDifferentRecipients } from '../cells/read.ts';
import { readSchema } from '../checks/schema-file.ts';
import { ClefError } from '../errors.ts';
import { findEnvironment } from '../manifest/find.ts';
import { parseCellName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';

/** One key of a cell, what its sidecar says of it, and whether the schema of its namespace requires it. */
export type ListedKey = {
  readonly name: string;
  readonly changedAt?: string;
  readonly by?: string;
  readonly pending?: true;
  readonly required?: true;
  /** Required, and neither there nor pending. */
  readonly missing?: true;
};

/**
 * The keys of a cell in the order of its file, then the pending ones, then those that its schema requires and that are not
 * there. Warns of a schema that cannot be read: names are listed all the same.
 * @throws {ClefError} `missing_cell`, and what reading the file can give.
 */
export async function listKeys(
  repository: Repository,
  { cell: target }: { readonly cell: string },
): Promise<readonly ListedKey[]> {
  const cell = findCell(repository.manifest, target);
  const [sealed, { sidecar }, required] = await Promise.all([
    requireSealedCell(repository, cell),
    readSidecar(repository, cell),
    requiredKeys(repository, cell.namespace),
  ]);
  warnOfDifferentRecipients(repository, sealed);
  const listed = (name: string, facts: Partial<ListedKey> = {}): ListedKey => ({
    name,
    ...facts,
    ...(required.includes(name) && { required: true }),
  });
  const present = sealed.keys.map((name) => {
    const change = sidecar.keys.get(name);
    return listed(name, change && { changedAt: change.changedAt, by: change.by });
  });
  const pending = [...sidecar.pending].filter((name) => !sealed.keys.includes(name));
  const known = new Set([...sealed.keys, ...pending]);
  return [
    ...present,
    ...pending.map((name) => listed(name, { pending: true })),
    ...required.filter((name) => !known.has(name)).map((name) => listed(name, { missing: true })),
  ];
}

async function requiredKeys(repository: Repository, namespace: string): Promise<readonly string[]> {
  try {
    const schema = await readSchema(repository, namespace);
    return [...(schema?.keys ?? [])].filter(([, rule]) => rule.isRequired).map(([name]) => name);
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    repository.world.notify({ level: 'warning', message: error.message });
    return [];
  }
}

/** One cell of the matrix; `keys` is undefined where its file is missing. */
export type ListedCell = { readonly cell: string; readonly path: string; readonly keys: number | undefined };

/** Every cell of the matrix and how many keys it has. */
export async function listCells(repository: Repository): Promise<readonly ListedCell[]> {
  const { world, manifest } = repository;
  return inParallel(world, 'Reading cells', matrixCells(manifest), async (cell) => {
    const sealed = await readSealedCell(repository, cell);
    if (sealed !== undefined) warnOfDifferentRecipients(repository, sealed);
    return { cell: cell.label, path: cell.path, keys: sealed?.keys.length };
  });
}

/**
 * Whether changes of a cell ask for confirmation; its namespace need not exist yet.
 * @throws {ClefError} `usage`, `bad_name`, `unknown_environment`.
 */
export function isProtectedCell({ manifest }: Repository, target: string): boolean {
  return findEnvironment(manifest, parseCellName(target).environment).protected;
}
