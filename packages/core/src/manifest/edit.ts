// Changes to clef.yaml as text to text: what Clef adds stands where a person would put it, and everything else stays.
// Every result is parsed again and compared with what was meant before it is returned.

import { ClefError } from '../errors.ts';
import { type FieldPath, manifestError } from './faults.ts';
import type { Manifest } from './manifest.ts';
import { checkName, type NameKind, quoteName } from './names.ts';
import { resolveManifest } from './parse.ts';
import { parseStrictYaml, type StrictYaml, type YamlMap, type YamlValue } from './strict-yaml.ts';
import { spliceEdit, type YamlEdit } from './yaml-splice.ts';

/** A service identity as it is written: keys are key references as text. */
export type NewServiceIdentity = {
  readonly name: string;
  readonly description?: string;
  readonly namespaces: readonly string[];
  readonly prefix?: 'namespace';
  readonly environments: Readonly<
    Record<string, { readonly seal: string; readonly sign?: string; readonly verify?: readonly string[] }>
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
  return editManifest(text, ({ namespaces }) => {
    refuseExisting('namespace', namespace.name, namespaces);
    return [{ op: 'append', path: ['namespaces'], value: { ...namespace } }];
  });
}

/**
 * `text` with one environment more, and a rule that grants it to `allow`. Without both `encryptTo` and `allow` a rule of
 * `access` must already grant it to somebody.
 */
export function addEnvironment(
  text: string,
  environment: NewEnvironment & { readonly allow?: readonly string[] },
): string {
  checkName(environment.name, 'environment');
  const { name, description, protected: isProtected, encryptTo, allow = [] } = environment;
  const value: YamlMap = {
    name,
    ...(description === undefined ? {} : { description }),
    ...(isProtected === true ? { protected: true } : {}),
    ...(encryptTo === undefined || encryptTo.length === 0 ? {} : { encrypt_to: oneOrList(encryptTo) }),
  };
  return editManifest(text, ({ environments }) => {
    refuseExisting('environment', name, environments);
    const rule = { allow, namespaces: ['*'], environments: [name] };
    return [
      { op: 'append', path: ['environments'], value },
      ...(allow.length === 0 ? [] : [{ op: 'append', path: ['access'], value: rule } as const]),
    ];
  });
}

/** `text` with one service identity more. */
export function addServiceIdentity(text: string, service: NewServiceIdentity): string {
  checkName(service.name, 'service identity');
  const { name, description, namespaces, prefix, environments } = service;
  const value: YamlMap = {
    name,
    ...(description === undefined ? {} : { description }),
    namespaces,
    ...(prefix === undefined ? {} : { prefix }),
    environments: Object.fromEntries(
      Object.entries(environments).map(([environment, { seal, sign, verify }]) => [
        environment,
        {
          seal,
          ...(sign === undefined ? {} : { sign }),
          ...(verify === undefined || verify.length === 0 ? {} : { verify }),
        },
      ]),
    ),
  };
  return editManifest(text, ({ serviceIdentities }) => {
    refuseExisting('service identity', name, serviceIdentities);
    return [{ op: 'append', path: ['service_identities'], value }];
  });
}

const manifestFile = 'clef.yaml';
const byteOrderMark = '\ufeff';

/**
 * `text` after the edits that `plan` gives for the manifest it holds, one after the other: a path of a later edit is one
 * in the text that the earlier ones left. The text itself where there is none.
 * @throws {ClefError} `manifest_invalid` where an edit cannot be made without disturbing the layout; what `plan` throws;
 * what parsing the text before and after can give.
 */
export function editManifest(text: string, plan: (manifest: Manifest) => readonly YamlEdit[]): string {
  const before = readYaml(text);
  const edits = plan(resolveManifest(before, manifestFile));
  if (edits.length === 0) return text;
  const after = edits.reduce(applyEdit, before);
  resolveManifest(after, manifestFile);
  return `${text.startsWith(byteOrderMark) ? byteOrderMark : ''}${after.text}`;
}

function readYaml(text: string): StrictYaml {
  const yaml = parseStrictYaml(Buffer.from(text));
  if ('faults' in yaml) throw manifestError(manifestFile, yaml.faults);
  return yaml;
}

function applyEdit(yaml: StrictYaml, edit: YamlEdit): StrictYaml {
  const text = spliceEdit(yaml, edit);
  const read = text === undefined ? undefined : parseStrictYaml(Buffer.from(text));
  if (read === undefined || 'faults' in read || !isSame(read.value, editedValue(yaml.value, edit, edit.path)))
    throw unforeseenLayout(edit.path);
  return read;
}

/** What the text must read as after the edit. */
function editedValue(value: YamlValue | undefined, edit: YamlEdit, path: FieldPath): YamlValue {
  const [step, ...rest] = path;
  if (step === undefined) {
    if (edit.op === 'append') return [...(Array.isArray(value) ? value : []), edit.value];
    return edit.op === 'put' || edit.op === 'replace' ? edit.value : (value ?? null);
  }
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => {
      if (index !== step) return [item];
      return edit.op === 'remove' && rest.length === 0 ? [] : [editedValue(item, edit, rest)];
    });
  }
  const map = (value ?? {}) as YamlMap;
  if (!(step in map)) return { ...map, [step]: editedValue(undefined, edit, rest) };
  const entries = Object.entries(map).flatMap(([key, field]): [string, YamlValue][] => {
    if (key !== step) return [[key, field]];
    if (rest.length > 0) return [[key, editedValue(field, edit, rest)]];
    if (edit.op === 'remove') return [];
    return [[edit.op === 'rename' ? edit.to : key, editedValue(field, edit, rest)]];
  });
  return Object.fromEntries(entries);
}

function isSame(a: YamlValue, b: YamlValue): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function unforeseenLayout(path: FieldPath): ClefError {
  return new ClefError({
    code: 'manifest_invalid',
    message: `Cannot change "${path[0]}" of ${manifestFile} without disturbing its layout`,
    hint: `write "${path[0]}" plainly, one entry below the other, and try again`,
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
