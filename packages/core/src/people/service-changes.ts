// The life of a service identity after it was made: other scope and keys, a new signing key, its end. Each is one change of
// clef.yaml; what agents must be told follows from it.
import { createHash } from 'node:crypto';
import { parseKeyReference } from '@clef/kms';
import { askIfProtected, type Confirm } from '../cells/write.ts';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { findSigner } from '../keys/signing-key.ts';
import {
  changeServiceIdentity,
  removeServiceIdentity,
  retireVerifyKey,
  type ServiceEnvironmentChange,
} from '../manifest/edit-services.ts';
import { findEnvironment, findNamespace, findService, findServiceEnvironment } from '../manifest/find.ts';
import { manifestName, manifestText, type Repository } from '../repository.ts';
import { commitFiles } from '../transaction/commit-files.ts';

type Assignments = readonly (readonly [environment: string, key: string])[];

export type ServiceUpdate = {
  readonly service: string;
  readonly description?: string;
  readonly namespaces?: readonly string[];
  readonly prefix?: 'namespace' | 'none';
  /** Another sealing key for an environment, or an environment more. */
  readonly seal: Assignments;
  /** The KMS key that signs; its public half is trusted from now on. `none` goes back to the packer's own key. */
  readonly sign: Assignments;
  /** Public keys to trust from now on, after those that are there. */
  readonly verify: Assignments;
  readonly confirm: Confirm;
};

/** What was done to a service identity. `environments`: whose agents must be given their settings anew. */
export type ServiceChanged = {
  readonly service: string;
  readonly changed: boolean;
  readonly environments: readonly string[];
};

/**
 * Changes a service identity.
 * @throws {ClefError} `unknown_service`, `unknown_environment`, `unknown_namespace`, `bad_key_reference`, `protected`,
 * `usage`, `manifest_invalid` where a rule forbids it, and for a KMS key what asking for its public half can give.
 */
export async function updateService(repository: Repository, update: ServiceUpdate): Promise<ServiceChanged> {
  const { manifest } = repository;
  const { service, description, namespaces, prefix } = update;
  findService(manifest, service);
  for (const namespace of namespaces ?? []) findNamespace(manifest, namespace);
  const environments = await environmentChanges(repository, update);
  const text = changeServiceIdentity(manifestText(repository), service, {
    environments,
    ...(description !== undefined && { description }),
    ...(namespaces !== undefined && { namespaces }),
    ...(prefix !== undefined && { prefix }),
  });
  const touched = Object.keys(environments);
  // Scope and prefix count wherever the service runs.
  const isWider = namespaces !== undefined || prefix !== undefined;
  const asked = isWider ? [...new Set([...touched, ...environmentsOf(repository, service)])] : touched;
  return commitText(repository, { service, text, environments: touched, asked, confirm: update.confirm });
}

export type KeyRotation = {
  readonly service: string;
  readonly environment: string;
  /** The next signing key: a public key, or a KMS key whose public half is asked for. Absent where one is only retired. */
  readonly next?: { readonly verify: string } | { readonly sign: string };
  /** A key to trust no longer: its text, or its ID. */
  readonly retire?: string;
  readonly confirm: Confirm;
};

/**
 * Rotates the signing key of a service identity in an environment: trusts the next one, in a new epoch, or retires an old
 * one in its place.
 * @throws {ClefError} `unknown_service`, `usage` where neither is asked for, `unknown_key`, `bad_key_reference`, `protected`,
 * `manifest_invalid` (the last key cannot be retired).
 */
export async function rotateService(repository: Repository, rotation: KeyRotation): Promise<ServiceChanged> {
  const { service, environment, next, retire, confirm } = rotation;
  findServiceEnvironment(repository.manifest, service, environment);
  if (next === undefined && retire === undefined) {
    throw new ClefError({
      code: 'usage',
      message: 'A rotation needs the next signing key, or one to retire',
      hint: 'pass --verify KEY or --sign KMS-KEY first; once its artifacts are everywhere, --retire OLD-KEY',
    });
  }
  let text = manifestText(repository);
  if (next !== undefined) {
    const keys =
      'sign' in next
        ? { sign: [[environment, next.sign] as const] }
        : { verify: [[environment, next.verify] as const] };
    const environments = await environmentChanges(repository, { seal: [], sign: [], verify: [], ...keys });
    text = changeServiceIdentity(text, service, { environments });
  }
  if (retire !== undefined)
    text = retireVerifyKey(text, findRetiree(repository, { service, environment, retire }));
  return commitText(repository, {
    service,
    text,
    environments: [environment],
    asked: [environment],
    confirm,
  });
}

