// What packing and revoking have in common: which service identity and environment, what is published there already, who
// signs, and the header of what comes next.
import { type ArtifactHeader, inspectArtifact, type Signer } from '@clef/artifact';
import { formatTimestamp } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { findSigner } from '../keys/signing-key.ts';
import type { ServiceEnvironment } from '../manifest/manifest.ts';
import type { Repository } from '../repository.ts';
import type { Destination, Stored } from './destinations/destination.ts';

/** One service identity in one environment: what has an artifact of its own. */
export type PackTarget = { readonly service: string; readonly environment: string };

const furthestAheadMilliseconds = 24 * 3600 * 1000;

/** What a destination holds, and the revision that the next one must exceed. */
export type Previous = Stored & { readonly revision: number };

/**
 * The artifact that a destination holds; refuses anything else there (catalogue INV-43). Nobody has verified it.
 * @throws {ClefError} `already_exists`, and what reading the destination can give.
 */
export async function readPrevious(
  { manifest, world }: Repository,
  { service, environment }: PackTarget,
  destination: Destination,
): Promise<Previous | undefined> {
  const stored = await destination.read();
  if (stored === undefined) return undefined;
  const foreign = (what: string, cause?: unknown): ClefError =>
    new ClefError({
      code: 'already_exists',
      message: `Cannot publish to "${destination.name}": ${what}`,
      hint: 'name another place, or move this one away',
      cause,
    });
  let header: ArtifactHeader;
  try {
    header = inspectArtifact(stored.bytes).header;
  } catch (error) {
    throw foreign('there is something that is no artifact', error);
  }
  const isOurs =
    header.repository === manifest.repository &&
    header.identity === service &&
    header.environment === environment;
  if (!isOurs) throw foreign('it holds the artifact of another repository, service identity or environment');
  // A revision from the future would lead ours past what any agent accepts (INV-49).
  if (header.revision > world.now() + furthestAheadMilliseconds)
    throw foreign('it holds an artifact whose revision is more than a day ahead');
  return { ...stored, revision: header.revision };
}

/**
 * Who signs for a target, and is trusted by its agent.
 * @throws {ClefError} `signing_key`, `io`, `kms_denied`, `kms_unavailable`, `kms_mismatch`.
 */
export async function findTrustedSigner(
  { world }: Repository,
  { service, environment }: PackTarget,
  { sign, verify }: Pick<ServiceEnvironment, 'sign' | 'verify'>,
): Promise<Signer> {
  const signer = await findSigner(world, sign);
  const own = signer.verifyKey.text;
  if (verify.some(({ text }) => text === own)) return signer;
  const [whose, otherwise] =
    sign === undefined
      ? ['Your signing key', 'sign with the right key (CLEF_SIGNING_KEY_FILE)']
      : ['The public half of the "sign" key', 'name the right key in "sign"'];
  throw new ClefError({
    code: 'signing_key',
    message: `${whose} is not among the "verify" keys of ${service}/${environment}: its agent would refuse the artifact`,
    hint: `${otherwise}, or add ${own} to "verify" in clef.yaml`,
  });
}

/** The header of what is published next: its revision exceeds the one before, and is the time in milliseconds if it can be. */
export function nextHeader(
  { manifest, world }: Repository,
  { service, environment }: PackTarget,
  facts: {
    readonly previous: Previous | undefined;
    readonly expiresInSeconds: number;
    readonly commit: string | undefined;
  },
): ArtifactHeader {
  const now = world.now();
  return {
    version: 1,
    repository: manifest.repository,
    identity: service,
    environment,
    revision: Math.max((facts.previous?.revision ?? 0) + 1, now),
    ...(facts.commit !== undefined && { commit: facts.commit }),
    packedAt: formatTimestamp(now),
    expiresAt: formatTimestamp(now + facts.expiresInSeconds * 1000),
  };
}
