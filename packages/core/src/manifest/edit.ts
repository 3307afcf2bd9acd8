// Changes to clef.yaml as text to text: what Clef adds stands where a person would put it, and everything else stays.
// Every result is parsed again and compared with what was meant before it is returned.

import { ClefError } from '../errors.ts';
import { type FieldPath, manifestError } from './faults.ts';
import type { AccessRule, Manifest } from './manifest.ts';
import { checkName, type NameKind, quoteName } from './names.ts';
import { resolveManifest } from './parse.ts';
import { parseStrictYaml, type StrictYaml, type YamlMap, type YamlValue } from './strict-yaml.ts';
import { spliceEntry } from './yaml-splice.ts';

/** A service identity as it is written: keys are key references as text. */
export type NewServiceIdentity = {
  readonly name: string;
  readonly description?: string;
  readonly namespaces: readonly string[];
  readonly prefix?: 'namespace';
  readonly environments: Readonly<
    Record<string, { readonly seal: string; readonly verify?: readonly string[] }>
  >;
};

/** An environment as it is written: keys are key references as text. */
export type NewEnvironment = {
  readonly name: string;
  readonly description?: string;
  readonly protected?: boolean;
  readonly encryptTo?: readonly string[];
};

/** `text` with one namespace more. Throws `already_exists`, `bad_name`, or what parsing the result throws. */
export function addNamespace(
  text: string,
  namespace: { readonly name: string; readonly description?: string },
): string {
  checkName(namespace.name, 'namespace');
  return addEntry(text, ['namespaces'], { ...namespace }, (manifest) =>
    refuseExisting('namespace', namespace.name, manifest.namespaces),
  );
}

/** `text` with one environment more. Without `encryptTo` a rule of `access` must already grant it to somebody. */
export function addEnvironment(text: string, environment: NewEnvironment): string {
  checkName(environment.name, 'environment');
  const { name, description, protected: isProtected, encryptTo } = environment;
  const entry: YamlMap = {
    name,
    ...(description === undefined ? {} : { description }),
    ...(isProtected === true ? { protected: true } : {}),
    ...(encryptTo === undefined || encryptTo.length === 0 ? {} : { encrypt_to: oneOrList(encryptTo) }),
  };
  return addEntry(text, ['environments'], entry, (manifest) =>
    refuseExisting('environment', name, manifest.environments),
  );
}

/**
 * `text` with one public age key more for `person`, who is added where unknown. Returns `text` itself where the person has
 * the key already.
 */
export function addRecipientKey(text: string, person: string, key: string): string {
  checkName(person, 'person');
  const { manifest } = readText(text);
  const index = manifest.recipients.findIndex((candidate) => candidate.name === person);
  if (index === -1) return addEntry(text, ['recipients'], { name: person, keys: [key] });
  if (manifest.recipients[index]?.keys.some((known) => known.text === key) === true) return text;
  return addEntry(text, ['recipients', index, 'keys'], key);
}

/** `text` with one rule more. Names must exist already. Returns `text` itself where an equal rule is there. */
export function addAccessRule(text: string, rule: AccessRule): string {
  const entry = {
    allow: rule.allow,
    namespaces: scopeList(rule.namespaces),
    environments: scopeList(rule.environments),
  };
  const { manifest } = readText(text);
  if (manifest.access.some((known) => JSON.stringify(known) === JSON.stringify(rule))) return text;
  return addEntry(text, ['access'], entry);
}

/** `text` with one service identity more. */
export function addServiceIdentity(text: string, service: NewServiceIdentity): string {
  checkName(service.name, 'service identity');
  const { name, description, namespaces, prefix, environments } = service;
  const entry: YamlMap = {
    name,
    ...(description === undefined ? {} : { description }),
    namespaces,
    ...(prefix === undefined ? {} : { prefix }),
    environments: Object.fromEntries(
      Object.entries(environments).map(([environment, { seal, verify }]) => [
        environment,
        { seal, ...(verify === undefined || verify.length === 0 ? {} : { verify }) },
      ]),
    ),
  };
  return addEntry(text, ['service_identities'], entry, (manifest) =>
    refuseExisting('service identity', name, manifest.serviceIdentities),
  );
}

const manifestFile = 'clef.yaml';
const byteOrderMark = '\ufeff';

function addEntry(
  text: string,
  path: FieldPath,
  entry: YamlValue,
  refuse?: (manifest: Manifest) => void,
): string {
  const before = readText(text);
  refuse?.(before.manifest);
  const mark = text.startsWith(byteOrderMark) ? byteOrderMark : '';
  const after = `${mark}${spliceEntry(before.yaml, path, entry)}`;
  const read = parseStrictYaml(Buffer.from(after));
  if ('faults' in read || !isSame(read.value, withEntry(before.yaml.value, path, entry)))
    throw unforeseenLayout(path);
  resolveManifest(read, manifestFile);
  return after;
}

function readText(text: string): { readonly yaml: StrictYaml; readonly manifest: Manifest } {
  const yaml = parseStrictYaml(Buffer.from(text));
  if ('faults' in yaml) throw manifestError(manifestFile, yaml.faults);
  return { yaml, manifest: resolveManifest(yaml, manifestFile) };
}

/** `value` with `entry` at the end of the list at `path`. */
function withEntry(value: YamlValue | undefined, path: FieldPath, entry: YamlValue): YamlValue {
  const [step, ...rest] = path;
  if (step === undefined) return [...(Array.isArray(value) ? value : []), entry];
  if (Array.isArray(value))
    return value.map((item, index) => (index === step ? withEntry(item, rest, entry) : item));
  const map = (value ?? {}) as YamlMap;
  return { ...map, [step]: withEntry(map[step], rest, entry) };
}

function isSame(a: YamlValue, b: YamlValue): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function unforeseenLayout(path: FieldPath): ClefError {
  return new ClefError({
    code: 'manifest_invalid',
    message: `Cannot add to "${path[0]}" of ${manifestFile} without disturbing its layout`,
    hint: `write "${path[0]}" as a plain list, one entry below the other, and try again`,
    location: { file: manifestFile },
  });
}

function refuseExisting(kind: NameKind, name: string, existing: readonly { readonly name: string }[]): void {
  if (!existing.some((candidate) => candidate.name === name)) return;
  throw new ClefError({
    code: 'already_exists',
    message: `There is a ${kind} ${quoteName(name)} in ${manifestFile} already`,
    hint: 'choose another name, or use the one that is there',
  });
}

function oneOrList(keys: readonly string[]): YamlValue {
  const [only] = keys;
  return keys.length === 1 && only !== undefined ? only : keys;
}

function scopeList(scope: readonly string[] | '*'): readonly string[] {
  return scope === '*' ? ['*'] : scope;
}
