// `clef revoke`: publishes a signed artifact that ends all before it. The agent that reads it wipes memory and disk.
import { ArtifactError, sealRevocation } from '@clef/artifact';
import { askIfProtected, type Confirm } from '../cells/write.ts';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { headCommit } from '../git/git.ts';
import { findEnvironment, findServiceEnvironment } from '../manifest/find.ts';
import type { Repository } from '../repository.ts';
import { openDestination } from './destinations/open-destination.ts';
import { findTrustedSigner, nextHeader, type PackTarget, readPrevious } from './publication.ts';

/** The header wants a date; a revocation has no end, whatever it says. */
const nominalExpirySeconds = 366 * 24 * 3600;

export type RevokeRequest = PackTarget & {
  /** Stands in the clear in the revocation. */
  readonly reason: string;
  /** Where the artifact is that the agents read; without it nothing is written. */
  readonly destination?: string;
  readonly confirm: Confirm;
};

export type Revoked = PackTarget & {
  readonly revision: number;
  readonly reason: string;
  readonly destination?: string;
  readonly artifact: Uint8Array;
};

/**
 * Revokes what was packed for a service identity in an environment. The next `pack` to the same place is accepted again, as
 * its revision is higher.
 * @throws {ClefError} `unknown_service`, `protected`, `signing_key`, `usage` for a reason that cannot be stated,
 * `already_exists`, `changed_meanwhile`, `destination`, `io`, `kms_denied`, `kms_unavailable`, `kms_mismatch`.
 */
export async function revokeService(repository: Repository, request: RevokeRequest): Promise<Revoked> {
  const { manifest, world, root } = repository;
  const { service, environment, reason } = request;
  const keys = findServiceEnvironment(manifest, service, environment);
  const destination =
    request.destination === undefined ? undefined : await openDestination(repository, request.destination);
  const previous = destination && (await readPrevious(repository, request, destination));
  const label = `${service}/${environment}`;
  const { protected: isProtected } = findEnvironment(manifest, environment);
  await askIfProtected([{ label, isProtected }], request.confirm, `Revoke ${label}: its agents stop serving`);
  const signer = await findTrustedSigner(repository, request, keys);
  const header = nextHeader(repository, request, {
    previous,
    expiresInSeconds: nominalExpirySeconds,
    commit: await headCommit(world, root),
  });
  const artifact = await sealRevocation({ header, reason, signer }).catch((error: unknown) => {
    if (!(error instanceof ArtifactError)) throw fromGroundError(error, { action: `revoke ${label}` });
    throw new ClefError({
      code: 'usage',
      message: 'The reason of a revocation has 1 to 500 characters and no control characters',
      hint: 'write: clef revoke SERVICE ENVIRONMENT --reason "…"',
      cause: error,
    });
  });
  await destination?.write(artifact, previous);
  return {
    service,
    environment,
    revision: header.revision,
    reason,
    artifact,
    ...(destination !== undefined && { destination: destination.name }),
  };
}
