// The repository as it stands: its cells, who they are encrypted to, and whether the person here can read them.
import { recipientName, recipientsOf } from '@clef/sops';
import { matrixCells } from '../../cells/cell.ts';
import { inParallel } from '../../cells/in-parallel.ts';
import { openSealedCell, readSealedCell, recipientDifference, type SealedCell } from '../../cells/read.ts';
import { readSopsConfig, sopsConfigChange } from '../../cells/sops-config.ts';
import { ClefError } from '../../errors.ts';
import { gitState, ignoredPaths } from '../../git/git.ts';
import { ownRecipients } from '../../keys/age-keys.ts';
import type { Manifest } from '../../manifest/manifest.ts';
import type { Repository } from '../../repository.ts';
import { isLockUnclear } from '../../transaction/repository-lock.ts';
import type { Report } from './finding.ts';

/**
 * @param open - Try to decrypt every cell: may ask for a passphrase and call a KMS. Without it only recipients are compared.
 * @param ownKeys - Say what the person here can read.
 */
export async function checkCells(
  repository: Repository,
  { open, ownKeys }: { readonly open: boolean; readonly ownKeys: boolean },
  report: Report,
): Promise<void> {
  const { world, manifest } = repository;
  const cells = matrixCells(manifest);
  const sealed = (
    await inParallel(world, 'Reading cells', cells, (cell) =>
      reported(report, () => readSealedCell(repository, cell)),
    )
  ).filter((cell) => cell !== undefined);
  for (const cell of sealed) checkRecipients(repository, cell, report);
  report.ok(`${sealed.length} of ${cells.length} cells are there`);
  if (open) await tryToOpen(repository, sealed, report);
  if (!ownKeys) return;
  const own = (await reported(report, () => ownRecipients(repository.world))) ?? [];
  if (!open) countReadable(sealed, own, report);
  checkPerson(manifest, own, report);
}

/** What a result of `git check-ignore` would keep out of every commit. */
export async function checkIgnored({ world, root, manifest }: Repository, report: Report): Promise<void> {
  const git = await gitState(world, root);
  if (git.kind !== 'inside') {
    if (git.kind === 'outside') report.warning('This folder is in no git repository', 'run "git init"');
    return;
  }
  const paths = ['clef.yaml', ...matrixCells(manifest).flatMap((cell) => [cell.path, cell.sidecarPath])];
  const ignored = await ignoredPaths(world, root, paths);
  if (ignored.length === 0) report.ok('git ignores no file of Clef');
  else
    report.problem(
      `git ignores ${ignored.length} files of Clef, "${ignored[0]}" among them: they would never be committed`,
      'take the rule out of .gitignore; cells are ciphertext, and belong in git',
    );
}

/** Whether stock sops encrypts as clef.yaml says, and whether an old lock is in everybody's way. */
export async function checkUpkeep(repository: Repository, report: Report): Promise<void> {
  if (await isLockUnclear(repository.root))
    report.problem(
      'There is a lock on this repository whose holder cannot be seen from here',
      'make sure that no other Clef is running on it, then add --break-lock to any command',
    );
  const { state, bytes } = await readSopsConfig(repository);
  const change =
    state === 'ours'
      ? await reported(report, async () => sopsConfigChange(repository.world, repository.manifest, bytes))
      : [];
  if (change !== undefined && change.length > 0)
    report.warning('.sops.yaml is not what clef.yaml gives', 'run "clef sync"');
}

function checkRecipients(repository: Repository, sealed: SealedCell, report: Report): void {
  const difference = recipientDifference(repository, sealed);
  if (difference === undefined) return;
  report.problem(
    `The recipients of "${sealed.cell.label}" are not those of clef.yaml (${difference})`,
    `look at who changed which with "git log -p"; then run: clef rotate ${sealed.cell.label}`,
  );
}

function countReadable(sealed: readonly SealedCell[], own: readonly string[], report: Report): void {
  const readable = sealed.filter(({ file }) =>
    recipientsOf(file).some((recipient) => own.includes(recipientName(recipient))),
  );
  report.ok(
    `${readable.length} of ${sealed.length} cells are encrypted to an age key of yours (--open tries them all)`,
  );
}

async function tryToOpen(
  repository: Repository,
  sealed: readonly SealedCell[],
  report: Report,
): Promise<void> {
  let opened = 0;
  // One after the other: the first may ask for a passphrase.
  for (const [index, cell] of sealed.entries()) {
    repository.world.progress?.({ what: 'Opening cells', done: index, total: sealed.length });
    try {
      await openSealedCell(repository, cell);
      opened += 1;
    } catch (error) {
      if (!(error instanceof ClefError)) throw error;
      // Not to be let in is no fault; everything else is.
      if (error.code !== 'cannot_decrypt' && error.code !== 'no_age_key')
        report.problem(error.message, error.hint);
    }
  }
  repository.world.progress?.({ what: 'Opening cells', done: sealed.length, total: sealed.length });
  report.ok(`${opened} of ${sealed.length} cells open with your keys`);
}

function checkPerson(manifest: Manifest, own: readonly string[], report: Report): void {
  const [first] = own;
  if (first === undefined) return;
  const person = manifest.recipients.find(({ keys }) => keys.some(({ text }) => own.includes(text)));
  if (person !== undefined) report.ok(`you are "${person.name}" in clef.yaml`);
  else
    report.warning(
      'No key of yours is in clef.yaml',
      'run "clef init": it prints the line that a teammate runs to let you in',
    );
}

/** The result; an error that a person can do something about goes into the report instead. */
async function reported<T>(report: Report, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    report.problem(error.message, error.hint);
    return undefined;
  }
}
