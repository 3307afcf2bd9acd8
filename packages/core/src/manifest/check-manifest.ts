// What needs more than one place of clef.yaml at once: names that must be unique or exist, keys that must have one
// purpose, cells that somebody must be able to read, files that must be distinct. Each rule is one function.

import { type GcpKey, type KeyReference, KmsError, parseKeyReference, verifyKeysFault } from '@clef/kms';
import type { Position } from '@clef/strict';
import { allCells, cellRecipients } from './access.ts';
import type { Draft, Entry } from './draft.ts';
import { type FaultClass, type FieldPath, formatFieldPath, type ManifestFault } from './faults.ts';
import { clashingCells, filePatternFaults, unsafePath } from './file-pattern.ts';
import type {
  AccessRule,
  Environment,
  Manifest,
  Namespace,
  Person,
  ServiceEnvironment,
  ServiceIdentity,
} from './manifest.ts';
import { didYouMean, formatCellName, nameFault, quoteName } from './names.ts';

/** Most cells in one matrix. */
export const maxCells = 20_000;

type Check = {
  readonly draft: Draft;
  readonly report: (path: FieldPath, faultClass: FaultClass, message: string, hint?: string) => void;
};

/** Resolves `draft`. The manifest is whole only if there are no faults. */
export function checkManifest(
  draft: Draft,
  positionOf: (path: FieldPath, what?: 'value' | 'key') => Position | undefined,
): { readonly manifest: Manifest; readonly faults: readonly ManifestFault[] } {
  const faults: ManifestFault[] = [];
  const check: Check = {
    draft,
    report: (path, faultClass, message, hint) =>
      faults.push({
        class: faultClass,
        message,
        hint,
        path: formatFieldPath(path),
        position: positionOf(path, isNamedByKey(path) ? 'key' : 'value'),
      }),
  };
  checkNames(check);
  const manifest = resolve(check);
  checkKeysOfPeople(check, manifest.recipients);
  checkSealingKeys(check, manifest);
  checkSigningKeys(check, manifest);
  const isFit = checkSize(check) && checkFilePattern(check);
  if (isFit && faults.length === 0) checkReaders(check, manifest);
  return { manifest, faults };
}

/** Groups, and the environments of a service: their names are keys of a map. */
function isNamedByKey(path: FieldPath): boolean {
  return path.length === 2 ? path[0] === 'groups' : path.length === 4 && path[2] === 'environments';
}

function resolve(check: Check): Manifest {
  const { draft } = check;
  return {
    version: 1,
    repository: draft.repository,
    filePattern: draft.filePattern?.value ?? '',
    environments: draft.environments.map((entry) => resolveEnvironment(check, entry)),
    namespaces: draft.namespaces.map((entry) => resolveNamespace(check, entry)),
    recipients: draft.recipients.map((entry) => resolvePerson(check, entry)),
    groups: new Map(draft.groups.map((entry) => resolveGroup(check, entry))),
    access: draft.access.map((entry) => resolveRule(check, entry)),
    serviceIdentities: draft.services.map((entry) => resolveService(check, entry)),
  };
}

function resolveEnvironment(check: Check, { path, value }: Draft['environments'][number]): Environment {
  const { name, description, protected: isProtected = false, encrypt_to: encryptTo = [] } = value;
  const isList = typeof encryptTo !== 'string';
  const references = (isList ? encryptTo : [encryptTo]).flatMap((text, index) => {
    const place = [...path, 'encrypt_to', ...(isList ? [index] : [])];
    return resolveKey(check, place, text, encryptToKinds);
  });
  reportRepeated(
    check,
    [...path, 'encrypt_to'],
    references.map((key) => key.text),
    'The same key is there twice',
  );
  return {
    name,
    ...(description === undefined ? {} : { description }),
    protected: isProtected,
    encryptTo: references,
  };
}

