// What a service identity may have in an environment: the cells in its scope, whether they may be packed, and their values as
// one flat map.
import { type Cell, cellOf } from '../cells/cell.ts';
import {
  type OpenedCell,
  readSidecar,
  refuseDifferentRecipients,
  requireSealedCell,
  type SealedCell,
} from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import { pathsDifferentFromHead } from '../git/git.ts';
import { findEnvironment } from '../manifest/find.ts';
import type { ServiceIdentity } from '../manifest/manifest.ts';
import { servedName } from '../manifest/served-name.ts';
import { manifestName, type Repository } from '../repository.ts';

/** The cells of a service identity in one environment, in the order of its namespaces. */
export function cellsInScope(
  { manifest }: Repository,
  service: ServiceIdentity,
  environmentName: string,
): readonly Cell[] {
  const environment = findEnvironment(manifest, environmentName);
  return service.namespaces.map((namespace) =>
    cellOf(manifest, { namespace, environment: environmentName }, environment),
  );
}

/**
 * A cell, checked as far as that needs no key: encrypted to whom the manifest says, and without a pending key.
 * @throws {ClefError} `missing_cell`, `recipients_differ`, `pending_key`, and what reading it can give.
 */
export async function readForPacking(repository: Repository, cell: Cell): Promise<SealedCell> {
  const [sealed, { sidecar }] = await Promise.all([
    requireSealedCell(repository, cell),
    readSidecar(repository, cell),
  ]);
  refuseDifferentRecipients(repository, sealed, 'pack');
  const [pending] = sidecar.pending;
  if (pending === undefined) return sealed;
  throw new ClefError({
    code: 'pending_key',
    message: `Cannot pack "${cell.label}": "${pending}" is pending, it has no value yet`,
    hint: `run "clef set ${cell.label} ${pending}"`,
    location: { file: cell.sidecarPath, key: pending },
  });
}

/**
 * To be asked after the cells were read: what was read is what is compared, and what is packed.
 * @throws {ClefError} `dirty_tree` where a protected cell, or clef.yaml, is not as it is in HEAD; `git`.
 */
export async function refuseDirty(
  { manifest, world, root }: Repository,
  cells: readonly Cell[],
): Promise<void> {
  const paths = new Set(cells.filter((cell) => cell.isProtected).map((cell) => cell.path));
  if (paths.size === 0) return;
  const [first, ...more] = await pathsDifferentFromHead(world, root, [manifestName, ...paths]);
  if (first === undefined) return;
  throw new ClefError({
    code: 'dirty_tree',
    message: `Cannot pack a protected environment: "${first}"${more.length > 0 ? ` and ${more.length} more` : ''} differs from HEAD`,
    hint: `commit it, so that review sees what is packed; or pass --allow-dirty (repository ${manifest.repository})`,
    location: { file: first },
  });
}

/**
 * All values in scope as one flat map; with `prefix: namespace`, DB_URL of database becomes database__DB_URL.
 * @throws {ClefError} `key_conflict` where two cells define one name.
 */
export function mergeCells(
  service: Pick<ServiceIdentity, 'prefix'>,
  cells: readonly Pick<OpenedCell, 'cell' | 'values'>[],
): ReadonlyMap<string, string> {
  const merged = new Map<string, string>();
  const owners = new Map<string, Cell>();
  for (const { cell, values } of cells) {
    for (const [key, value] of values) {
      const name = servedName(service, cell.namespace, key);
      const owner = owners.get(name);
      if (owner !== undefined) throw conflict(name, owner, cell);
      owners.set(name, cell);
      merged.set(name, value);
    }
  }
  return merged;
}

function conflict(name: string, first: Cell, second: Cell): ClefError {
  return new ClefError({
    code: 'key_conflict',
    message: `"${name}" is defined twice: in "${first.label}" and in "${second.label}"`,
    hint: 'rename one of them, or set "prefix: namespace" on the service identity',
    location: { file: second.path, key: name },
  });
}
