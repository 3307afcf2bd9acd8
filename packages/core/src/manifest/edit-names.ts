// Changes of clef.yaml about namespaces and environments that are there: each renames or removes one with everything that
// refers to it, so that the manifest is whole before and after.

import { ClefError } from '../errors.ts';
import { editManifest } from './edit.ts';
import type { FieldPath } from './faults.ts';
import { findEnvironment, findNamespace } from './find.ts';
import type { Manifest, ServiceIdentity } from './manifest.ts';
import { checkName, quoteName } from './names.ts';
import type { YamlEdit } from './yaml-splice.ts';

/** What the matrix has two kinds of. */
export type Axis = 'namespace' | 'environment';

/** What in clef.yaml refers to a namespace or an environment by its name. "*" does not. */
export type References = {
  /** Positions of access rules. */
  readonly rules: readonly number[];
  readonly services: readonly string[];
};

/** Everything that refers to a name. */
export function referencesTo(manifest: Manifest, axis: Axis, name: string): References {
  return {
    rules: [...manifest.access.entries()]
      .filter(([, rule]) => scopeOf(rule, axis).includes(name))
      .map(([index]) => index),
    services: manifest.serviceIdentities
      .filter((service) => namesOfService(service, axis).includes(name))
      .map((service) => service.name),
  };
}

/** `text` in which `from` is called `to` everywhere. Throws `already_exists`, `bad_name` and for an unknown `from`. */
export function renameInManifest(text: string, axis: Axis, from: string, to: string): string {
  checkName(to, axis);
  return editManifest(text, (manifest) => {
    const index = indexOfName(manifest, axis, from);
    refuseTaken(manifest, axis, to);
    const places = placesOf(manifest, axis, from).map(
      (path): YamlEdit =>
        axis === 'environment' && path[0] === 'service_identities'
          ? { op: 'rename', path, to }
          : { op: 'replace', path, value: to },
    );
    const schema = axis === 'namespace' ? movedSchema(manifest, from, to) : undefined;
    return [
      { op: 'replace', path: [sectionOf(axis), index, 'name'], value: to },
      ...(schema === undefined
        ? []
        : [{ op: 'replace', path: ['namespaces', index, 'schema'], value: schema.to } as const]),
      ...places,
    ];
  });
}

/**
 * The schema that is named after a namespace and after the renamed one: `schemas/database.yaml` goes with `database`.
 * Undefined where it has another name or another namespace uses it too.
 */
export function movedSchema(
  manifest: Manifest,
  from: string,
  to: string,
): { readonly from: string; readonly to: string } | undefined {
  const schema = ownSchema(manifest, from);
  const moved = schema?.replace(/([^/]+)(?=\.[^/.]+$)/, (stem) => (stem === from ? to : stem));
  return schema === undefined || moved === undefined || moved === schema
    ? undefined
    : { from: schema, to: moved };
}

/** The path of a namespace's schema where no other namespace uses the same. */
export function ownSchema(manifest: Manifest, namespace: string): string | undefined {
  const schema = manifest.namespaces.find(({ name }) => name === namespace)?.schema;
  const isShared = manifest.namespaces.some((other) => other.name !== namespace && other.schema === schema);
  return isShared ? undefined : schema;
}

/**
 * `text` without a namespace or an environment, and without every mention of it. A rule that covered nothing else goes.
 * @throws {ClefError} `in_use` where a service identity would have none left, or it is the last environment.
 */
export function removeFromManifest(text: string, axis: Axis, name: string): string {
  return editManifest(text, (manifest) => {
    const index = indexOfName(manifest, axis, name);
    refuseLast(manifest, axis, name);
    const emptied = [...manifest.access.entries()]
      .filter(([, rule]) => scopeOf(rule, axis).every((scoped) => scoped === name))
      .filter(([, rule]) => scopeOf(rule, axis).length > 0)
      .map(([at]) => at);
    const mentions = placesOf(manifest, axis, name).filter(
      ([section, at]) => section !== 'access' || !emptied.includes(at as number),
    );
    const paths: readonly FieldPath[] = [...mentions, ...emptied.map((at) => ['access', at])];
    return [
      // From the last place to the first, so that a removal leaves those to come where they are.
      ...[...paths].sort(byPlaceDescending).map((path): YamlEdit => ({ op: 'remove', path })),
      { op: 'remove', path: [sectionOf(axis), index] },
    ];
  });
}

function sectionOf(axis: Axis): 'namespaces' | 'environments' {
  return `${axis}s`;
}

function scopeOf(rule: Manifest['access'][number], axis: Axis): readonly string[] {
  const scope = rule[sectionOf(axis)];
  return scope === '*' ? [] : scope;
}

function namesOfService(service: ServiceIdentity, axis: Axis): readonly string[] {
  return axis === 'namespace' ? service.namespaces : [...service.environments.keys()];
}

/** Where the name stands, besides its own entry. */
function placesOf(manifest: Manifest, axis: Axis, name: string): readonly FieldPath[] {
  const inLists = (section: string, lists: readonly (readonly string[])[]): readonly FieldPath[] =>
    lists.flatMap((names, index) =>
      [...names.entries()]
        .filter(([, found]) => found === name)
        .map(([at]) => [section, index, sectionOf(axis), at]),
    );
  const rules = inLists(
    'access',
    manifest.access.map((rule) => scopeOf(rule, axis)),
  );
  if (axis === 'namespace') {
    const lists = manifest.serviceIdentities.map((service) => service.namespaces);
    return [...rules, ...inLists('service_identities', lists)];
  }
  const services = manifest.serviceIdentities.flatMap(({ environments }, index) =>
    environments.has(name) ? [['service_identities', index, 'environments', name]] : [],
  );
  return [...rules, ...services];
}

function indexOfName(manifest: Manifest, axis: Axis, name: string): number {
  const entries: readonly { readonly name: string }[] = manifest[sectionOf(axis)];
  const find = axis === 'namespace' ? findNamespace : findEnvironment;
  return entries.indexOf(find(manifest, name));
}

function refuseTaken(manifest: Manifest, axis: Axis, name: string): void {
  if (!manifest[sectionOf(axis)].some((entry) => entry.name === name)) return;
  throw new ClefError({
    code: 'already_exists',
    message: `There is ${axis === 'namespace' ? 'a namespace' : 'an environment'} ${quoteName(name)} in clef.yaml already`,
    hint: 'choose another name',
  });
}

function refuseLast(manifest: Manifest, axis: Axis, name: string): void {
  if (axis === 'environment' && manifest.environments.length === 1) {
    throw new ClefError({
      code: 'in_use',
      message: `"${name}" is the only environment; a repository needs one`,
      hint: 'add another one first: clef environment add NAME',
    });
  }
  const service = manifest.serviceIdentities.find((one) =>
    namesOfService(one, axis).every((found) => found === name),
  );
  if (service === undefined) return;
  throw new ClefError({
    code: 'in_use',
    message: `The service identity "${service.name}" would have no ${axis} left without "${name}"`,
    hint: `take "${service.name}" out of clef.yaml first, or give it another ${axis}`,
  });
}

function byPlaceDescending(a: FieldPath, b: FieldPath): number {
  for (const [index, step] of a.entries()) {
    const other = b[index];
    if (other === undefined) return -1;
    if (step === other) continue;
    return typeof step === 'number' && typeof other === 'number'
      ? other - step
      : String(other) < String(step)
        ? -1
        : 1;
  }
  return 1;
}
