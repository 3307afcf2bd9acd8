// Service identities: what a workload gets and what its artifacts are sealed and signed with. All of it stands in clef.yaml.
import { parseKeyReference } from '@clef/kms';
import { fromGroundError } from '../from-ground-error.ts';
import { defaultVerifyKey, findSigner } from '../keys/signing-key.ts';
import { addServiceIdentity } from '../manifest/edit.ts';
import { findEnvironment, findNamespace, findService, findServiceEnvironment } from '../manifest/find.ts';
import type { ServiceIdentity } from '../manifest/manifest.ts';
import { checkName } from '../manifest/names.ts';
import { manifestName, manifestText, type Repository } from '../repository.ts';
import { commitFiles } from '../transaction/commit-files.ts';

/** A service identity as data; keys in their text form. */
export type ServiceView = {
  readonly name: string;
  readonly description?: string;
  readonly namespaces: readonly string[];
  readonly prefix?: 'namespace';
  readonly environments: readonly {
    readonly name: string;
    readonly seal: string;
    /** The KMS key that signs; absent where the packer's own Ed25519 key does. */
    readonly sign?: string;
    readonly verify: readonly string[];
  }[];
};

export type NewService = {
  readonly name: string;
  readonly namespaces: readonly string[];
  /** The sealing key of each environment. */
  readonly seal: readonly (readonly [environment: string, key: string])[];
  /** The KMS key that signs in an environment; its public half is trusted. */
  readonly sign?: readonly (readonly [environment: string, key: string])[];
  /** Keys that the agent trusts; an environment without one gets that of `sign`, else the person's own signing key. */
  readonly verify: readonly (readonly [environment: string, key: string])[];
  readonly description?: string;
  readonly prefix?: 'namespace';
};

/**
 * Adds a service identity to clef.yaml.
 * @returns the identity as written, and where a signing key was made now, its public half.
 * @throws {ClefError} `already_exists`, `bad_name`, `unknown_environment`, `unknown_namespace`, `bad_key_reference`,
 * `manifest_invalid` where a rule about keys forbids it.
 */
export async function createService(
  repository: Repository,
  service: NewService,
): Promise<ServiceView & { readonly madeSigningKey?: string }> {
  const { manifest, world } = repository;
  checkName(service.name, 'service identity');
  for (const namespace of service.namespaces) findNamespace(manifest, namespace);
  for (const [environment, key] of [...service.seal, ...(service.sign ?? []), ...service.verify]) {
    findEnvironment(manifest, environment);
    checkKey(key);
  }
  const signing = await signingKeys(repository, service);
  const keysOf = (environment: string, seal: string) => {
    const sign = keyFor(service.sign, environment);
    return { seal, ...(sign !== undefined && { sign }), verify: signing.verifyOf(environment) };
  };
  const text = addServiceIdentity(manifestText(repository), {
    name: service.name,
    namespaces: service.namespaces,
    environments: Object.fromEntries(
      service.seal.map(([environment, seal]) => [environment, keysOf(environment, seal)]),
    ),
    ...(service.description !== undefined && { description: service.description }),
    ...(service.prefix !== undefined && { prefix: service.prefix }),
  });
  await commitFiles(
    repository.root,
    [{ path: manifestName, before: repository.manifestBytes, after: new TextEncoder().encode(text) }],
    { purpose: 'service create', now: world.now, randomBytes: world.randomBytes },
  );
  const view: ServiceView = {
    name: service.name,
    namespaces: service.namespaces,
    environments: service.seal.map(([name, seal]) => ({ name, ...keysOf(name, seal) })),
    ...(service.description !== undefined && { description: service.description }),
    ...(service.prefix !== undefined && { prefix: service.prefix }),
  };
  return { ...view, ...(signing.made !== undefined && { madeSigningKey: signing.made }) };
}

/** All service identities, in the manifest's order. */
export function listServices({ manifest }: Repository): readonly ServiceView[] {
  return manifest.serviceIdentities.map(viewOf);
}

/**
 * One service identity, or one of its environments.
 * @throws {ClefError} `unknown_service`.
 */
export function showService(
  { manifest }: Repository,
  { service, environment }: { readonly service: string; readonly environment?: string },
): ServiceView {
  const view = viewOf(findService(manifest, service));
  if (environment === undefined) return view;
  findServiceEnvironment(manifest, service, environment);
  return { ...view, environments: view.environments.filter(({ name }) => name === environment) };
}

/**
 * The settings that pin an agent to one identity: variable names to values. The token file is the operator's to choose, and
 * so is the source, unless `source` names it.
 * @throws {ClefError} `unknown_service`.
 */
export function agentSettings(
  { manifest }: Repository,
  request: { readonly service: string; readonly environment: string; readonly source?: string },
): Readonly<Record<string, string>> {
  const { service, environment, source } = request;
  const { seal, verify } = findServiceEnvironment(manifest, service, environment);
  return {
    ...(source !== undefined && { CLEF_AGENT_SOURCE: source }),
    CLEF_AGENT_REPOSITORY: manifest.repository,
    CLEF_AGENT_IDENTITY: service,
    CLEF_AGENT_ENVIRONMENT: environment,
    ...(seal.kind === 'age' ? {} : { CLEF_AGENT_KMS_KEY: seal.text }),
    ...(verify.length > 0 && { CLEF_AGENT_VERIFY_KEYS: verify.map((key) => key.text).join(',') }),
  };
}

function checkKey(text: string): void {
  try {
    parseKeyReference(text);
  } catch (error) {
    throw fromGroundError(error, { action: 'use this key' });
  }
}

type Assignments = readonly (readonly [environment: string, key: string])[];

function keyFor(assignments: Assignments | undefined, environment: string): string | undefined {
  return assignments?.find(([name]) => name === environment)?.[1];
}

/** The verify keys of each environment: those given, else the KMS's, else the person's own, which is made on first use. */
async function signingKeys(
  { world }: Repository,
  { seal, sign = [], verify }: NewService,
): Promise<{
  readonly verifyOf: (environment: string) => readonly string[];
  readonly made: string | undefined;
}> {
  const trusted = new Map<string, readonly string[]>();
  let made: string | undefined;
  for (const [environment] of seal) {
    const given = verify.filter(([name]) => name === environment).map(([, key]) => key);
    const kmsKey = keyFor(sign, environment);
    if (given.length > 0) trusted.set(environment, given);
    else if (kmsKey !== undefined) {
      trusted.set(environment, [(await findSigner(world, parseKeyReference(kmsKey))).verifyKey.text]);
    } else {
      const own = await defaultVerifyKey(world);
      if (own.made) made = own.verifyKey;
      trusted.set(environment, [own.verifyKey]);
    }
  }
  return { verifyOf: (environment) => trusted.get(environment) ?? [], made };
}

function viewOf(service: ServiceIdentity): ServiceView {
  const { name, description, namespaces, prefix, environments } = service;
  return {
    name,
    namespaces,
    environments: [...environments].map(([environment, { seal, sign, verify }]) => ({
      name: environment,
      seal: seal.text,
      ...(sign !== undefined && { sign: sign.text }),
      verify: verify.map((key) => key.text),
    })),
    ...(description !== undefined && { description }),
    ...(prefix !== undefined && { prefix }),
  };
}
