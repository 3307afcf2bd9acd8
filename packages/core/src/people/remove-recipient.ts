// Shutting somebody out: a person, one key, or the access to some environments goes from clef.yaml, and every cell
// concerned gets a new data key, so that neither an old stanza nor the old data key opens what is written from now on.
// What could be read before stays readable from history: the result says what must be changed.
import type { SealedCell } from '../cells/read.ts';
import { type ReaderChange, recipientsOfCell } from '../cells/readers.ts';
import { ClefError } from '../errors.ts';
import { ownRecipients } from '../keys/age-keys.ts';
import { parsePublicKey } from '../keys/public-key.ts';
import { allCells, cellRecipients } from '../manifest/access.ts';
import {
  findPerson,
  removeAccess,
  removeFromGroups,
  removePerson,
  removePersonKey,
} from '../manifest/edit-people.ts';
import { findEnvironment } from '../manifest/find.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { formatCellName } from '../manifest/names.ts';
import { manifestName, manifestText, type Repository } from '../repository.ts';
import { changeReaders, planManifest, type ReadersPlan, type Review, readMatrix } from './change-readers.ts';
import { readsIn } from './recipients.ts';

/** What is taken from a person: everything, or one of these. */
export type Removal = {
  readonly person: string;
  /** One age public key; the person keeps the others. */
  readonly key?: string;
  /** Access to these environments; the person keeps the keys. */
  readonly environments?: readonly string[];
  /** Membership of these groups. */
  readonly groups?: readonly string[];
};

export type RemovedRecipient = {
  readonly person: string;
  readonly keys: readonly string[];
  /** False for a dry run. */
  readonly changed: boolean;
  /** The cells that have a new data key. */
  readonly cells: readonly string[];
  readonly changes: readonly ReaderChange[];
  /** What the removed keys could read, and still can from history: change these values. */
  readonly exposed: readonly { readonly cell: string; readonly keys: number }[];
};

/**
 * Removes a person, a key or access, and makes a new data key for every cell concerned, in one transaction.
 * @throws {ClefError} `unknown_recipient`, `unknown_environment`, `no_recipients`, `in_use` where a group grants the access,
 * `protected`, `not_confirmed`, and what opening and committing cells can give.
 */
export async function removeRecipient(
  repository: Repository,
  request: Removal & Review,
): Promise<RemovedRecipient> {
  const removal = { ...request, ...(request.key !== undefined && { key: parsePublicKey(request.key) }) };
  const { changes, cells, applied } = await changeReaders(repository, {
    purpose: 'recipients remove',
    how: 'rotate',
    review: request,
    plan: (current) => planRemoval(current, removal),
  });
  const lost = changes.filter(({ change }) => change === 'loses').map(({ cell }) => cell);
  return {
    person: request.person,
    keys: removedKeys(repository.manifest, removal),
    changed: applied,
    cells: cells.map(({ cell }) => cell.label),
    changes,
    exposed: cells
      .filter(({ cell }) => lost.includes(cell.label))
      .map(({ cell, keys }) => ({ cell: cell.label, keys: keys.length })),
  };
}

async function planRemoval(repository: Repository, removal: Removal): Promise<ReadersPlan> {
  const { manifest } = repository;
  refuseAbsent(manifest, removal);
  refuseNobodyLeft(manifest, removal);
  const planned = planManifest(repository, removalText(repository, removal));
  const cells = await cellsLosing(repository, planned.manifest, removedKeys(manifest, removal));
  const protectedLabels = cells.filter(({ cell }) => cell.isProtected).map(({ cell }) => cell.label);
  const reasons = [
    ...(await reasonsOfSelf(repository, planned.manifest, removal)),
    ...reasonsOfLast(manifest, planned.manifest),
  ];
  return { ...planned, cells, doubts: { what: `Shut ${removal.person} out`, protectedLabels, reasons } };
}

function removalText(repository: Repository, removal: Removal): string {
  const { person, key, environments = [], groups = [] } = removal;
  const text = manifestText(repository);
  if (isWhole(removal)) return removePerson(text, person);
  if (key !== undefined) {
    const isOnly = findPerson(repository.manifest, person).keys.length === 1;
    return isOnly ? removePerson(text, person) : removePersonKey(text, person, key);
  }
  return removeAccess(removeFromGroups(text, person, groups), person, environments);
}

function isWhole({ key, environments, groups }: Removal): boolean {
  return key === undefined && environments === undefined && groups === undefined;
}

function removedKeys(manifest: Manifest, { person, key }: Removal): readonly string[] {
  return key === undefined ? findPerson(manifest, person).keys.map(({ text }) => text) : [key];
}

