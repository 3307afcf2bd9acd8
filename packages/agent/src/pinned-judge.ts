// Judges artifacts by the agent's own configuration: the names, keys and dates that count are pinned here, and nothing
// an artifact says of itself is believed. What a refusal means for the agent is one table.
import { realpath } from 'node:fs/promises';
import {
  type ArtifactCode,
  ArtifactError,
  type OpenPolicy,
  openArtifact,
  parseAgeIdentity,
  verifyArtifact,
} from '@clef/artifact';
import { HostError, readRegularFile } from '@clef/host';
import type { KeyReference, Kms } from '@clef/kms';
import { parseTimestamp } from '@clef/strict';
import type { AgentConfig } from './config.ts';
import { type Judge, type Judged, Refusal, type RefusalKind } from './judge.ts';
import type { Floor } from './sealed-cache.ts';
import type { AgentWorld } from './world.ts';

const maxKeyFileBytes = 16_384;

/** A key that the configuration names cannot be used. `message` completes "CLEF_AGENT_AGE_KEY_FILE …". */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
}

type Opener = { readonly sealingKey: KeyReference; readonly ageIdentity?: string };

/** Reads the age key, if that is what opens the artifact. Throws {@link KeyFileError}. The KMS is opened when first needed. */
export async function createJudge(
  config: AgentConfig,
  world: Pick<AgentWorld, 'now' | 'openKms'>,
): Promise<Judge> {
  const { repository, identity, environment, minRevision, isUnsignedAllowed } = config;
  const fixed = {
    repository,
    identity,
    environment,
    minRevision,
    allowUnsigned: isUnsignedAllowed,
    verifyKeys: config.verifyKeys,
    ...(config.key.kind === 'kms' ? { sealingKey: config.key.reference } : await readAgeKey(config.key.path)),
  };
  let kms: Kms | undefined;
  const unwrap: Kms['unwrap'] = (...question) => {
    kms ??= world.openKms();
    return kms.unwrap(...question);
  };
  return {
    open: (bytes, floor) => {
      const policy = { ...fixed, now: world.now(), ...(floor === undefined ? {} : { floor }) };
      return open(bytes, policy, unwrap);
    },
    payloadDigest: (bytes) => payloadDigest(bytes, fixed),
  };
}

async function open(bytes: Uint8Array, policy: OpenPolicy, unwrap: Kms['unwrap']): Promise<Judged> {
  let isKmsAsked = false;
  const kms: Pick<Kms, 'unwrap'> = {
    unwrap: (...question) => {
      isKmsAsked = true;
      return unwrap(...question);
    },
  };
  try {
    const { header, epoch, payloadDigest, secrets } = await openArtifact(bytes, policy, { kms });
    return {
      epoch,
      revision: header.revision,
      payloadDigest,
      expiresAt: parseTimestamp(header.expiresAt),
      secrets,
    };
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error;
    throw toRefusal(error, isKmsAsked);
  }
}

const kinds = {
  too_large: 'other',
  format: 'other',
  unsigned: 'forged',
  signature: 'forged',
  binding: 'forged',
  key_not_pinned: 'forged',
  rollback: 'forged',
  equivocation: 'forged',
  fast_forward: 'forged',
  revoked: 'revoked',
  not_yet_valid: 'other',
  expired: 'expired',
  kms_denied: 'denied',
  kms_unavailable: 'outage',
  kms_no_credentials: 'outage',
  kms_mismatch: 'wrong',
  kms_settings: 'other',
  decrypt: 'wrong',
  header_mismatch: 'wrong',
  bad_content: 'other',
  bad_signing_key: 'other',
  bad_identity: 'other',
} as const satisfies Record<ArtifactCode, RefusalKind>;

function toRefusal({ code, epoch, revision, payloadDigest }: ArtifactError, isKmsAsked: boolean): Refusal {
  const kind = kinds[code];
  // Content that is malformed beneath its encryption costs a KMS call each time it is looked at.
  if (kind === 'other' && isKmsAsked) return new Refusal('wrong', code);
  if (epoch === undefined || revision === undefined || payloadDigest === undefined)
    return new Refusal(kind, code);
  return new Refusal(kind, code, { epoch, revision, payloadDigest } satisfies Floor);
}

function payloadDigest(
  bytes: Uint8Array,
  policy: Pick<OpenPolicy, 'verifyKeys' | 'allowUnsigned'>,
): string | undefined {
  try {
    return verifyArtifact(bytes, policy).payloadDigest;
  } catch (error) {
    if (error instanceof ArtifactError) return undefined;
    throw error;
  }
}

async function readAgeKey(path: string): Promise<Opener> {
  const bytes = await readKeyFile(path);
  try {
    const { identity, recipient } = await parseAgeIdentity(new TextDecoder().decode(bytes));
    return { sealingKey: recipient, ageIdentity: identity };
  } catch (error) {
    if (error instanceof ArtifactError) throw new KeyFileError(`is not an age key file: ${error.message}`);
    throw error;
  } finally {
    bytes.fill(0);
  }
}

/** A symbolic link is followed: Kubernetes mounts every file as one. */
async function readKeyFile(path: string): Promise<Uint8Array> {
  try {
    return await readRegularFile(await realpath(path), { maxBytes: maxKeyFileBytes });
  } catch (error) {
    const code = error instanceof HostError ? error.code : (error as NodeJS.ErrnoException).code;
    throw new KeyFileError(`cannot be read (${String(code ?? 'unknown').toLowerCase()})`);
  }
}
