// What an interrupted change left is settled before anything else: finished where its commit record is there, taken back
// where it is not. Each step may be interrupted in its turn and is done again by the next one.

import { escapeControl } from '@clef/strict';
import { ClefError } from '../errors.ts';
import type { World } from '../world.ts';
import { hasJournal, readJournal, removeJournal, removeRecord } from './journal.ts';
import { putInPlace, removeStaged, syncFolders, tidy } from './put-in-place.ts';

/** What was settled. */
export type Recovery = {
  readonly outcome: 'finished' | 'taken_back';
  /** What the interrupted command was doing. */
  readonly purpose: string;
  /** Files that somebody else has changed since; left as they are. */
  readonly changed: readonly string[];
};

/** Whether a change was interrupted here, or is being made. */
export async function needsRecovery(root: string): Promise<boolean> {
  return (await hasJournal(root, 'journal')) || (await hasJournal(root, 'journal.plan'));
}

/**
 * Settles what was interrupted, under the lock; undefined where there was nothing.
 * @throws {ClefError} `journal_unusable`, and what putting files in place can give: then nothing is lost, and the next
 * try starts where this one ended.
 * @param environment - In which git is found.
 */
export async function recover(
  root: string,
  environment?: World['environment'],
): Promise<Recovery | undefined> {
  const finished = (await hasJournal(root, 'journal')) ? await finish(root, environment) : undefined;
  const takenBack = (await hasJournal(root, 'journal.plan')) ? await takeBack(root, environment) : undefined;
  return finished ?? takenBack;
}

/** Several files: the commit record was durable, so every file of it is staged or in place. */
async function finish(root: string, environment: World['environment'] | undefined): Promise<Recovery> {
  const journal = await readJournal(root, 'journal', environment);
  if (journal === 'damaged') throw new Error('A commit record is never taken for torn');
  const changed: string[] = [];
  for (const file of journal.files) {
    if ((await putInPlace(root, file)) === 'changed') changed.push(file.path);
  }
  await syncFolders(root, journal);
  await removeStaged(root, journal);
  await tidy(root, journal);
  await removeRecord(root, journal);
  return { outcome: 'finished', purpose: journal.purpose, changed };
}

/** Nothing was put in place under a plan, or one file that is whole. */
async function takeBack(root: string, environment: World['environment'] | undefined): Promise<Recovery> {
  const journal = await readJournal(root, 'journal.plan', environment);
  if (journal === 'damaged') {
    await removeJournal(root, 'journal.plan', false);
    return { outcome: 'taken_back', purpose: 'it had hardly begun', changed: [] };
  }
  await removeStaged(root, journal);
  await tidy(root, { ...journal, discard: [] });
  await removeJournal(root, 'journal.plan', false);
  return { outcome: 'taken_back', purpose: journal.purpose, changed: [] };
}

/** The one line that tells a person. */
export function recoveryNotice({ outcome, purpose, changed }: Recovery): string {
  const what = outcome === 'finished' ? 'Finished' : 'Took back';
  const kept = changed.map((path) => `"${escapeControl(path)}"`).join(', ');
  const except = changed.length === 0 ? '' : `; left alone, because they were changed since: ${kept}`;
  return `${what} a change that was interrupted (${escapeControl(purpose)})${except}`;
}

/** For a writer that nobody told: what it is about to do was decided on files that are other ones now. */
export function changedSince(recovery: Recovery): ClefError {
  return new ClefError({
    code: 'changed_meanwhile',
    message: recoveryNotice(recovery),
    hint: 'look at these files and run the command again',
  });
}
