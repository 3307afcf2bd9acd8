// Values of cells as text that another program reads: each format gives back the exact value, or refuses it by name.
import { findCell } from '../cells/cell.ts';
import type { Repository } from '../repository.ts';
import { type Choice, chooseValues } from './choose-values.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import { type ExportFormat, exportDialects } from './export-formats/all.ts';
import type { ExportDialect } from './export-formats/export-format.ts';

export type ExportRequest = Choice & {
  readonly format: ExportFormat;
  readonly allowedEnvironmentNames?: readonly string[];
};

/**
 * The chosen values as one text, in the order of the cells. Formats that are data (JSON, YAML, Kubernetes, systemd) take
 * every name; the others set variables, and refuse names that change how programs run.
 * @throws {ClefError} `environment_value` where the format cannot hold a value exactly, `dangerous_name`, `limit`, and
 * what choosing values can give.
 */
export async function exportSecrets(repository: Repository, request: ExportRequest): Promise<string> {
  const values = await chooseValues(repository, request);
  const { setsVariables, warning, write }: ExportDialect = exportDialects[request.format];
  if (setsVariables) refuseDangerousNames(values.keys(), request.allowedEnvironmentNames ?? []);
  const { randomBytes, notify } = repository.world;
  if (warning !== undefined) notify({ level: 'warning', message: warning });
  return write({ values, cell: findCell(repository.manifest, request.cell), randomBytes });
}
