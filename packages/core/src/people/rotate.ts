// New data keys for cells, every stanza anew from clef.yaml: the remedy after a leak, and the repair after clef.yaml or a
// file was edited by hand. What a file says of its recipients never becomes true by rotating (catalogue INV-07).
import { findCell } from '../cells/cell.ts';
import { inParallel } from '../cells/in-parallel.ts';
import { requireSealedCell, type SealedCell } from '../cells/read.ts';
import type { ReaderChange } from '../cells/readers.ts';
import type { Repository } from '../repository.ts';
import { changeReaders, type Review, readMatrix } from './change-readers.ts';

export type RotateRequest = Review & {
  /** NAMESPACE/ENVIRONMENT of each cell, or all that have a file. */
  readonly targets: readonly string[] | 'all';
};

export type RotatedCells = {
  /** The cells that have a new data key. */
  readonly cells: readonly string[];
  /** Whose keys open more or less than before; empty where files and clef.yaml agreed. */
  readonly changes: readonly ReaderChange[];
  /** False for a dry run, and where no cell has a file. */
  readonly changed: boolean;
};

/**
 * Makes a new data key for each cell, in one transaction over all of them. Values stay, their ciphertext does not.
 * @throws {ClefError} `unknown_environment`, `unknown_namespace`, `missing_cell`, `protected`, `not_confirmed` where the
 * recipients of a file are not those of clef.yaml, `cell_tampered`, and what opening and committing cells can give.
 */
export async function rotateCells(repository: Repository, request: RotateRequest): Promise<RotatedCells> {
  const { changes, cells, applied } = await changeReaders(repository, {
    purpose: 'rotate',
    how: 'rotate',
    review: request,
    plan: async (current) => {
      const sealed = await readTargets(current, request.targets);
      const protectedLabels = sealed.filter(({ cell }) => cell.isProtected).map(({ cell }) => cell.label);
      const doubts = { what: 'Make new data keys', protectedLabels, reasons: [] };
      return { manifest: current.manifest, files: [], cells: sealed, doubts };
    },
  });
  return { cells: cells.map(({ cell }) => cell.label), changes, changed: applied };
}

async function readTargets(
  repository: Repository,
  targets: RotateRequest['targets'],
): Promise<readonly SealedCell[]> {
  if (targets === 'all') return readMatrix(repository);
  const cells = [...new Set(targets)].map((target) => findCell(repository.manifest, target));
  return inParallel(repository.world, 'Reading cells', cells, (cell) => requireSealedCell(repository, cell));
}
