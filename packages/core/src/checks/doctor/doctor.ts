// `clef doctor`: everything that Clef needs, looked at once, each trouble with its remedy. Changes nothing.
import { ClefError } from '../../errors.ts';
import { openRepository, type Repository } from '../../repository.ts';
import type { World } from '../../world.ts';
import { checkCells, checkIgnored, checkUpkeep } from './cells.ts';
import { type DoctorFinding, type Report, reportTo } from './finding.ts';
import { checkExtras, checkGit, checkNode, checkVariables } from './machine.ts';
import { checkOwnKeys } from './own-keys.ts';
import { checkRequests } from './requests.ts';

export type DoctorRequest = {
  readonly directory?: string;
  /** The version of the Node that runs this, such as 22.3.0. */
  readonly nodeVersion: string;
  /** Also decrypt every cell: may ask for a passphrase, and calls the KMS. */
  readonly open: boolean;
  /** Whether the person's own age keys belong to it; a machine of CI has none. */
  readonly ownKeys: boolean;
};

/** Looks at machine, keys and repository. A broken repository is a finding and no error. */
export async function examine(world: World, request: DoctorRequest): Promise<readonly DoctorFinding[]> {
  const findings: DoctorFinding[] = [];
  const report = (check: string): Report => reportTo(findings, check);
  // Whatever would be said on the way is found by the checks themselves.
  const quiet: World = { ...world, notify: () => undefined };
  checkNode(request.nodeVersion, report('node'));
  await checkGit(quiet, report('git'));
  checkVariables(quiet, report('settings'));
  await checkExtras(quiet, report('machine'));
  if (request.ownKeys) await checkOwnKeys(quiet, report('keys'));
  const repository = await openOrReport(quiet, request.directory, report('repository'));
  if (repository !== undefined) {
    await checkIgnored(repository, report('repository'));
    await checkUpkeep(repository, report('repository'));
    await checkRequests(repository, report('requests'));
    await checkCells(repository, request, report('cells'));
  }
  return findings;
}

async function openOrReport(
  world: World,
  directory: string | undefined,
  report: Report,
): Promise<Repository | undefined> {
  try {
    const repository = await openRepository(world, directory);
    report.ok(`clef.yaml is sound: "${repository.root}"`);
    return repository;
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    for (const { message } of error.faults.length > 1 ? error.faults : [error])
      report.problem(message, error.hint);
    return undefined;
  }
}
