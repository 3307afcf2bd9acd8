// Every change of who may read, as one transaction over clef.yaml and all cells concerned: planned, shown, confirmed,
// planned again under the lock, committed. Adding, removing, rotating and approving are this with another plan.

import { matrixCells } from '../cells/cell.ts';
import { askToConfirm, type Doubts } from '../cells/confirm.ts';
import { inParallel } from '../cells/in-parallel.ts';
import { readSealedCell, type SealedCell } from '../cells/read.ts';
import { hasSameReaders, type JudgedChange, type ReaderChange, readerChanges } from '../cells/readers.ts';
import { type Rewrapping, rewrapCells } from '../cells/rewrap.ts';
import { planSopsConfig } from '../cells/sops-config.ts';
import type { Confirm } from '../cells/write.ts';
import { ClefError } from '../errors.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { shortKey } from '../manifest/names.ts';
import { parseManifest } from '../manifest/parse.ts';
import { manifestName, openRepository, type Repository } from '../repository.ts';
import { type FileChange, withRepositoryLock } from '../transaction/commit-files.ts';

/** How a person takes part in a change of who may read. */
export type Review = {
  readonly confirm: Confirm;
  /** Called before a question is asked: who would gain and who would lose what. */
  readonly show?: (changes: readonly ReaderChange[]) => void;
  /** Plan only: nothing is asked and nothing is written. */
  readonly isDryRun?: boolean;
};

/** What a change of who may read consists of. */
export type ReadersPlan = {
  /** The manifest as it will be. */
  readonly manifest: Manifest;
  /** Changes of files other than cells and `.sops.yaml`. */
  readonly files: readonly FileChange[];
  /** The cells to be made anew. */
  readonly cells: readonly SealedCell[];
  readonly doubts: Doubts;
};

export type ReadersChange = {
  readonly purpose: string;
  readonly how: Rewrapping;
  readonly plan: (repository: Repository) => Promise<ReadersPlan>;
  readonly review: Review;
};

export type ChangedReaders = {
  readonly changes: readonly ReaderChange[];
  /** The cells that are made anew, as they were. */
  readonly cells: readonly SealedCell[];
  /** False where there was nothing to do, and for a dry run. */
  readonly applied: boolean;
};

/**
 * Carries out a change of who may read, or only plans it.
 * @throws {ClefError} `protected`, `not_confirmed`, `changed_meanwhile` where somebody would gain access who was not shown,
 * what `plan` throws, and what opening and committing cells can give.
 */
export async function changeReaders(repository: Repository, change: ReadersChange): Promise<ChangedReaders> {
  const { review, how, purpose } = change;
  const first = await planChange(repository, change);
  const changes = first.changes.map(told);
  if (first.isNothing || review.isDryRun === true)
    return { changes, cells: first.plan.cells, applied: false };
  await askToConfirm(first.doubts, review.confirm, () => review.show?.(changes));
  const { root, world } = repository;
  const lock = { purpose, now: world.now, randomBytes: world.randomBytes };
  return withRepositoryLock(root, lock, async ({ commit }) => {
    // Planned again: a cell may have been made or changed between our first look and the lock.
    const current = await openRepository(world, root);
    const { plan, changes: found } = await planChange(current, change);
    refuseSurprises(first.changes, found);
    refuseUnconfirmed(first.doubts, plan.doubts);
    const cells = await rewrapCells(current, plan.cells, { manifest: plan.manifest, how });
    await commit([...plan.files, ...(await planSopsConfig(current, plan.manifest)), ...cells]);
    return { changes: found.map(told), cells: plan.cells, applied: true };
  });
}

type Planned = {
  readonly plan: ReadersPlan;
  readonly changes: readonly JudgedChange[];
  readonly doubts: Doubts;
  readonly isNothing: boolean;
};