function resolveNamespace(check: Check, { path, value }: Draft['namespaces'][number]): Namespace {
  const { name, description, schema, owners } = value;
  const { people, groups } = check.draft.declared;
  const fault = schema === undefined ? undefined : unsafePath(schema);
  if (fault !== undefined)
    check.report(
      [...path, 'schema'],
      'path',
      `"schema" ${fault}`,
      'name a file such as schemas/database.yaml',
    );
  for (const [index, owner] of (owners ?? []).entries()) {
    requireDeclared(check, [...path, 'owners', index], 'person or group', owner, [...people, ...groups]);
  }
  reportRepeated(check, [...path, 'owners'], owners ?? [], 'The same owner is there twice');
  return {
    name,
    ...(description !== undefined && { description }),
    ...(schema !== undefined && { schema }),
    ...(owners !== undefined && { owners }),
  };
}

function resolvePerson(check: Check, { path, value }: Draft['recipients'][number]): Person {
  const keys = value.keys.flatMap((text, index) =>
    resolveKey(check, [...path, 'keys', index], text, personKinds),
  );
  return { name: value.name, keys };
}

function resolveGroup(
  check: Check,
  { path, value }: Draft['groups'][number],
): readonly [string, readonly string[]] {
  const { people, groups } = check.draft.declared;
  for (const [index, member] of value.members.entries()) {
    if (groups.includes(member))
      check.report([...path, index], 'config', `${quoteName(member)} is a group; a group holds people`);
    else requireDeclared(check, [...path, index], 'person', member, people);
  }
  reportRepeated(check, path, value.members, 'The same person is there twice');
  return [value.name, value.members];
}

function resolveRule(check: Check, { path, value }: Draft['access'][number]): AccessRule {
  const { declared } = check.draft;
  const readers = [...declared.people, ...declared.groups];
  for (const [index, name] of value.allow.entries()) {
    requireDeclared(check, [...path, 'allow', index], 'person or group', name, readers);
  }
  return {
    allow: value.allow,
    namespaces: resolveScope(
      check,
      [...path, 'namespaces'],
      'namespace',
      value.namespaces,
      declared.namespaces,
    ),
    environments: resolveScope(
      check,
      [...path, 'environments'],
      'environment',
      value.environments,
      declared.environments,
    ),
  };
}

function resolveScope(
  check: Check,
  path: FieldPath,
  kind: string,
  names: readonly string[],
  declared: readonly string[],
): readonly string[] | '*' {
  if (names.includes('*')) {
    if (names.length > 1)
      check.report(path, 'config', '"*" means all and stands alone', 'remove the other names or the "*"');
    return '*';
  }
  for (const [index, name] of names.entries()) requireDeclared(check, [...path, index], kind, name, declared);
  return names;
}

function resolveService(check: Check, { path, value }: Draft['services'][number]): ServiceIdentity {
  const { declared } = check.draft;
  for (const [index, name] of value.namespaces.entries()) {
    requireDeclared(check, [...path, 'namespaces', index], 'namespace', name, declared.namespaces);
  }
  reportRepeated(check, [...path, 'namespaces'], value.namespaces, 'The same namespace is there twice');
  const environments = new Map<string, ServiceEnvironment>();
  for (const [name, { seal, sign, verify = [] }] of Object.entries(value.environments)) {
    const place = [...path, 'environments', name];
    requireDeclared(check, place, 'environment', name, declared.environments);
    const [sealingKey] = resolveKey(check, [...place, 'seal'], seal, sealKinds);
    const keys = verify.flatMap((text, index) =>
      resolveKey(check, [...place, 'verify', index], text, verifyKinds),
    );
    const listFault = verifyKeysFault(keys);
    if (listFault !== undefined) check.report([...place, 'verify'], 'config', `"verify" ${listFault}`);
    const [signingKey] = sign === undefined ? [] : resolveKey(check, [...place, 'sign'], sign, signKinds);
    if (sealingKey === undefined) continue;
    environments.set(name, {
      seal: sealingKey,
      ...(signingKey === undefined ? {} : { sign: signingKey }),
      verify: keys,
    });
  }
  if (Object.keys(value.environments).length === 0)
    check.report([...path, 'environments'], 'config', '"environments" is empty; it wants at least one entry');
  return {
    name: value.name,
    ...(value.description === undefined ? {} : { description: value.description }),
    namespaces: value.namespaces,
    ...(value.prefix === undefined ? {} : { prefix: value.prefix }),
    environments,
  };
}