/**
 * Removes a service identity, or one of its environments. Artifacts that were packed stay good until they expire or are
 * revoked.
 * @throws {ClefError} `unknown_service`, `protected`, `usage` for its only environment.
 */
export async function deleteService(
  repository: Repository,
  request: { readonly service: string; readonly environment?: string; readonly confirm: Confirm },
): Promise<ServiceChanged> {
  const { service, environment, confirm } = request;
  const text = removeServiceIdentity(manifestText(repository), service, environment);
  const environments = environment === undefined ? environmentsOf(repository, service) : [environment];
  return commitText(repository, { service, text, environments, asked: environments, confirm });
}

async function environmentChanges(
  { manifest, world }: Repository,
  { seal, sign, verify }: Pick<ServiceUpdate, 'seal' | 'sign' | 'verify'>,
): Promise<Readonly<Record<string, ServiceEnvironmentChange>>> {
  const changes = new Map<string, { seal?: string; sign?: string; trust: string[] }>();
  const changeOf = (environment: string): { seal?: string; sign?: string; trust: string[] } => {
    findEnvironment(manifest, environment);
    const change = changes.get(environment) ?? { trust: [] };
    changes.set(environment, change);
    return change;
  };
  for (const [environment, key] of seal) changeOf(environment).seal = checkedKey(key);
  for (const [environment, key] of verify) changeOf(environment).trust.push(checkedKey(key));
  for (const [environment, key] of sign) {
    const change = changeOf(environment);
    change.sign = key === 'none' ? key : checkedKey(key);
    if (key !== 'none') change.trust.push((await findSigner(world, parseKeyReference(key))).verifyKey.text);
  }
  return Object.fromEntries(changes);
}

function checkedKey(text: string): string {
  try {
    return parseKeyReference(text).text;
  } catch (error) {
    throw fromGroundError(error, { action: 'use this key' });
  }
}

function findRetiree(
  { manifest }: Repository,
  {
    service,
    environment,
    retire,
  }: { readonly service: string; readonly environment: string; readonly retire: string },
): { service: string; environment: string; position: number; keyId: string } {
  const { verify } = findServiceEnvironment(manifest, service, environment);
  const ids = verify.map((key) =>
    'spki' in key ? createHash('sha256').update(key.spki).digest('hex') : undefined,
  );
  const position = verify.findIndex(({ text }, index) => text === retire || ids[index] === retire);
  const keyId = ids[position];
  if (keyId !== undefined) return { service, environment, position, keyId };
  throw new ClefError({
    code: 'unknown_key',
    message: `${service}/${environment} trusts no such key`,
    hint: `run "clef service show ${service} ${environment}" to see its keys`,
  });
}

function environmentsOf({ manifest }: Repository, service: string): readonly string[] {
  return [...findService(manifest, service).environments.keys()];
}

async function commitText(
  repository: Repository,
  change: {
    readonly service: string;
    readonly text: string;
    readonly environments: readonly string[];
    readonly asked: readonly string[];
    readonly confirm: Confirm;
  },
): Promise<ServiceChanged> {
  const { root, world, manifest, manifestBytes } = repository;
  const { service, text, environments, asked, confirm } = change;
  if (text === manifestText(repository)) return { service, changed: false, environments: [] };
  const targets = asked.map((environment) => ({
    label: `${service}/${environment}`,
    isProtected: findEnvironment(manifest, environment).protected,
  }));
  await askIfProtected(targets, confirm, `Change the service identity ${service}`);
  const after = new TextEncoder().encode(text);
  await commitFiles(root, [{ path: manifestName, before: manifestBytes, after }], {
    purpose: 'service change',
    now: world.now,
    randomBytes: world.randomBytes,
  });
  return { service, changed: true, environments };
}
