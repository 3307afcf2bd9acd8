// Who may read which cell. Deny by default: an age key reads a cell only if a rule grants it; rules add up and their
// order is of no account. Pure, and the only place that answers the question.

import type { KeyReference } from '@clef/kms';
import type { AccessRule, CellName, Manifest } from './manifest.ts';
import { formatCellName } from './names.ts';

/** One age key of one person. */
export type PersonKey = { readonly person: string; readonly key: KeyReference };

/** Everybody and everything that a cell is encrypted to. */
export type CellRecipients = {
  /** The age keys that `access` grants, in the manifest's order of people and keys. */
  readonly people: readonly PersonKey[];
  /** The environment's own keys. */
  readonly encryptTo: readonly KeyReference[];
};

type AccessTables = Pick<Manifest, 'recipients' | 'groups' | 'access' | 'environments'>;

/**
 * The recipients of `cell` as the manifest grants them: no key twice, in a fixed order. Both lists are empty for an
 * environment that the manifest does not know. The namespace need not exist yet.
 */
export function cellRecipients(manifest: AccessTables, cell: CellName): CellRecipients {
  const environment = manifest.environments.find((candidate) => candidate.name === cell.environment);
  if (environment === undefined) return { people: [], encryptTo: [] };
  const readers = grantedPeople(manifest, cell);
  const people = manifest.recipients
    .filter((person) => readers.has(person.name))
    .flatMap((person) => person.keys.map((key) => ({ person: person.name, key })));
  return {
    people: distinct(people, (entry) => entry.key),
    encryptTo: distinct(environment.encryptTo, (key) => key),
  };
}

/** The cells of the matrix that `person` may read with an age key, in the manifest's order. */
export function readableCells(manifest: Manifest, person: string): readonly CellName[] {
  return allCells(manifest).filter((cell) => grantedPeople(manifest, cell).has(person));
}

/** The whole matrix, namespace by namespace. */
export function allCells(manifest: {
  readonly namespaces: readonly { readonly name: string }[];
  readonly environments: readonly { readonly name: string }[];
}): readonly CellName[] {
  return manifest.namespaces.flatMap(({ name: namespace }) =>
    manifest.environments.map(({ name: environment }) => ({ namespace, environment })),
  );
}

/** Whether two names name the same cell. */
export function isSameCell(a: CellName, b: CellName): boolean {
  return formatCellName(a) === formatCellName(b);
}

function grantedPeople(manifest: Pick<Manifest, 'groups' | 'access'>, cell: CellName): ReadonlySet<string> {
  const granted = new Set<string>();
  for (const rule of manifest.access) {
    if (!covers(rule, cell)) continue;
    for (const name of rule.allow) {
      for (const person of manifest.groups.get(name) ?? [name]) granted.add(person);
    }
  }
  return granted;
}

function covers(rule: AccessRule, cell: CellName): boolean {
  return includes(rule.namespaces, cell.namespace) && includes(rule.environments, cell.environment);
}

function includes(names: readonly string[] | '*', name: string): boolean {
  return names === '*' || names.includes(name);
}

function distinct<T>(entries: readonly T[], keyOf: (entry: T) => KeyReference): T[] {
  const seen = new Set<string>();
  return entries.filter((entry) => {
    const { text } = keyOf(entry);
    return !seen.has(text) && seen.add(text);
  });
}