type KeyKind = KeyReference['kind'];
type KindRule = {
  readonly now: readonly KeyKind[];
  readonly later: readonly KeyKind[];
  readonly wanted: string;
  /** Whether a Google Cloud key is named with its version: only what signs is. */
  readonly version?: 'wanted';
};

const encryptToKinds: KindRule = {
  now: ['awskms', 'gcpkms', 'azurekms', 'hashivault'],
  later: ['pgp'],
  wanted: '"encrypt_to" wants a KMS key; age keys belong to "recipients" and are granted by "access"',
};
const personKinds: KindRule = {
  now: ['age'],
  later: ['ssh', 'pgp'],
  wanted: 'A person is known by public age keys (age1…)',
};
const sealKinds: KindRule = {
  now: ['awskms', 'gcpkms', 'azurekms', 'hashivault', 'age'],
  later: [],
  wanted: '"seal" wants a KMS key or a public age key',
};
const signKinds: KindRule = {
  now: ['awskms', 'gcpkms'],
  later: ['azurekms', 'hashivault'],
  wanted: '"sign" wants a KMS key; leave it out to sign with an Ed25519 key of your own',
  version: 'wanted',
};
const verifyKinds: KindRule = {
  now: ['ed25519', 'p256', 'retired'],
  later: [],
  wanted: '"verify" wants public keys: ed25519:… or p256:…',
};

/** The key, or nothing and a fault. The text of the key is never part of a message. */
function resolveKey(check: Check, path: FieldPath, text: string, rule: KindRule): KeyReference[] {
  const key = parseKey(check, path, text);
  if (key === undefined) return [];
  if (rule.later.includes(key.kind)) {
    check.report(
      path,
      'not_supported',
      `A key of the kind ${key.kind} is not supported here by this version of Clef yet`,
    );
    return [];
  }
  if (!rule.now.includes(key.kind)) {
    check.report(path, 'config', rule.wanted);
    return [];
  }
  const versionFault = key.kind === 'gcpkms' ? gcpVersionFault(key, rule) : undefined;
  if (versionFault === undefined) return [key];
  check.report(path, 'config', ...versionFault);
  return [];
}

function gcpVersionFault(
  { version }: GcpKey,
  { version: wanted }: KindRule,
): readonly [message: string, hint: string] | undefined {
  if ((version === undefined) === (wanted === undefined)) return undefined;
  return wanted === undefined
    ? ['A key version is for signing only; name the key itself', 'remove "/cryptoKeyVersions/…"']
    : ['On Google Cloud a version of a key signs', 'add "/cryptoKeyVersions/1", or the version it is'];
}

function parseKey(check: Check, path: FieldPath, text: string): KeyReference | undefined {
  try {
    return parseKeyReference(text);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    if (error.code === 'private_key') {
      const message =
        'A private key stands where a public one belongs; it has leaked to everybody who can read this file';
      check.report(
        path,
        'private_key',
        message,
        'treat the key as leaked: make a new one and put its public half here',
      );
    } else if (error.code === 'unsupported') {
      check.report(path, 'not_supported', 'A key of this kind is not supported by this version of Clef');
    } else {
      check.report(path, 'config', error.message);
    }
    return undefined;
  }
}