/** D16: what is not there cannot be removed. */
function refuseAbsent(manifest: Manifest, { person, key, environments = [], groups = [] }: Removal): void {
  const { keys } = findPerson(manifest, person);
  if (key !== undefined && !keys.some(({ text }) => text === key)) {
    throw absent(
      `"${person}" has no such key in ${manifestName}`,
      'see the keys with "clef recipients list"',
    );
  }
  for (const group of groups) {
    if (manifest.groups.get(group)?.includes(person) === true) continue;
    throw absent(`"${person}" is not in a group "${group}"`, 'see who is in which group in clef.yaml');
  }
  const others = withoutMember(manifest, person, groups);
  for (const environment of environments) {
    findEnvironment(manifest, environment);
    if (!readsIn(manifest, person, environment))
      throw absent(
        `"${person}" does not read "${environment}"`,
        'see who reads what with "clef recipients list"',
      );
    refuseGroupAccess(others, person, environment);
  }
}

function absent(message: string, hint: string): ClefError {
  return new ClefError({ code: 'unknown_recipient', message, hint });
}

/** Access through a group cannot be taken from one member alone. */
function refuseGroupAccess(manifest: Manifest, person: string, environment: string): void {
  const group = manifest.access
    .filter(({ environments }) => environments === '*' || environments.includes(environment))
    .flatMap(({ allow }) => allow)
    .find((name) => manifest.groups.get(name)?.includes(person) === true);
  if (group === undefined) return;
  throw new ClefError({
    code: 'in_use',
    message: `"${person}" reads "${environment}" as a member of the group "${group}"`,
    hint: `take the person out of the group too: --groups ${group}`,
  });
}

function withoutMember(manifest: Manifest, person: string, groups: readonly string[]): Manifest {
  const left = [...manifest.groups].map(
    ([name, members]) =>
      [name, groups.includes(name) ? members.filter((member) => member !== person) : members] as const,
  );
  return { ...manifest, groups: new Map(left) };
}

/** @throws {ClefError} `no_recipients` where a cell would have nobody. */
function refuseNobodyLeft(manifest: Manifest, removal: Removal): void {
  const { person, key, environments, groups = [] } = removal;
  const rest = withoutMember(manifest, person, groups);
  for (const cell of cellsAndOnesToCome(manifest)) {
    const { people, encryptTo } = cellRecipients(rest, cell);
    const isRemoved = (reader: (typeof people)[number]): boolean =>
      reader.person === person &&
      (isWhole(removal) || reader.key.text === key || environments?.includes(cell.environment) === true);
    if (encryptTo.length > 0 || people.some((reader) => !isRemoved(reader))) continue;
    if (cellRecipients(manifest, cell).people.length === 0) continue;
    const label = cell.namespace === '*' ? `any cell of "${cell.environment}"` : `"${formatCellName(cell)}"`;
    throw new ClefError({
      code: 'no_recipients',
      message: `Without ${person} nobody could read ${label}`,
      hint: `let somebody else in first: clef recipients add NAME age1… --environments ${cell.environment}`,
    });
  }
}

function cellsAndOnesToCome(manifest: Manifest): ReturnType<typeof allCells> {
  const cells = allCells(manifest);
  return cells.length > 0 ? cells : allCells({ ...manifest, namespaces: [{ name: '*' }] });
}

/** Cells that the new manifest grants to others, and cells that have a removed key although nothing grants it. */
async function cellsLosing(
  repository: Repository,
  after: Manifest,
  keys: readonly string[],
): Promise<readonly SealedCell[]> {
  const { manifest } = repository;
  const sealed = await readMatrix(repository);
  const keysOf = (granted: Manifest, { cell }: SealedCell): readonly string[] =>
    cellRecipients(granted, cell).people.map(({ key }) => key.text);
  return sealed.filter((one) => {
    const wanted = keysOf(after, one);
    const had = [...keysOf(manifest, one), ...recipientsOfCell(one).filter((key) => keys.includes(key))];
    return had.some((key) => !wanted.includes(key));
  });
}

/** D15. */
async function reasonsOfSelf(
  { world, manifest }: Repository,
  after: Manifest,
  { person }: Removal,
): Promise<readonly string[]> {
  const own = await ownRecipients(world);
  const mine = (granted: Manifest): readonly string[] =>
    allCells(manifest)
      .filter((cell) => cellRecipients(granted, cell).people.some(({ key }) => own.includes(key.text)))
      .map(formatCellName);
  const kept = mine(after);
  const lost = mine(manifest).filter((label) => !kept.includes(label));
  const isOwn = manifest.recipients.some(
    ({ name, keys }) => name === person && keys.some(({ text }) => own.includes(text)),
  );
  if (lost.length > 0)
    return [`You would no longer read ${lost.length === 1 ? `"${lost[0]}"` : `${lost.length} cells`}`];
  return isOwn ? [`"${person}" is you`] : [];
}

/** An environment that people read now and only keys of a KMS would. */
function reasonsOfLast(before: Manifest, after: Manifest): readonly string[] {
  const isRead = (manifest: Manifest, environment: string): boolean =>
    manifest.recipients.some(({ name }) => readsIn(manifest, name, environment));
  return before.environments
    .filter(({ name }) => isRead(before, name) && !isRead(after, name))
    .map(({ name }) => `No person could read "${name}" any more, only keys of a KMS`);
}
