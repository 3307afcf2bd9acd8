// Changes of clef.yaml about who may read: people, their keys, groups and access rules.

import { ClefError } from '../errors.ts';
import { editManifest } from './edit.ts';
import type { AccessRule, Manifest, Person } from './manifest.ts';
import { checkName, didYouMean, quoteName } from './names.ts';
import type { YamlEdit } from './yaml-splice.ts';

/** `text` with these public age keys more for `person`, who is added where unknown; `text` itself where all are there. */
export function addRecipientKeys(text: string, person: string, keys: readonly string[]): string {
  checkName(person, 'person');
  return editManifest(text, ({ recipients }) => {
    const index = recipients.findIndex((candidate) => candidate.name === person);
    if (index === -1) return [{ op: 'append', path: ['recipients'], value: { name: person, keys } }];
    const known = recipients[index]?.keys.map((key) => key.text) ?? [];
    const path = ['recipients', index, 'keys'];
    return keys.filter((key) => !known.includes(key)).map((value) => ({ op: 'append', path, value }));
  });
}

/** `text` with one rule more. Names must exist already. Returns `text` itself where an equal rule is there. */
export function addAccessRule(text: string, rule: AccessRule): string {
  return editManifest(text, ({ access }) => {
    const isThere = access.some((known) => JSON.stringify(known) === JSON.stringify(rule));
    return isThere ? [] : [appendRule(rule)];
  });
}

/** `text` with a known person in these groups. Throws `unknown_recipient` for a group that is not there. */
export function addToGroups(text: string, person: string, groups: readonly string[]): string {
  return editManifest(text, (manifest) => {
    for (const group of groups) findGroup(manifest, group);
    return groups
      .filter((group) => manifest.groups.get(group)?.includes(person) !== true)
      .map((group) => ({ op: 'append', path: ['groups', group], value: person }));
  });
}

/**
 * `text` without a person: out of `recipients`, of every group, every rule and the owners of every namespace. A rule that would allow nobody goes; a
 * group that nobody is left in stays, empty.
 */
export function removePerson(text: string, person: string): string {
  return editManifest(text, (manifest) => [
    ...withoutMember(manifest, person, [...manifest.groups.keys()]),
    ...fromLast(manifest.access.entries()).flatMap(([index, rule]) => withoutAllowed(rule, index, person)),
    ...manifest.namespaces.flatMap(({ owners = [] }, index) => withoutOwner(owners, index, person)),
    { op: 'remove', path: ['recipients', indexOfPerson(manifest, person)] },
  ]);
}

/** `text` without one key of a person who has another. */
export function removePersonKey(text: string, person: string, key: string): string {
  return editManifest(text, (manifest) => {
    const index = indexOfPerson(manifest, person);
    const at = manifest.recipients[index]?.keys.findIndex((candidate) => candidate.text === key) ?? -1;
    return at === -1 ? [] : [{ op: 'remove', path: ['recipients', index, 'keys', at] }];
  });
}

/** `text` without a person in these groups. */
export function removeFromGroups(text: string, person: string, groups: readonly string[]): string {
  return editManifest(text, (manifest) => {
    for (const group of groups) findGroup(manifest, group);
    return withoutMember(manifest, person, groups);
  });
}

/**
 * `text` in which no rule names a person for these environments: the rules that do are narrowed, "*" becomes the names of
 * the other environments, and where others are allowed by the same rule the person gets one of his own for what is left.
 * What a group grants is not touched.
 */
export function removeAccess(text: string, person: string, environments: readonly string[]): string {
  return editManifest(text, (manifest) => {
    const all = manifest.environments.map(({ name }) => name);
    const narrowed = fromLast(manifest.access.entries()).map(([index, rule]) => {
      const covered = rule.environments === '*' ? all : rule.environments;
      const left = covered.filter((name) => !environments.includes(name));
      const isConcerned = rule.allow.includes(person) && left.length < covered.length;
      return isConcerned ? narrowRule(rule, index, person, left) : { edits: [], rules: [] };
    });
    return [
      ...narrowed.flatMap(({ edits }) => edits),
      ...narrowed.reverse().flatMap(({ rules }) => rules.map(appendRule)),
    ];
  });
}

