// `clef pack`: decrypt what one service identity may have, merge it, seal it to a one-time key, sign it. The output is
// complete or absent; values exist only in memory.
import { resolve } from 'node:path';
import { inspectArtifact, type SealRequest, sealArtifact } from '@clef/artifact';
import { HostError, readRegularFile, replaceFile } from '@clef/host';
import { isKmsKey, type KeyReference } from '@clef/kms';
import { formatTimestamp } from '@clef/strict';
import { type Cell, cellOf } from '../cells/cell.ts';
import {
  openSealedCell,
  readSidecar,
  refuseDifferentRecipients,
  requireSealedCell,
  type SealedCell,
} from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { headCommit, pathsDifferentFromHead } from '../git/git.ts';
import { openCloudKeys } from '../keys/cloud-keys.ts';
import { findSigner } from '../keys/signing-key.ts';
import { findEnvironment, findService, findServiceEnvironment } from '../manifest/find.ts';
import type { ServiceIdentity } from '../manifest/manifest.ts';
import { servedName } from '../manifest/served-name.ts';
import { manifestName, type Repository } from '../repository.ts';
import { acquireLock, type HeldLock } from '../transaction/repository-lock.ts';
import type { World } from '../world.ts';

const defaultExpirySeconds = 30 * 24 * 3600;
const maxArtifactBytes = 1024 * 1024;
const furthestAheadMilliseconds = 24 * 3600 * 1000;

export type PackRequest = {
  readonly service: string;
  readonly environment: string;
  readonly expiresInSeconds?: number;
  /** Pack what is on disk although it differs from HEAD in a protected environment. */
  readonly allowDirty: boolean;
  /** A file that is replaced, and whose revision the new one exceeds; without it nothing is written. */
  readonly destination?: string;
};

export type Packed = {
  readonly service: string;
  readonly environment: string;
  readonly revision: number;
  readonly expiresAt: string;
  readonly commit?: string;
  readonly cells: readonly string[];
  readonly keyCount: number;
  readonly artifact: Uint8Array;
};

/**
 * Packs one service identity for one environment.
 * @throws {ClefError} `unknown_service`, `missing_cell`, `pending_key`, `key_conflict`, `recipients_differ`,
 * `dirty_tree`, `signing_key`, `kms_denied`, `kms_unavailable`, `kms_mismatch`, `already_exists` where the destination
 * is something else than an artifact of this identity, `changed_meanwhile` and `lock_held` where others write there too,
 * `limit`, and what opening a cell can give.
 */
