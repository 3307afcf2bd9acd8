// clef.yaml while it is checked: the sound entries of each section, each with its place, and every name that is declared
// anywhere, so that one bad entry does not make all references to it look wrong too.

import type { FieldPath } from './faults.ts';
import type { ManifestFile } from './manifest.ts';
import type { YamlMap, YamlValue } from './strict-yaml.ts';

/** A part of the file with its place. */
export type Entry<T> = { readonly path: FieldPath; readonly value: T };

type Item<Section extends keyof ManifestFile> =
  NonNullable<ManifestFile[Section]> extends readonly (infer T)[] ? T : never;

export type Draft = {
  readonly repository: string;
  readonly filePattern: Entry<string> | undefined;
  readonly environments: readonly Entry<Item<'environments'>>[];
  readonly namespaces: readonly Entry<Item<'namespaces'>>[];
  readonly recipients: readonly Entry<Item<'recipients'>>[];
  readonly groups: readonly Entry<{ readonly name: string; readonly members: readonly string[] }>[];
  readonly access: readonly Entry<Item<'access'>>[];
  readonly services: readonly Entry<Item<'service_identities'>>[];
  readonly declared: {
    readonly environments: readonly string[];
    readonly namespaces: readonly string[];
    readonly people: readonly string[];
    readonly groups: readonly string[];
  };
};

/** Takes from `value` what `isSound` says has the right shape. */
export function draftManifest(value: YamlMap, isSound: (path: FieldPath) => boolean): Draft {
  const entries = <T>(section: string): Entry<T>[] =>
    listOf(value[section]).flatMap((item, index) => {
      const path = [section, index];
      return isSound(path) ? [{ path, value: item as T }] : [];
    });
  const groups = Object.entries(mapOf(value['groups'])).flatMap(([name, members]) => {
    const path = ['groups', name];
    return isSound(path) ? [{ path, value: { name, members: members as readonly string[] } }] : [];
  });
  const pattern = value['file_pattern'];
  return {
    repository: String(value['repository']),
    filePattern: typeof pattern === 'string' ? { path: ['file_pattern'], value: pattern } : undefined,
    environments: entries('environments'),
    namespaces: entries('namespaces'),
    recipients: entries('recipients'),
    groups,
    access: entries('access'),
    services: entries('service_identities'),
    declared: {
      environments: declaredNames(value['environments']),
      namespaces: declaredNames(value['namespaces']),
      people: declaredNames(value['recipients']),
      groups: Object.keys(mapOf(value['groups'])),
    },
  };
}

function declaredNames(section: YamlValue | undefined): string[] {
  return listOf(section).flatMap((item) => {
    const name = mapOf(item)['name'];
    return typeof name === 'string' ? [name] : [];
  });
}

function listOf(value: YamlValue | undefined): readonly YamlValue[] {
  return Array.isArray(value) ? value : [];
}

function mapOf(value: YamlValue | undefined): YamlMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as YamlMap) : {};
}
