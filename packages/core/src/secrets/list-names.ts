// The names that a shell completes with. Needs no key, says nothing, and asks nobody.
import { findCell, matrixCells } from '../cells/cell.ts';
import { readSealedCell } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import type { Repository } from '../repository.ts';

/** What kinds of names a repository has. */
export type NameKind = 'cell' | 'key' | 'namespace' | 'environment' | 'person' | 'group' | 'service';

/**
 * All names of a kind, in the manifest's or the file's order.
 * @param cell - Whose keys; without it, or where it cannot be read, there are none.
 */
export async function listNames(
  repository: Repository,
  kind: NameKind,
  cell?: string,
): Promise<readonly string[]> {
  const { manifest } = repository;
  const named = (entries: readonly { readonly name: string }[]): readonly string[] =>
    entries.map(({ name }) => name);
  switch (kind) {
    case 'cell':
      return matrixCells(manifest).map(({ label }) => label);
    case 'key':
      return cell === undefined ? [] : keysOf(repository, cell);
    case 'namespace':
      return named(manifest.namespaces);
    case 'environment':
      return named(manifest.environments);
    case 'person':
      return named(manifest.recipients);
    case 'group':
      return [...manifest.groups.keys()];
    case 'service':
      return named(manifest.serviceIdentities);
  }
}

async function keysOf(repository: Repository, cell: string): Promise<readonly string[]> {
  try {
    return (await readSealedCell(repository, findCell(repository.manifest, cell)))?.keys ?? [];
  } catch (error) {
    // A half-typed name, or a file that another command will complain about.
    if (error instanceof ClefError) return [];
    throw error;
  }
}