function checkNames(check: Check): void {
  const { draft, report } = check;
  const named = [...draft.environments, ...draft.namespaces, ...draft.recipients, ...draft.services];
  for (const { path, value } of named) {
    const fault = nameFault(value.name);
    if (fault !== undefined) report([...path, 'name'], 'name', `The name ${quoteName(value.name)} ${fault}`);
  }
  for (const { path, value } of draft.groups) {
    const fault = nameFault(value.name);
    if (fault !== undefined) report(path, 'name', `The name ${quoteName(value.name)} ${fault}`);
    if (draft.declared.people.includes(value.name)) {
      report(path, 'config', `${quoteName(value.name)} is both a person and a group`, 'rename the group');
    }
  }
  for (const section of [draft.environments, draft.namespaces, draft.recipients, draft.services]) {
    checkUnique(check, section);
  }
}

function checkUnique(check: Check, entries: readonly Entry<{ readonly name: string }>[]): void {
  const seen = new Set<string>();
  for (const { path, value } of entries) {
    if (seen.has(value.name))
      check.report([...path, 'name'], 'config', `The name ${quoteName(value.name)} is there twice`);
    seen.add(value.name);
  }
}

function checkKeysOfPeople(check: Check, people: readonly Person[]): void {
  const owners = new Map<string, string>();
  for (const [index, person] of people.entries()) {
    const path = check.draft.recipients[index]?.path ?? [];
    for (const { text } of person.keys) {
      const owner = owners.get(text);
      if (owner !== undefined) {
        const whose = owner === person.name ? 'here twice' : `also the key of ${quoteName(owner)}`;
        check.report([...path, 'keys'], 'config', `A key of ${quoteName(person.name)} is ${whose}`);
      }
      owners.set(text, person.name);
    }
  }
}

/** Whose policies cannot tell what a key is used for, so that whoever may use it opens everything that is sealed with it. */
const withoutContextPolicy: Partial<Record<KeyKind, string>> = {
  gcpkms: 'Google Cloud',
  azurekms: 'Azure',
  hashivault: 'Vault',
};

/**
 * A sealing key opens artifacts only: one that cells are encrypted to would open them as well. Sharing is safe only on
 * AWS, where a key policy can demand the encryption context.
 */
function checkSealingKeys(check: Check, manifest: Manifest): void {
  const cellKeys = new Map(
    manifest.environments.flatMap(({ name, encryptTo }) => encryptTo.map((key) => [keyIdentity(key), name])),
  );
  const sealed = new Map<string, string>();
  for (const [index, service] of manifest.serviceIdentities.entries()) {
    const path = check.draft.services[index]?.path ?? [];
    for (const [environment, { seal }] of service.environments) {
      const place = [...path, 'environments', environment, 'seal'];
      const use = `${service.name} in ${environment}`;
      const encrypted = cellKeys.get(keyIdentity(seal));
      if (encrypted !== undefined) {
        check.report(
          place,
          'config',
          `The key of "encrypt_to" in ${quoteName(encrypted)} is used for sealing too`,
          'make a KMS key of its own for sealing',
        );
      }
      const other = sealed.get(keyIdentity(seal));
      const cloud = withoutContextPolicy[seal.kind];
      if (cloud !== undefined && other !== undefined) {
        check.report(
          place,
          'config',
          `${use} shares its sealing key with ${other}; on ${cloud} each needs its own`,
          'make one KMS key for each identity and environment',
        );
      }
      sealed.set(keyIdentity(seal), use);
    }
  }
}

/** A key that signs does nothing else: who may decrypt with a key must not be able to sign with it, nor the reverse. */
function checkSigningKeys(check: Check, manifest: Manifest): void {
  const wrapping = new Map<string, string>();
  for (const { name, encryptTo } of manifest.environments) {
    for (const key of encryptTo) wrapping.set(keyIdentity(key), `"encrypt_to" in ${quoteName(name)}`);
  }
  for (const { name, environments } of manifest.serviceIdentities) {
    for (const [environment, { seal }] of environments)
      wrapping.set(keyIdentity(seal), `"seal" of ${name} in ${environment}`);
  }
  for (const [index, service] of manifest.serviceIdentities.entries()) {
    const path = check.draft.services[index]?.path ?? [];
    for (const [environment, { sign }] of service.environments) {
      const other = sign === undefined ? undefined : wrapping.get(keyIdentity(sign));
      if (other === undefined) continue;
      check.report(
        [...path, 'environments', environment, 'sign'],
        'config',
        `The key that signs for ${service.name} in ${environment} also wraps: it is ${other}`,
        'make a KMS key of its own for signing (ECC_NIST_P256 on AWS, EC_SIGN_P256_SHA256 on Google Cloud)',
      );
    }
  }
}

