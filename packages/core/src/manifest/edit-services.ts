// Changes to the service identities of clef.yaml, text to text (edit.ts says how).
import { ClefError } from '../errors.ts';
import { editManifest } from './edit.ts';
import type { FieldPath } from './faults.ts';
import { findService, findServiceEnvironment } from './find.ts';
import type { Manifest, ServiceEnvironment } from './manifest.ts';
import { quoteName } from './names.ts';
import type { YamlMap, YamlValue } from './strict-yaml.ts';
import type { YamlEdit } from './yaml-splice.ts';

/** What to change of a service identity; what is absent stays. Keys are key references as text. */
export type ServiceChange = {
  readonly description?: string;
  readonly namespaces?: readonly string[];
  /** `none` takes the prefix away. */
  readonly prefix?: 'namespace' | 'none';
  readonly environments: Readonly<Record<string, ServiceEnvironmentChange>>;
};

/** An environment that the identity does not have yet needs `seal`. */
export type ServiceEnvironmentChange = {
  readonly seal?: string;
  /** `none` signs with the packer's own Ed25519 key again. */
  readonly sign?: string;
  /** Keys to trust from now on, after those that are there: each opens an epoch. */
  readonly trust?: readonly string[];
};

/**
 * `text` with a service identity changed.
 * @throws {ClefError} `unknown_service`, `usage` for a new environment without a sealing key, `manifest_invalid` where
 * the result breaks a rule.
 */
export function changeServiceIdentity(text: string, name: string, change: ServiceChange): string {
  return editManifest(text, (manifest) => {
    const service = findService(manifest, name);
    const path = pathOf(manifest, name);
    const { description, namespaces, prefix, environments } = change;
    return [
      ...fieldEdits(path, 'description', service.description, description),
      ...(namespaces === undefined ? [] : listEdits([...path, 'namespaces'], service.namespaces, namespaces)),
      ...fieldEdits(path, 'prefix', service.prefix, prefix),
      ...Object.entries(environments).flatMap(([environment, keys]) =>
        environmentEdits(
          name,
          [...path, 'environments', environment],
          service.environments.get(environment),
          keys,
        ),
      ),
    ];
  });
}

/**
 * `text` in which one of a service's verify keys is retired: its place stays, so that the epochs after it do.
 * @param keyId - Hex SHA-256 of the key's SPKI.
 * @throws {ClefError} `unknown_service`, `unknown_key` where no such key is trusted, `manifest_invalid` for the last one.
 */
export function retireVerifyKey(
  text: string,
  { service, environment, position, keyId }: RetiredPlace,
): string {
  return editManifest(text, (manifest) => {
    findServiceEnvironment(manifest, service, environment);
    const path = [...pathOf(manifest, service), 'environments', environment, 'verify', position];
    return [{ op: 'replace', path, value: `retired:${keyId}` }];
  });
}

export type RetiredPlace = {
  readonly service: string;
  readonly environment: string;
  readonly position: number;
  readonly keyId: string;
};

/**
 * `text` without a service identity, or without one of its environments.
 * @throws {ClefError} `unknown_service`; `usage` for the only environment.
 */
export function removeServiceIdentity(text: string, name: string, environment?: string): string {
  return editManifest(text, (manifest) => {
    const { environments } = findService(manifest, name);
    const path = pathOf(manifest, name);
    if (environment === undefined) return [{ op: 'remove', path }];
    findServiceEnvironment(manifest, name, environment);
    if (environments.size === 1) {
      throw new ClefError({
        code: 'usage',
        message: `${quoteName(environment)} is the only environment of ${quoteName(name)}`,
        hint: `remove the whole service identity: clef service delete ${name}`,
      });
    }
    return [{ op: 'remove', path: [...path, 'environments', environment] }];
  });
}

function pathOf(manifest: Manifest, name: string): FieldPath {
  return ['service_identities', manifest.serviceIdentities.findIndex((service) => service.name === name)];
}

function fieldEdits(
  path: FieldPath,
  field: string,
  before: string | undefined,
  after: string | undefined,
): readonly YamlEdit[] {
  if (after === undefined || after === before) return [];
  const place = [...path, field];
  if (after === 'none' && field !== 'description')
    return before === undefined ? [] : [{ op: 'remove', path: place }];
  return [{ op: before === undefined ? 'put' : 'replace', path: place, value: after }];
}

/** What is new goes to the end; what stays keeps its place. First the new, as the list may not become empty on the way. */
function listEdits(
  path: FieldPath,
  before: readonly string[],
  after: readonly string[],
): readonly YamlEdit[] {
  const fresh = after.filter((value) => !before.includes(value));
  const gone = [...before.entries()].filter(([, value]) => !after.includes(value)).reverse();
  return [
    ...fresh.map((value): YamlEdit => ({ op: 'append', path, value })),
    ...gone.map(([index]): YamlEdit => ({ op: 'remove', path: [...path, index] })),
  ];
}

function environmentEdits(
  service: string,
  path: FieldPath,
  before: ServiceEnvironment | undefined,
  { seal, sign, trust = [] }: ServiceEnvironmentChange,
): readonly YamlEdit[] {
  if (before === undefined)
    return [{ op: 'put', path, value: newEnvironment(service, path, { seal, sign, trust }) }];
  const verify = [...path, 'verify'];
  const known = before.verify.map(({ text }) => text);
  const fresh = trust.filter((key) => !known.includes(key));
  const trusted: readonly YamlEdit[] =
    before.verify.length === 0 && fresh.length > 0
      ? [{ op: 'put', path: verify, value: fresh }]
      : fresh.map((value) => ({ op: 'append', path: verify, value }));
  return [
    ...fieldEdits(path, 'seal', before.seal.text, seal),
    ...fieldEdits(path, 'sign', before.sign?.text, sign),
    ...trusted,
  ];
}

function newEnvironment(
  service: string,
  path: FieldPath,
  { seal, sign, trust }: { seal: string | undefined; sign: string | undefined; trust: readonly string[] },
): YamlMap {
  if (seal === undefined) {
    throw new ClefError({
      code: 'usage',
      message: `${quoteName(service)} has no environment ${quoteName(String(path.at(-1)))} yet, so it needs a sealing key`,
      hint: `name one: --seal ${String(path.at(-1))}=awskms:///arn:…`,
    });
  }
  const value: Record<string, YamlValue> = { seal };
  if (sign !== undefined && sign !== 'none') value['sign'] = sign;
  if (trust.length > 0) value['verify'] = trust;
  return value;
}
