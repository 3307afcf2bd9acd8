// `clef pack`: decrypt what service identities may have, merge it, seal each to a one-time key, sign, publish. Each cell is
// decrypted once, whoever shares it. Every artifact is complete or absent; values exist only in memory.
import { type SealRequest, sealArtifact } from '@clef/artifact';
import { isKmsKey } from '@clef/kms';
import type { Cell } from '../cells/cell.ts';
import { inParallel } from '../cells/in-parallel.ts';
import { type OpenedCell, openSealedCell } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { headCommit } from '../git/git.ts';
import { openCloudKeys } from '../keys/cloud-keys.ts';
import { findService, findServiceEnvironment } from '../manifest/find.ts';
import type { ServiceEnvironment, ServiceIdentity } from '../manifest/manifest.ts';
import type { Repository } from '../repository.ts';
import type { World } from '../world.ts';
import type { Destination } from './destinations/destination.ts';
import { openDestination } from './destinations/open-destination.ts';
import {
  findTrustedSigner,
  nextHeader,
  type PackTarget,
  type Previous,
  readPrevious,
} from './publication.ts';
import { cellsInScope, mergeCells, readForPacking, refuseDirty } from './scope.ts';

const defaultExpirySeconds = 30 * 24 * 3600;

export type PackOptions = {
  readonly expiresInSeconds?: number;
  /** Pack what is on disk although it differs from HEAD in a protected environment. */
  readonly allowDirty: boolean;
  /** Check and decrypt everything, and stop before anything is sealed, signed or written. */
  readonly isDryRun?: boolean;
};

export type PackRequest = PackTarget &
  Omit<PackOptions, 'isDryRun'> & {
    /** A file or an address that is replaced, and whose revision the new one exceeds; without it nothing is written. */
    readonly destination?: string;
  };

export type PackAllRequest = PackOptions & {
  readonly targets: readonly PackTarget[];
  /** Where the artifact of a target goes. */
  readonly destinationOf: (target: PackTarget) => string | undefined;
};

/** What was packed, or by a dry run would be. */
export type PackSummary = PackTarget & {
  readonly revision: number;
  readonly expiresAt: string;
  readonly commit?: string;
  readonly cells: readonly string[];
  readonly keyCount: number;
  /** As a person named it, without what could be a credential. */
  readonly destination?: string;
};

/** A dry run makes no artifact. */
export type Packed<Artifact = Uint8Array> = PackSummary & { readonly artifact: Artifact };

/** {@link packServices} for one. */
export async function packService(
  repository: Repository,
  { service, environment, destination, ...options }: PackRequest,
): Promise<Packed> {
  const targets = [{ service, environment }];
  const [packed] = await packServices(repository, { ...options, targets, destinationOf: () => destination });
  return packed as Packed;
}

/**
 * The service identities and environments that a person names: every environment of every identity, narrowed to what is
 * named. What is named must exist.
 * @throws {ClefError} `unknown_service`, `usage` where nothing is left.
 */
export function findPackTargets(
  { manifest }: Repository,
  named: { readonly services?: readonly string[]; readonly environments?: readonly string[] },
): readonly PackTarget[] {
  const services = named.services?.map((name) => findService(manifest, name)) ?? manifest.serviceIdentities;
  const targets = services.flatMap(({ name: service, environments }) => {
    if (named.services !== undefined)
      for (const environment of named.environments ?? [])
        findServiceEnvironment(manifest, service, environment);
    return [...environments.keys()]
      .filter((environment) => named.environments?.includes(environment) ?? true)
      .map((environment) => ({ service, environment }));
  });
  if (targets.length > 0) return targets;
  throw new ClefError({
    code: 'usage',
    message: 'No service identity of clef.yaml is in these environments',
    hint: 'run "clef service list" to see them, or "clef service create" to make one',
  });
}

/**
 * Packs several service identities. All are sealed before the first is published; where publishing one fails, the error
 * says which were published before.
 * @throws {ClefError} `unknown_service`, `missing_cell`, `pending_key`, `key_conflict`, `recipients_differ`,
 * `dirty_tree`, `signing_key`, `kms_denied`, `kms_unavailable`, `kms_mismatch`, `already_exists` where a destination
 * is something else than an artifact of its identity, `changed_meanwhile` and `lock_held` where others write there too,
 * `destination`, `limit`, and what opening a cell can give.
 */
