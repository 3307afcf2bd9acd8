// git at work in the same tree: Clef waits until git has released its index. A merge or a rebase that waits for a person
// is no reason to wait: that is when cells are repaired.

import { lstat, readFile, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClefError } from '../errors.ts';

/**
 * Returns when no git holds the index of the work tree around `root`.
 * @throws {ClefError} `git_busy` after `waitSeconds`.
 */
export async function waitForGit(root: string, waitSeconds: number): Promise<void> {
  const lock = await indexLockOf(root);
  if (lock === undefined) return;
  const deadline = performance.now() + waitSeconds * 1000;
  while (await exists(lock)) {
    if (performance.now() >= deadline) throw gitBusy(lock);
    await sleep(50);
  }
}

/** Whether git holds the index now. */
export async function isGitBusy(root: string): Promise<boolean> {
  const lock = await indexLockOf(root);
  return lock !== undefined && (await exists(lock));
}

/** Whether a work tree of git is around `root`. */
export async function hasGit(root: string): Promise<boolean> {
  return (await indexLockOf(root)) !== undefined;
}

/**
 * The path of git's lock on the index of the work tree around `root`; undefined outside of a work tree. Around the folder
 * itself, as git has it: what is above a link to it is another tree.
 */
async function indexLockOf(root: string): Promise<string | undefined> {
  for (let folder = await realpath(root).catch(() => root); ; folder = dirname(folder)) {
    const entry = join(folder, '.git');
    const facts = await lstat(entry).catch(() => undefined);
    if (facts?.isDirectory()) return join(entry, 'index.lock');
    if (facts?.isFile()) return await indexLockOfLinked(entry);
    if (folder === dirname(folder)) return undefined;
  }
}

/** A linked work tree or a submodule has a file `.git` that says "gitdir: PATH". */
async function indexLockOfLinked(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const path = /^gitdir: (.+)$/m.exec(text)?.[1];
  return path === undefined ? undefined : join(resolve(dirname(file), path.trim()), 'index.lock');
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

function gitBusy(lock: string): ClefError {
  return new ClefError({
    code: 'git_busy',
    message: `git is writing to this work tree: "${lock}" is there`,
    hint: 'wait until git is done and try again; where no git is running, remove that file',
  });
}
