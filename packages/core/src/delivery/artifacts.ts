// Looking at artifacts as an agent would: inspect believes nothing, verify applies every check that needs no private key,
// open asks the KMS or takes an age key. What is insisted on comes from clef.yaml, the agent's variables or the person.
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  ArtifactError,
  type ArtifactFloor,
  checkArtifact,
  inspectArtifact,
  maxArtifactBytes,
  type OpenPolicy,
  openArtifact,
  parseAgeIdentity,
  type UnverifiedArtifact,
} from '@clef/artifact';
import { HostError, readRegularFile } from '@clef/host';
import { isKmsKey } from '@clef/kms';
import { decodeUtf8, StrictError } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { fromGroundError, noSuchFile } from '../from-ground-error.ts';
import { type KeyText, keyTextsFor } from '../keys/age-keys.ts';
import { openCloudKeys } from '../keys/cloud-keys.ts';
import { quoteName } from '../manifest/names.ts';
import type { World } from '../world.ts';
import { asRefusal, tooLarge } from './artifact-refusals.ts';
import { type ArtifactTrust, readTrust, type TrustRequest } from './artifact-trust.ts';

/** What an artifact says of itself, and how large its parts are. Anybody could have written it. */
export type InspectedArtifact = UnverifiedArtifact & { readonly bytes: number };

/** Everything but the secrets: the artifact is good as far as that can be known without its key. */
export type VerifiedFile = Pick<UnverifiedArtifact, 'header' | 'payloadDigest'> & {
  readonly verdict: 'ok';
  readonly epoch: number;
  readonly sealingKey: string;
  readonly bytes: number;
};

export type OpenedFile = VerifiedFile & { readonly secrets: ReadonlyMap<string, string> };

/** Beside whom to trust: an agent's floor, the clock, the least revision. */
export type JudgeRequest = TrustRequest & {
  readonly floor?: ArtifactFloor;
  readonly minRevision?: number;
  /** Milliseconds since the epoch; the machine's clock by default. */
  readonly at?: number;
};

/**
 * The bytes of an artifact's file, relative to where the person stands.
 * @throws {ClefError} `artifact_too_large`, `bad_path`, `io`.
 */
export async function readArtifactFile(world: Pick<World, 'cwd'>, path: string): Promise<Uint8Array> {
  const doing = { action: `read "${path}"`, file: path };
  try {
    const real = await realpath(resolve(world.cwd, path)).catch(() => resolve(world.cwd, path));
    return await readRegularFile(real, { maxBytes: maxArtifactBytes });
  } catch (error) {
    if (error instanceof HostError && error.code === 'too_large') throw tooLarge();
    if (error instanceof HostError && error.code === 'not_found') throw noSuchFile(quoteName(path));
    throw fromGroundError(error, doing);
  }
}

/**
 * Reads what stands in the open; verifies and decrypts nothing. Escape its texts before showing them.
 * @throws {ClefError} `artifact_too_large`, `artifact_format`, `artifact_signature` where the signatures are no list of them.
 */
export function inspectArtifactBytes(bytes: Uint8Array): InspectedArtifact {
  try {
    return { ...inspectArtifact(bytes), bytes: bytes.length };
  } catch (error) {
    throw asRefusal(error);
  }
}

/**
 * Applies every check of an agent that needs no private key. That what is inside opens is not known yet.
 * @throws {ClefError} What {@link readTrust} throws, and an `artifact_…` code for each check that fails.
 */
export async function verifyArtifactBytes(
  world: World,
  bytes: Uint8Array,
  request: JudgeRequest,
): Promise<VerifiedFile> {
  const policy = policyOf(world, await readTrust(world, request), { ...request, allowUnsigned: false });
  try {
    const { sealed, epoch, payloadDigest } = checkArtifact(bytes, policy);
    return viewOf(bytes, { header: sealed.header, epoch, payloadDigest }, policy);
  } catch (error) {
    throw asRefusal(error);
  }
}

/**
 * Opens an artifact as an agent would, with all of its checks. The key is asked for last.
 * @throws {ClefError} As {@link verifyArtifactBytes} does, then `kms_…`, `bad_identity`, `artifact_decrypt`,
 * `artifact_header_mismatch`, `artifact_content`.
 */
