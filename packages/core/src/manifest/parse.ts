// Reads clef.yaml. Either everything is right and resolved, or every fault is told at once with its line and column.

import { maxVerifyPlaces } from '@clef/kms';
import type { Position } from '@clef/strict';
import type * as z from 'zod/mini';
import { checkManifest } from './check-manifest.ts';
import { type Draft, draftManifest } from './draft.ts';
import { type FieldPath, formatFieldPath, type ManifestFault, manifestError } from './faults.ts';
import { type Manifest, manifestShape, plannedFields } from './manifest.ts';
import { didYouMean, nameFault, quoteName } from './names.ts';
import { isMap, parseStrictYaml, type StrictYaml, type YamlMap, type YamlValue } from './strict-yaml.ts';

/**
 * Parses a whole clef.yaml. `file` is how the file is called in messages.
 * Throws one ClefError with `faults` sorted by position. Its code is `manifest_invalid`, or, where all faults are of one
 * other class, `bad_format` (not the YAML that is allowed), `limit`, `bad_name`, `bad_path`, `private_key_given` or
 * `not_supported`.
 */
export function parseManifest(bytes: Uint8Array, file: string): Manifest {
  const yaml = parseStrictYaml(bytes);
  if ('faults' in yaml) throw manifestError(file, yaml.faults);
  return resolveManifest(yaml, file);
}

/** The rest of {@link parseManifest}, for a caller that needs the document too. */
export function resolveManifest(yaml: StrictYaml, file: string): Manifest {
  if (!isMap(yaml.value)) throw manifestError(file, [notAManifest(yaml.value)]);
  const issues = manifestShape.fits(yaml.value) ? [] : issuesOf(yaml.value);
  const shapeFaults = issues.flatMap((issue) => describeIssue(issue, yaml));
  const { manifest, faults } = checkManifest(draft(yaml.value, issues), yaml.positionOf);
  const all = [...shapeFaults, ...faults];
  if (all.length > 0) throw manifestError(file, all);
  return manifest;
}

function issuesOf(value: YamlMap): readonly Issue[] {
  const result = manifestShape.schema().safeParse(value);
  return result.success ? [] : result.error.issues.flatMap(flattenUnion(value));
}

type Issue = { readonly code: string; readonly path: readonly PropertyKey[] } & Readonly<
  Record<string, unknown>
>;

/** The entries that no issue touches; an entry that only has a field too many is still looked at. */
function draft(value: YamlMap, issues: readonly Issue[]): Draft {
  const faulty = issues.filter((issue) => issue.code !== 'unrecognized_keys').map((issue) => issue.path);
  const isSound = (path: FieldPath) =>
    !faulty.some(
      (issue) =>
        issue.length === 0 || issue.every((step, index) => index >= path.length || step === path[index]),
    );
  return draftManifest(value, isSound);
}

/** An issue of a union becomes those of the branch that was meant. */
function flattenUnion(root: YamlMap): (issue: z.core.$ZodIssue) => Issue[] {
  return (issue) => {
    if (issue.code !== 'invalid_union') return [issue as unknown as Issue];
    const branch = Array.isArray(valueAt(root, issue.path)) ? 1 : 0;
    const inner = (issue.errors[branch] ?? []) as unknown as readonly Issue[];
    return inner.map((nested) => ({ ...nested, path: [...issue.path, ...nested.path] }));
  };
}

function describeIssue(issue: Issue, yaml: StrictYaml): ManifestFault[] {
  const path = issue.path as FieldPath;
  if (issue.code === 'unrecognized_keys')
    return unknownFields(issue['keys'] as readonly string[], path, yaml);
  const value = valueAt(yaml.value, path);
  const position = yaml.positionOf(path, issue.code === 'invalid_key' ? 'key' : 'value');
  const at = { path: formatFieldPath(path), position };
  if (value === undefined) return [{ class: 'config', message: `${quoteField(path)} is missing`, ...at }];
  if (issue.code === 'invalid_key') return [{ class: 'name', ...illegalName(String(path.at(-1))), ...at }];
  if (isNamePath(path)) return [{ class: 'name', ...illegalName(value), ...at }];
  return [{ class: 'config', ...describeValue(issue, path, value), ...at }];
}

type Description = { readonly message: string; readonly hint?: string };