export async function packService(repository: Repository, request: PackRequest): Promise<Packed> {
  const { manifest, world, root } = repository;
  const service = findService(manifest, request.service);
  const {
    seal: sealingKey,
    sign,
    verify,
  } = findServiceEnvironment(manifest, request.service, request.environment);
  const cells = cellsInScope(repository, service, request.environment);
  const [signer, previous, sealed] = await Promise.all([
    findSigner(world, sign),
    readPrevious(repository, request),
    readCells(repository, cells),
  ]);
  // After reading: what was read is what is compared with HEAD, and what is packed.
  if (!request.allowDirty) await refuseDirty(repository, cells);
  refuseForeignSigner(
    request,
    signer.verifyKey.text,
    verify.map((key) => key.text),
    sign,
  );
  const [secrets, commit] = await Promise.all([
    mergeCells(repository, service, sealed),
    headCommit(world, root),
  ]);
  const nowMilliseconds = world.now();
  const revision = Math.max((previous?.revision ?? 0) + 1, nowMilliseconds);
  const expiresAt = formatTimestamp(
    nowMilliseconds + (request.expiresInSeconds ?? defaultExpirySeconds) * 1000,
  );
  const header = {
    version: 1,
    repository: manifest.repository,
    identity: service.name,
    environment: request.environment,
    revision,
    ...(commit !== undefined && { commit }),
    packedAt: formatTimestamp(nowMilliseconds),
    expiresAt,
  } as const;
  const artifact = await seal(world, { header, secrets, sealingKey, signer });
  if (request.destination !== undefined) await publish(repository, request.destination, artifact, previous);
  return {
    service: service.name,
    environment: request.environment,
    revision,
    expiresAt,
    cells: cells.map((cell) => cell.label),
    keyCount: secrets.size,
    artifact,
    ...(commit !== undefined && { commit }),
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

function cellsInScope(
  { manifest }: Repository,
  service: ServiceIdentity,
  environmentName: string,
): readonly Cell[] {
  const environment = findEnvironment(manifest, environmentName);
  return service.namespaces.map((namespace) =>
    cellOf(manifest, { namespace, environment: environmentName }, environment),
  );
}

/** The cells, checked as far as that needs no key: encrypted to whom the manifest says, and without a pending key. */
async function readCells(repository: Repository, cells: readonly Cell[]): Promise<readonly SealedCell[]> {
  return Promise.all(
    cells.map(async (cell) => {
      const [sealed, { sidecar }] = await Promise.all([
        requireSealedCell(repository, cell),
        readSidecar(repository, cell),
      ]);
      refuseDifferentRecipients(repository, sealed, 'pack');
      const [pending] = sidecar.pending;
      if (pending === undefined) return sealed;
      throw new ClefError({
        code: 'pending_key',
        message: `Cannot pack "${cell.label}": "${pending}" is pending, it has no value yet`,
        hint: `run "clef set ${cell.label} ${pending}"`,
        location: { file: cell.sidecarPath, key: pending },
      });
    }),
  );
}

async function refuseDirty({ manifest, world, root }: Repository, cells: readonly Cell[]): Promise<void> {
  if (!cells.some((cell) => cell.isProtected)) return;
  const scope = [manifestName, ...cells.map((cell) => cell.path)];
  const [first, ...more] = await pathsDifferentFromHead(world, root, scope);
  if (first === undefined) return;
  throw new ClefError({
    code: 'dirty_tree',
    message: `Cannot pack a protected environment: "${first}"${more.length > 0 ? ` and ${more.length} more` : ''} differs from HEAD`,
    hint: `commit it, so that review sees what is packed; or pass --allow-dirty (repository ${manifest.repository})`,
    location: { file: first },
  });
}

/** All values in scope as one flat map; with `prefix: namespace`, DB_URL of database becomes database__DB_URL. */
async function mergeCells(
  repository: Repository,
  service: ServiceIdentity,
  cells: readonly SealedCell[],
): Promise<ReadonlyMap<string, string>> {
  const opened = await Promise.all(cells.map((sealed) => openSealedCell(repository, sealed)));
  const merged = new Map<string, string>();
  const owners = new Map<string, Cell>();
  for (const { cell, values } of opened) {
    for (const [key, value] of values) {
      const name = servedName(service, cell.namespace, key);
      const owner = owners.get(name);
      if (owner !== undefined) throw conflict(name, owner, cell);
      owners.set(name, cell);
      merged.set(name, value);
    }
  }
  return merged;
}

function conflict(name: string, first: Cell, second: Cell): ClefError {
  return new ClefError({
    code: 'key_conflict',
    message: `"${name}" is defined twice: in "${first.label}" and in "${second.label}"`,
    hint: 'rename one of them, or set "prefix: namespace" on the service identity',
    location: { file: second.path, key: name },
  });
}

function refuseForeignSigner(
  request: PackRequest,
  own: string,
  trusted: readonly string[],
  kmsKey: KeyReference | undefined,
): void {
  if (trusted.includes(own)) return;
  const [whose, otherwise] =
    kmsKey === undefined
      ? ['Your signing key', 'sign with the right key (CLEF_SIGNING_KEY_FILE)']
      : ['The public half of the "sign" key', 'name the right key in "sign"'];
  throw new ClefError({
    code: 'signing_key',
    message: `${whose} is not among the "verify" keys of ${request.service}/${request.environment}: its agent would refuse the artifact`,
    hint: `${otherwise}, or add ${own} to "verify" in clef.yaml`,
  });
}

type Previous = { readonly revision: number; readonly bytes: Uint8Array };

/** The artifact that the destination holds; refuses anything else there (catalogue INV-43). */
async function readPrevious(repository: Repository, request: PackRequest): Promise<Previous | undefined> {
  if (request.destination === undefined) return undefined;
  const path = resolve(repository.world.cwd, request.destination);
  const bytes = await readDestination(path, request.destination);
  if (bytes === undefined) return undefined;
  const foreign = (what: string, cause?: unknown): ClefError =>
    new ClefError({
      code: 'already_exists',
      message: `Cannot pack to "${request.destination}": ${what}`,
      hint: 'name another file, or move this one away',
      cause,
    });
  let reason = 'it holds the artifact of another repository, service identity or environment';
  try {
    const { header } = inspectArtifact(bytes);
    const isOurs =
      header.repository === repository.manifest.repository &&
      header.identity === request.service &&
      header.environment === request.environment;
    // Nobody has verified it: a revision from the future would lead ours past what any agent accepts (INV-49).
    if (header.revision > repository.world.now() + furthestAheadMilliseconds)
      reason = 'it holds an artifact whose revision is more than a day ahead';
    else if (isOurs) return { revision: header.revision, bytes };
  } catch (error) {
    throw foreign('there is a file that is no artifact', error);
  }
  throw foreign(reason);
}

async function readDestination(path: string, shown: string): Promise<Uint8Array | undefined> {
  try {
    return await readRegularFile(path, { maxBytes: maxArtifactBytes });
  } catch (error) {
    if (error instanceof HostError && error.code === 'not_found') return undefined;
    throw fromGroundError(error, { action: `pack to "${shown}"`, file: shown });
  }
}

/**
 * Replaces the destination in one step, unless another pack was faster. The lock of the repository makes comparing
 * and replacing one step; a read-only checkout has none, and is packed from without it.
 */
async function publish(
  repository: Repository,
  destination: string,
  artifact: Uint8Array,
  previous: Previous | undefined,
): Promise<void> {
  const lock = await lockUnlessReadOnly(repository);
  try {
    await replaceUnchanged(repository, destination, artifact, previous);
  } finally {
    await lock?.release();
  }
}

async function lockUnlessReadOnly({ root, world }: Repository): Promise<HeldLock | undefined> {
  try {
    return await acquireLock(root, { purpose: 'pack', now: world.now, randomBytes: world.randomBytes });
  } catch (error) {
    if (error instanceof ClefError && error.code === 'io') return undefined;
    throw error;
  }
}

async function replaceUnchanged(
  repository: Repository,
  destination: string,
  artifact: Uint8Array,
  previous: Previous | undefined,
): Promise<void> {
  const path = resolve(repository.world.cwd, destination);
  const current = await readDestination(path, destination);
  if (!isSame(current, previous?.bytes)) {
    throw new ClefError({
      code: 'changed_meanwhile',
      message: `Cannot pack to "${destination}": another pack wrote it meanwhile`,
      hint: 'run the command again',
    });
  }
  try {
    await replaceFile(path, artifact, { mode: 0o600 });
  } catch (error) {
    throw fromGroundError(error, { action: `pack to "${destination}"`, file: destination });
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.from(a).equals(b);
}