export async function openArtifactBytes(
  world: World,
  bytes: Uint8Array,
  request: JudgeRequest & { readonly allowUnsigned: boolean },
): Promise<OpenedFile> {
  const trust = await readTrust(world, request);
  const policy = policyOf(world, trust, request);
  try {
    // First without the key, so that none is read for what would be refused anyway.
    checkArtifact(bytes, policy);
    const opened = await openArtifact(
      bytes,
      { ...policy, ...(await ageIdentityFor(world, policy)) },
      keysFor(world, policy),
    );
    return { ...viewOf(bytes, opened, policy), secrets: opened.secrets };
  } catch (error) {
    throw asRefusal(error);
  }
}

function policyOf(
  world: World,
  trust: ArtifactTrust,
  { floor, minRevision, at, allowUnsigned }: JudgeRequest & { readonly allowUnsigned: boolean },
): OpenPolicy {
  if (trust.verifyKeys.length === 0 && !allowUnsigned) {
    throw new ClefError({
      code: 'settings_invalid',
      message: 'No verify key is known, so nothing could be verified',
      hint: 'give --verify-key, or --service and --environment of a service that has "verify" keys in clef.yaml',
    });
  }
  return {
    ...trust,
    allowUnsigned,
    now: at ?? world.now(),
    ...(floor !== undefined && { floor }),
    ...(minRevision !== undefined && { minRevision }),
  };
}

function viewOf(
  bytes: Uint8Array,
  { header, epoch, payloadDigest }: Pick<VerifiedFile, 'header' | 'epoch' | 'payloadDigest'>,
  { sealingKey }: OpenPolicy,
): VerifiedFile {
  return { verdict: 'ok', header, epoch, payloadDigest, sealingKey: sealingKey.text, bytes: bytes.length };
}

function keysFor(world: World, { sealingKey }: OpenPolicy): { kms?: ReturnType<typeof openCloudKeys> } {
  return isKmsKey(sealingKey) ? { kms: openCloudKeys(world) } : {};
}

const agentsVariable = 'CLEF_AGENT_AGE_KEY_FILE';
const maxKeyBytes = 64 * 1024;

/** The age private key that opens: the workload's, by its agent's variable, else the person's own. */
async function ageIdentityFor(world: World, { sealingKey }: OpenPolicy): Promise<{ ageIdentity?: string }> {
  if (sealingKey.kind !== 'age') return {};
  const texts = await keyTexts(world, sealingKey.text);
  if (texts.length === 0) {
    throw new ClefError({
      code: 'no_age_key',
      message: 'The artifact is sealed to an age key whose private half is not among your keys',
      hint: 'name the file of that private key in CLEF_AGE_KEY_FILE',
    });
  }
  for (const { text } of texts) {
    for (const line of identityLines(text)) {
      const { identity, recipient } = await parseAgeIdentity(line);
      if (recipient.text === sealingKey.text) return { ageIdentity: identity };
    }
  }
  throw new ClefError({
    code: 'bad_identity',
    message: `The private key of ${texts.map(({ where }) => where).join(' and ')} is not that of the sealing key`,
    hint: 'give the private key of the age recipient that the artifact is sealed to',
  });
}

/** One at the least, so that what holds none is refused in the words of the reader of keys. */
function identityLines(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'));
  return identities.length === 0 ? [text] : identities;
}

async function keyTexts(world: World, recipient: string): Promise<readonly KeyText[]> {
  const path = world.environment[agentsVariable] ?? '';
  if (path === '') return keyTextsFor(world, recipient);
  try {
    const bytes = await readRegularFile(await realpath(resolve(world.cwd, path)), { maxBytes: maxKeyBytes });
    return [{ where: agentsVariable, text: decodeUtf8(bytes) }];
  } catch (error) {
    if (error instanceof StrictError)
      throw new ArtifactError('bad_identity', `${agentsVariable} names no text file`);
    throw fromGroundError(error, { action: `read the file of ${agentsVariable}` });
  }
}