function describeValue(issue: Issue, path: FieldPath, value: YamlValue): Description {
  if (path.length === 1 && path[0] === 'version') return describeVersion(value);
  if (path.length === 1 && path[0] === 'repository') {
    return { message: '"repository" wants a UUID in lower case, as clef init makes it' };
  }
  const field = typeof path.at(-1) === 'number' ? `An entry of ${quoteField(path)}` : quoteField(path);
  if (issue.code === 'invalid_type') {
    return {
      message: `${field} wants ${kinds[String(issue['expected'])] ?? 'another value'}, found ${kindOf(value)}`,
    };
  }
  if (issue.code === 'too_small') return { message: `${field} is empty; it wants at least one entry` };
  if (issue.code === 'too_big') return { message: `${field} has more than ${maxVerifyPlaces} places` };
  if (issue.code === 'invalid_value') return { message: `${field} knows only the value "namespace"` };
  return illegalName(value);
}

function describeVersion(value: YamlValue): Description {
  if (typeof value === 'number' && value > 1) {
    return {
      message: `Version ${value} needs a newer Clef; this one reads version 1`,
      hint: 'install the newest Clef',
    };
  }
  return { message: '"version" wants the number 1, without quotes' };
}

function illegalName(value: YamlValue): Description {
  if (typeof value !== 'string') return { message: `A name wants text, found ${kindOf(value)}` };
  return { message: `The name ${quoteName(value)} ${nameFault(value) ?? 'is not legal here'}` };
}

function unknownFields(keys: readonly string[], parent: FieldPath, yaml: StrictYaml): ManifestFault[] {
  const { fields, section } = fieldsAt(parent);
  return keys.map((key) => {
    const path = [...parent, key];
    const at = { path: formatFieldPath(path), position: yaml.positionOf(path, 'key') };
    if (plannedFields[section]?.includes(key) === true) {
      return {
        class: 'not_supported',
        message: `${quoteField(path)} is not supported by this version of Clef yet`,
        hint: `remove "${key}"`,
        ...at,
      };
    }
    return {
      class: 'config',
      message: `There is no field ${quoteName(key)} here${didYouMean(key, fields)}`,
      ...at,
    };
  });
}

type SchemaDefinition = {
  readonly shape?: Readonly<Record<string, SchemaNode>>;
  readonly element?: SchemaNode;
  readonly valueType?: SchemaNode;
  readonly innerType?: SchemaNode;
};
type SchemaNode = { readonly _zod: { readonly def: SchemaDefinition } };

/** The fields that the schema knows at `path`, and the name of the section: field names without positions and names. */
function fieldsAt(path: FieldPath): { readonly fields: readonly string[]; readonly section: string } {
  let definition = unwrapped(manifestShape.schema() as unknown as SchemaNode);
  const section: (string | number)[] = [];
  for (const step of path) {
    const field = definition.shape?.[step];
    if (field !== undefined) section.push(step);
    const next = field ?? definition.element ?? definition.valueType;
    if (next === undefined) break;
    definition = unwrapped(next);
  }
  return { fields: Object.keys(definition.shape ?? {}), section: section.join('.') };
}

function unwrapped(node: SchemaNode): SchemaDefinition {
  const { innerType } = node._zod.def;
  return innerType === undefined ? node._zod.def : unwrapped(innerType);
}

/** Whether a name stands at `path`: its faults are of the class `name`. */
function isNamePath(path: FieldPath): boolean {
  const [section, ...rest] = path;
  const field = rest.at(-1);
  if (rest.length === 2 && field === 'name') return true;
  return section === 'groups' && rest.length === 2;
}

function notAManifest(value: YamlValue): ManifestFault {
  const message =
    value === null ? 'The file is empty' : `The file wants fields such as "version", found ${kindOf(value)}`;
  return {
    class: 'config',
    message,
    position: startOfFile,
    hint: 'run clef init in an empty folder to see a whole one',
  };
}

const startOfFile: Position = { line: 1, column: 1 };

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: 'true or false',
  number: 'a number',
  array: 'a list',
  object: 'fields of its own',
  record: 'names with fields of their own',
};

function kindOf(value: YamlValue): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'fields';
  if (typeof value === 'string') return 'text';
  return typeof value === 'number'
    ? 'a number (quotes make it text)'
    : `the word ${String(value)} (quotes make it text)`;
}

function valueAt(root: YamlValue, path: readonly PropertyKey[]): YamlValue | undefined {
  let value: YamlValue | undefined = root;
  for (const step of path) {
    if (Array.isArray(value)) value = value[Number(step)];
    else value = isMap(value) ? value[String(step)] : undefined;
  }
  return value;
}

function quoteField(path: FieldPath): string {
  const name = [...path].reverse().find((step) => typeof step === 'string');
  return quoteName(String(name ?? 'clef.yaml'));
}