export async function packServices(
  repository: Repository,
  request: PackAllRequest,
): Promise<readonly Packed<Uint8Array | undefined>[]> {
  const { world, root } = repository;
  const plans = await inParallel(world, 'Reading cells', request.targets, (target) =>
    planPack(repository, target, request.destinationOf(target)),
  );
  const cells = [...new Map(plans.flatMap((plan) => plan.cells).map((cell) => [cell.path, cell])).values()];
  const readCell = once((cell: Cell) => readForPacking(repository, cell));
  await inParallel(world, 'Reading cells', cells, readCell);
  if (!request.allowDirty) await refuseDirty(repository, cells);
  const commit = await headCommit(world, root);
  const openOnce = once(async (cell: Cell) => openSealedCell(repository, await readCell(cell)));
  const packs = await inParallel(world, 'Sealing artifacts', plans, async (plan) =>
    sealPlan(repository, plan, await Promise.all(plan.cells.map(openOnce)), { ...request, commit }),
  );
  if (request.isDryRun !== true) await publishAll(world, plans, packs);
  return packs;
}

type Plan = PackTarget & {
  readonly identity: ServiceIdentity;
  readonly keys: ServiceEnvironment;
  readonly cells: readonly Cell[];
  readonly destination: Destination | undefined;
  readonly previous: Previous | undefined;
};

async function planPack(
  repository: Repository,
  target: PackTarget,
  destinationText: string | undefined,
): Promise<Plan> {
  const identity = findService(repository.manifest, target.service);
  const keys = findServiceEnvironment(repository.manifest, target.service, target.environment);
  const destination =
    destinationText === undefined ? undefined : await openDestination(repository, destinationText);
  return {
    ...target,
    identity,
    keys,
    cells: cellsInScope(repository, identity, target.environment),
    destination,
    previous: destination && (await readPrevious(repository, target, destination)),
  };
}

async function sealPlan(
  repository: Repository,
  plan: Plan,
  opened: readonly OpenedCell[],
  options: PackOptions & { readonly commit: string | undefined },
): Promise<Packed<Uint8Array | undefined>> {
  const { identity, keys, cells, destination, previous, service, environment } = plan;
  const secrets = mergeCells(identity, opened);
  const expiresInSeconds = options.expiresInSeconds ?? defaultExpirySeconds;
  const header = nextHeader(repository, plan, { previous, expiresInSeconds, commit: options.commit });
  const { revision, expiresAt, commit } = header;
  const summary = {
    service,
    environment,
    revision,
    expiresAt,
    cells: cells.map((cell) => cell.label),
    keyCount: secrets.size,
    ...(commit !== undefined && { commit }),
    ...(destination !== undefined && { destination: destination.name }),
  };
  const signer = await findTrustedSigner(repository, plan, keys);
  if (options.isDryRun === true) return { ...summary, artifact: undefined };
  return {
    ...summary,
    artifact: await seal(repository.world, { header, secrets, sealingKey: keys.seal, signer }),
  };
}

async function seal(world: World, request: SealRequest): Promise<Uint8Array> {
  try {
    return await sealArtifact({
      ...request,
      ...(isKmsKey(request.sealingKey) && { kms: openCloudKeys(world) }),
    });
  } catch (error) {
    const { identity, environment } = request.header;
    throw fromGroundError(error, { action: `pack ${identity}/${environment}` });
  }
}

/** One after the other would be slow, and all at once would leave nobody to say what was done: the error does. */
async function publishAll(
  world: World,
  plans: readonly Plan[],
  packs: readonly Packed<Uint8Array | undefined>[],
): Promise<void> {
  const published: string[] = [];
  try {
    await inParallel(world, 'Publishing artifacts', [...plans.entries()], async ([index, plan]) => {
      const artifact = packs[index]?.artifact;
      if (plan.destination === undefined || artifact === undefined) return;
      await plan.destination.write(artifact, plan.previous);
      published.push(`${plan.service}/${plan.environment}`);
    });
  } catch (error) {
    if (!(error instanceof ClefError) || published.length === 0) throw error;
    throw new ClefError({
      code: error.code,
      message: `${error.message} (published before that: ${published.join(', ')})`,
      hint: error.hint,
      cause: error,
    });
  }
}

/** The same promise for the same cell, whoever asks. */
function once<T>(work: (cell: Cell) => Promise<T>): (cell: Cell) => Promise<T> {
  const begun = new Map<string, Promise<T>>();
  return (cell) => {
    const known = begun.get(cell.path) ?? work(cell);
    begun.set(cell.path, known);
    return known;
  };
}
