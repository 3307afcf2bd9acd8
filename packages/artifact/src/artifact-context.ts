// What the wrapped one-time key is bound to (formats.md, "Wrapping"; catalogue INV-36): built here and nowhere else.
import type { KmsContext } from '@clef/kms';
import type { ArtifactHeader } from './artifact.ts';

export type ContextSource = Pick<ArtifactHeader, 'repository' | 'identity' | 'environment' | 'revision'> & {
  /** Hex SHA-256 of the decoded ciphertext. */
  readonly digest: string;
};

/**
 * The context under which a KMS wraps and unwraps the one-time key. An opener gives its own repository, identity and
 * environment, the revision of the verified header, and the digest it computed itself.
 */
export function artifactContext({
  repository,
  identity,
  environment,
  revision,
  digest,
}: ContextSource): KmsContext {
  return {
    label: 'clef.artifact.v1',
    entries: [
      ['clef:version', '1'],
      ['clef:repository', repository],
      ['clef:identity', identity],
      ['clef:environment', environment],
      ['clef:revision', String(revision)],
      ['clef:digest', digest],
    ],
  };
}
