// A cell by name: where its file and its sidecar are. The only place that turns a name into a path.
import { cellPath, sidecarPath } from '../manifest/file-pattern.ts';
import { findEnvironment, findNamespace } from '../manifest/find.ts';
import type { CellName, Environment, Manifest } from '../manifest/manifest.ts';
import { formatCellName, parseCellName } from '../manifest/names.ts';

/** A cell of the matrix. Paths are relative to the repository root, with forward slashes. */
export type Cell = CellName & {
  /** NAMESPACE/ENVIRONMENT, as a person writes it. */
  readonly label: string;
  readonly path: string;
  readonly sidecarPath: string;
  readonly isProtected: boolean;
};

/**
 * The cell that a person names.
 * @throws {ClefError} `usage`, `bad_name`, `unknown_environment`, `unknown_namespace`.
 */
export function findCell(manifest: Manifest, target: string): Cell {
  const name = parseCellName(target);
  const environment = findEnvironment(manifest, name.environment);
  findNamespace(manifest, name.namespace);
  return cellOf(manifest, name, environment);
}

/** A cell whose environment is known; its namespace may be about to be created. */
export function cellOf(
  manifest: Pick<Manifest, 'filePattern'>,
  name: CellName,
  environment: Environment,
): Cell {
  const path = cellPath(manifest.filePattern, name);
  return {
    namespace: name.namespace,
    environment: name.environment,
    label: formatCellName(name),
    path,
    sidecarPath: sidecarPath(path),
    isProtected: environment.protected,
  };
}

/** Every cell of the matrix, in the manifest's order. */
export function matrixCells(manifest: Manifest): readonly Cell[] {
  return manifest.namespaces.flatMap((namespace) =>
    manifest.environments.map((environment) =>
      cellOf(manifest, { namespace: namespace.name, environment: environment.name }, environment),
    ),
  );
}