async function planChange(repository: Repository, { plan: planOf, how }: ReadersChange): Promise<Planned> {
  const plan = await planOf(repository);
  const changes = plan.cells.flatMap((sealed) =>
    readerChanges(repository.world, sealed, repository.manifest, plan.manifest),
  );
  // Wrapping leaves such a file alone: it is refused when its turn comes.
  const reasons = how === 'wrap' ? [] : changes.filter(({ isExpected }) => !isExpected).map(surprise);
  const doubts = { ...plan.doubts, reasons: [...plan.doubts.reasons, ...reasons.slice(0, mostReasons)] };
  return { plan, changes, doubts, isNothing: plan.files.length === 0 && plan.cells.length === 0 };
}

const mostReasons = 3;

/** A change that the manifests do not account for: clef.yaml was edited by hand, or the file by somebody. */
function surprise({ cell, change, person, key }: JudgedChange): string {
  const who = person ?? shortKey(key);
  return change === 'gains'
    ? `"${cell}" does not have ${who} among its recipients yet, whom clef.yaml names`
    : `"${cell}" has ${who} among its recipients, whom clef.yaml does not name`;
}

/** What was confirmed is what was shown: nobody else may come in while a person thinks. */
function refuseSurprises(shown: readonly JudgedChange[], found: readonly JudgedChange[]): void {
  const known = new Set(shown.map(({ cell, key }) => `${cell} ${key}`));
  const surprising = found.find(({ isExpected, cell, key }) => !isExpected && !known.has(`${cell} ${key}`));
  if (surprising === undefined) return;
  throw new ClefError({
    code: 'changed_meanwhile',
    message: `"${surprising.cell}" was changed while Clef worked; nothing was written`,
    hint: 'look at who changed the file and run the command again',
  });
}

/** clef.yaml may grant more by now: a protected environment that nobody was asked about needs a question of its own. */
function refuseUnconfirmed(asked: Doubts, found: Doubts): void {
  const confirmed = new Set(asked.protectedLabels.map(environmentOf));
  const label = found.protectedLabels.find((name) => !confirmed.has(environmentOf(name)));
  if (label === undefined) return;
  throw new ClefError({
    code: 'changed_meanwhile',
    message: `${manifestName} was changed while Clef worked, and the change would concern "${label}" now, which is protected; nothing was written`,
    hint: `look at what was changed in ${manifestName} and run the command again`,
  });
}

/** A protected label is a cell, or an environment of which no cell exists. */
function environmentOf(label: string): string {
  return label.slice(label.indexOf('/') + 1);
}

function told({ isExpected: _, ...change }: JudgedChange): ReaderChange {
  return change;
}

/** clef.yaml with another text, and the manifest that it holds; no change where it is the same. */
export function planManifest(
  repository: Repository,
  text: string,
): { readonly manifest: Manifest; readonly files: readonly FileChange[] } {
  const after = new TextEncoder().encode(text);
  if (Buffer.compare(after, repository.manifestBytes) === 0)
    return { manifest: repository.manifest, files: [] };
  return {
    manifest: parseManifest(after, manifestName),
    files: [{ path: manifestName, before: repository.manifestBytes, after }],
  };
}

/** The cells of the matrix that have a file. */
export async function readMatrix(repository: Repository): Promise<readonly SealedCell[]> {
  const { world, manifest } = repository;
  const cells = await inParallel(world, 'Reading cells', matrixCells(manifest), (cell) =>
    readSealedCell(repository, cell),
  );
  return cells.filter((sealed) => sealed !== undefined);
}

/** The cells with a file that another manifest grants to others. */
export async function readCellsGranted(
  repository: Repository,
  after: Manifest,
): Promise<readonly SealedCell[]> {
  const { world, manifest } = repository;
  const concerned = matrixCells(manifest).filter((cell) => !hasSameReaders(manifest, after, cell));
  const cells = await inParallel(world, 'Reading cells', concerned, (cell) =>
    readSealedCell(repository, cell),
  );
  return cells.filter((sealed) => sealed !== undefined);
}