/** The key behind a reference, as rights are given to it: without the version, and of a multi-region key without its region. */
function keyIdentity(key: KeyReference): string {
  if (key.kind === 'gcpkms') return `gcpkms://${key.resource}`;
  if (key.kind === 'azurekms') return `azurekms://${key.vault}/${key.name}`.toLowerCase();
  return key.kind === 'awskms' && key.keyId.startsWith('mrk-') ? `${key.account} ${key.keyId}` : key.text;
}

/** Whether the matrix is small enough to be expanded. */
function checkSize(check: Check): boolean {
  const { environments, namespaces } = check.draft.declared;
  const cells = environments.length * Math.max(namespaces.length, 1);
  if (cells <= maxCells) return true;
  check.report(['environments'], 'limit', `The matrix has ${cells} cells; ${maxCells} is the most`);
  return false;
}

function checkFilePattern(check: Check): boolean {
  const pattern = check.draft.filePattern;
  if (pattern === undefined) return false;
  const faults = filePatternFaults(pattern.value);
  for (const fault of faults)
    check.report(pattern.path, fault.class, fault.message, 'use secrets/{namespace}/{environment}.enc.yaml');
  if (faults.length > 0) return false;
  const { environments, namespaces } = check.draft.declared;
  const legal = (names: readonly string[]) =>
    [...new Set(names)].filter((name) => nameFault(name) === undefined).map((name) => ({ name }));
  const clash = clashingCells(
    pattern.value,
    allCells({ environments: legal(environments), namespaces: legal(namespaces) }),
  );
  if (clash === undefined) return true;
  const { first, second, path } = clash;
  const message = `${formatCellName(first)} and ${formatCellName(second)} would both be the file ${quoteName(path)}`;
  check.report(pattern.path, 'path', message, 'put a slash between {namespace} and {environment}');
  return false;
}

/** Every cell needs a reader; an environment without namespaces must have one for the first namespace to come. */
function checkReaders(check: Check, manifest: Manifest): void {
  for (const [index, { name }] of manifest.environments.entries()) {
    const namespaces =
      manifest.namespaces.length > 0 ? manifest.namespaces.map((namespace) => namespace.name) : ['*'];
    const unread = namespaces.filter((namespace) => !hasReader(manifest, namespace, name));
    if (unread.length === 0) continue;
    const path = check.draft.environments[index]?.path ?? [];
    const what =
      manifest.namespaces.length > 0 ? quoteName(`${unread[0]}/${name}`) : `any cell of ${quoteName(name)}`;
    const more = unread.length > 1 ? ` and ${unread.length - 1} more` : '';
    check.report(
      path,
      'config',
      `Nobody could read ${what}${more}: no rule of "access" grants it and "encrypt_to" is empty`,
      `grant it under "access", or give "${name}" an "encrypt_to"`,
    );
  }
}

function hasReader(manifest: Manifest, namespace: string, environment: string): boolean {
  const { people, encryptTo } = cellRecipients(manifest, { namespace, environment });
  return people.length > 0 || encryptTo.length > 0;
}

function requireDeclared(
  check: Check,
  path: FieldPath,
  kind: string,
  name: string,
  declared: readonly string[],
): void {
  if (declared.includes(name)) return;
  check.report(path, 'config', `There is no ${kind} ${quoteName(name)}${didYouMean(name, declared)}`);
}

function reportRepeated(check: Check, path: FieldPath, texts: readonly string[], message: string): void {
  if (new Set(texts).size < texts.length) check.report(path, 'config', message);
}
