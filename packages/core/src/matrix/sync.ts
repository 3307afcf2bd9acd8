// The tree as clef.yaml describes it: a file for every cell of the matrix, and a `.sops.yaml` under which stock sops
// encrypts these files to the same keys. What is there already is never changed.
import { matrixCells } from '../cells/cell.ts';
import { askToConfirm } from '../cells/confirm.ts';
import { inParallel } from '../cells/in-parallel.ts';
import { readSopsConfig, sopsConfigChange } from '../cells/sops-config.ts';
import { type Confirm, planEmptyCell } from '../cells/write.ts';
import { openRepository, type Repository, readFileIn } from '../repository.ts';
import { type FileChange, withRepositoryLock } from '../transaction/commit-files.ts';

export type SyncRequest = {
  readonly confirm: Confirm;
  /** Replace a `.sops.yaml` that Clef did not write. */
  readonly force: boolean;
  readonly isDryRun?: boolean;
};

export type SyncResult = {
  /** The cells that had no file. */
  readonly cells: readonly string[];
  /** `foreign`: somebody else's, and left alone. */
  readonly sopsConfig: 'written' | 'unchanged' | 'foreign';
  /** False where there was nothing to do, and for a dry run. */
  readonly changed: boolean;
};

const maxCellBytes = 64 * 1024 * 1024;

/**
 * Makes the missing cells, without keys, and writes `.sops.yaml`, in one transaction.
 * @throws {ClefError} `protected`, `no_recipients`, what a KMS and committing can give.
 */
export async function syncMatrix(repository: Repository, request: SyncRequest): Promise<SyncResult> {
  const first = await planSync(repository, request);
  const protectedLabels = first.cells.filter((cell) => cell.isProtected).map((cell) => cell.label);
  const isNothing = first.cells.length === 0 && first.config.files.length === 0;
  const result = { cells: first.cells.map(({ label }) => label), sopsConfig: first.config.state };
  if (isNothing || request.isDryRun === true) return { ...result, changed: false };
  await askToConfirm({ what: 'Make the missing cells', protectedLabels, reasons: [] }, request.confirm);
  const { root, world } = repository;
  const lock = { purpose: 'sync', now: world.now, randomBytes: world.randomBytes };
  return withRepositoryLock(root, lock, async ({ commit }) => {
    const current = await openRepository(world, root);
    const { cells, config } = await planSync(current, request);
    const files = await inParallel(world, 'Making cells', cells, (cell) => planEmptyCell(current, cell));
    await commit([...config.files, ...files]);
    return { cells: cells.map(({ label }) => label), sopsConfig: config.state, changed: true };
  });
}

async function planSync(repository: Repository, { force }: SyncRequest) {
  const { manifest, root } = repository;
  const all = matrixCells(manifest);
  const files = await inParallel(repository.world, 'Looking at cells', all, (cell) =>
    readFileIn(root, cell.path, maxCellBytes),
  );
  const { state, bytes } = await readSopsConfig(repository);
  const change: readonly FileChange[] =
    state === 'foreign' && !force ? [] : sopsConfigChange(repository.world, manifest, bytes);
  const sopsConfig: SyncResult['sopsConfig'] =
    change.length > 0 ? 'written' : state === 'foreign' ? 'foreign' : 'unchanged';
  return {
    cells: all.filter((_, index) => files[index] === undefined),
    config: { state: sopsConfig, files: change },
  };
}