/** The person of that name; throws `unknown_recipient` with the nearest one. */
export function findPerson(manifest: Manifest, name: string): Person {
  const found = manifest.recipients.find((person) => person.name === name);
  if (found !== undefined) return found;
  const names = manifest.recipients.map((person) => person.name);
  throw unknown('person', name, names);
}

function findGroup(manifest: Manifest, name: string): void {
  if (!manifest.groups.has(name)) throw unknown('group', name, [...manifest.groups.keys()]);
}

function unknown(kind: string, name: string, names: readonly string[]): ClefError {
  return new ClefError({
    code: 'unknown_recipient',
    message: `No ${kind} ${quoteName(name)} in clef.yaml${didYouMean(name, names)}`,
    hint:
      names.length > 0 ? `use one of ${names.slice(0, 10).join(', ')}` : `add the ${kind} to clef.yaml first`,
  });
}

function indexOfPerson(manifest: Manifest, name: string): number {
  return manifest.recipients.indexOf(findPerson(manifest, name));
}

function withoutMember(manifest: Manifest, person: string, groups: readonly string[]): readonly YamlEdit[] {
  return groups.flatMap((group) => {
    const at = manifest.groups.get(group)?.indexOf(person) ?? -1;
    return at === -1 ? [] : [{ op: 'remove', path: ['groups', group, at] } as const];
  });
}

function withoutAllowed({ allow }: AccessRule, index: number, person: string): readonly YamlEdit[] {
  const others = allow.filter((name) => name !== person);
  if (others.length === allow.length) return [];
  if (others.length === 0) return [{ op: 'remove', path: ['access', index] }];
  return fromLast(allow.entries())
    .filter(([, name]) => name === person)
    .map(([at]) => ({ op: 'remove', path: ['access', index, 'allow', at] }));
}

/** An empty list of owners is no legal one: the field goes with the last. */
function withoutOwner(owners: readonly string[], index: number, person: string): readonly YamlEdit[] {
  const at = owners.indexOf(person);
  if (at === -1) return [];
  const path = ['namespaces', index, 'owners'];
  return [{ op: 'remove', path: owners.length === 1 ? path : [...path, at] }];
}

type Narrowed = { readonly edits: readonly YamlEdit[]; readonly rules: readonly AccessRule[] };

function narrowRule(rule: AccessRule, index: number, person: string, left: readonly string[]): Narrowed {
  const isAlone = rule.allow.every((name) => name === person);
  if (!isAlone) {
    const own = { ...rule, allow: [person], environments: left };
    return { edits: withoutAllowed(rule, index, person), rules: left.length === 0 ? [] : [own] };
  }
  if (left.length === 0) return { edits: [{ op: 'remove', path: ['access', index] }], rules: [] };
  return { edits: replaceList(['access', index, 'environments'], rule.environments, left), rules: [] };
}

/** The list with only `left` in it: names that stay keep their places and comments. */
function replaceList(
  path: readonly (string | number)[],
  names: readonly string[] | '*',
  left: readonly string[],
): readonly YamlEdit[] {
  if (names === '*') {
    return [
      ...left.map((value) => ({ op: 'append', path, value }) as const),
      { op: 'remove', path: [...path, 0] },
    ];
  }
  return fromLast(names.entries())
    .filter(([, name]) => !left.includes(name))
    .map(([at]) => ({ op: 'remove', path: [...path, at] }));
}

function appendRule({ allow, namespaces, environments }: AccessRule): YamlEdit {
  const value = { allow, namespaces: scopeList(namespaces), environments: scopeList(environments) };
  return { op: 'append', path: ['access'], value };
}

function scopeList(scope: readonly string[] | '*'): readonly string[] {
  return scope === '*' ? ['*'] : scope;
}

/** Positions from the last to the first, so that a removal leaves those to come where they are. */
function fromLast<T>(entries: Iterable<readonly [number, T]>): (readonly [number, T])[] {
  return [...entries].reverse();
}
