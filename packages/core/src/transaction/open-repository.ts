// How a command comes to its repository: what an interrupted change left there is settled first, then it is read. Where
// that cannot be done a warning says so and reading goes on; a writer is refused when it takes the lock.

import { ClefError } from '../errors.ts';
import {
  findRepository,
  type Repository,
  openRepository as readRepository,
  startFolder,
} from '../repository.ts';
import type { World } from '../world.ts';
import { isGitBusy } from './git-busy.ts';
import { needsRecovery, recover, recoveryNotice } from './recover.ts';
import { acquireLock, isLocked, type LockOptions } from './repository-lock.ts';

/** A change in the middle of its renames is over long before; more is for writers, who must wait. */
const waitSeconds = 3;

/**
 * Opens the repository around a folder: the nearest one upwards with a clef.yaml. Settles an interrupted change before,
 * with a notice.
 * @param directory - Where to start; relative to the world's folder, which is the default.
 * @throws {ClefError} `no_repository`, `bad_path`, `io`, and every fault that parsing finds; `lock_held` where the world
 * asks for a lock to be broken and its holder lives.
 */
export async function openRepository(world: World, directory?: string): Promise<Repository> {
  const start = await startFolder(world, directory);
  // A killed "clef init" may have left its journal and no clef.yaml.
  await settle(world, start);
  const root = await findRepository(start);
  if (root !== start) await settle(world, root);
  return await readRepository(world, root);
}

/** Settles what was interrupted at `root`, with a notice; does nothing in a folder where nothing was. */
export async function settle(world: World, root: string): Promise<void> {
  const options = { purpose: 'finish an interrupted change', now: world.now, randomBytes: world.randomBytes };
  if (world.breakLock === true && (await isLocked(root))) await breakLock(root, options);
  if (!(await needsRecovery(root))) return;
  try {
    await settleUnderLock(world, root, { ...options, waitSeconds });
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    world.notify({ level: 'warning', message: `${error.message}; ${error.hint}` });
  }
}

async function breakLock(root: string, options: LockOptions): Promise<void> {
  const lock = await acquireLock(root, { ...options, breakLock: true });
  await lock.release();
}

async function settleUnderLock(world: World, root: string, options: LockOptions): Promise<void> {
  // git may be the one that called us, to show or to merge a cell; it rewrites files now.
  if (await isGitBusy(root)) return;
  const lock = await acquireLock(root, options);
  try {
    const recovery = await recover(root, world.environment);
    if (recovery === undefined) return;
    world.notify({
      level: recovery.changed.length > 0 ? 'warning' : 'note',
      message: recoveryNotice(recovery),
    });
  } finally {
    await lock.release();
  }
}
