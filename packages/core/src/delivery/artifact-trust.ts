// Whom to trust with an artifact: a service identity of clef.yaml, else the variables of an agent, each overruled by what
// the person names. Nothing comes from the artifact.
import { isSealingKey, parseVerifyKeys, type VerifySlot } from '@clef/artifact';
import { type KeyReference, parseKeyReference } from '@clef/kms';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { findServiceEnvironment } from '../manifest/find.ts';
import type { Repository } from '../repository.ts';
import type { World } from '../world.ts';
import { asRefusal } from './artifact-refusals.ts';

/** Key references as text. `service` is looked up in clef.yaml and needs `environment` and `repository`. */
export type TrustRequest = {
  readonly service?: { readonly name: string; readonly of: Repository };
  readonly repository?: string;
  readonly identity?: string;
  readonly environment?: string;
  readonly sealingKey?: string;
  readonly verifyKeys?: readonly string[];
};

export type ArtifactTrust = {
  readonly repository: string;
  readonly identity: string;
  readonly environment: string;
  readonly sealingKey: KeyReference;
  readonly verifyKeys: readonly VerifySlot[];
};

type Texts = Omit<TrustRequest, 'service'>;

/**
 * @throws {ClefError} `settings_invalid` where something is not known, `bad_key_reference`, `private_key_given`,
 * `unknown_service`, `unknown_environment`, `bad_identity`.
 */
export async function readTrust(world: World, request: TrustRequest): Promise<ArtifactTrust> {
  const known = request.service === undefined ? fromVariables(world) : fromManifest(request, request.service);
  const { service: _, ...given } = request;
  const texts: Texts = { ...known, ...given };
  const { repository, identity, environment, sealingKey, verifyKeys = [] } = texts;
  if (
    repository === undefined ||
    identity === undefined ||
    environment === undefined ||
    sealingKey === undefined
  )
    throw missing(texts);
  return {
    repository,
    identity,
    environment,
    sealingKey: parseSealingKey(sealingKey),
    verifyKeys: parseKeys(verifyKeys),
  };
}

function fromManifest(
  { environment }: TrustRequest,
  { name, of }: NonNullable<TrustRequest['service']>,
): Texts {
  if (environment === undefined) throw missing({ repository: name, identity: name, sealingKey: name });
  const { seal, verify } = findServiceEnvironment(of.manifest, name, environment);
  return {
    repository: of.manifest.repository,
    identity: name,
    environment,
    sealingKey: seal.text,
    verifyKeys: verify.map((key) => key.text),
  };
}

/** The settings of an agent, by the names it reads them under. */
function fromVariables({ environment }: World): Texts {
  const named = (name: string): string | undefined => environment[`CLEF_AGENT_${name}`] || undefined;
  const verifyKeys = named('VERIFY_KEYS')?.split(',');
  const fields = {
    repository: named('REPOSITORY'),
    identity: named('IDENTITY'),
    environment: named('ENVIRONMENT'),
    sealingKey: named('KMS_KEY'),
    verifyKeys: verifyKeys?.map((key) => key.trim()),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const wanted = {
  repository: ['the repository', '--repository'],
  identity: ['the service identity', '--identity'],
  environment: ['the environment', '--environment'],
  sealingKey: ['the sealing key', '--seal'],
} as const;

function missing(texts: Texts): ClefError {
  const absent = (Object.keys(wanted) as (keyof typeof wanted)[]).filter((name) => texts[name] === undefined);
  const words = absent.map((name) => wanted[name][0]);
  const flags = absent.map((name) => wanted[name][1]);
  return new ClefError({
    code: 'settings_invalid',
    message: `It is not known what to insist on: ${words.join(', ')}`,
    hint: `give --service and --environment within a repository, or ${flags.join(', ')}, or the variables of the agent`,
  });
}

function parseSealingKey(text: string): KeyReference {
  const key = parse(() => parseKeyReference(text));
  if (isSealingKey(key)) return key;
  throw new ClefError({
    code: 'bad_key_reference',
    message: `A key of the kind ${key.kind} seals no artifact`,
    hint: 'give the KMS key or the age recipient that the artifact is sealed to',
  });
}

function parseKeys(texts: readonly string[]): readonly VerifySlot[] {
  return parse(() => parseVerifyKeys(texts));
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw fromGroundError(asRefusal(error), { action: 'use this key' });
  }
}
