// Who may read: the people of clef.yaml and what each may open; and letting new keys in, as one transaction.
import type { SealedCell } from '../cells/read.ts';
import type { ReaderChange } from '../cells/readers.ts';
import { ClefError } from '../errors.ts';
import { parsePublicKey } from '../keys/public-key.ts';
import { type AccessRequest, readRequests } from '../keys/request-files.ts';
import { cellRecipients } from '../manifest/access.ts';
import { addAccessRule, addRecipientKeys, addToGroups } from '../manifest/edit-people.ts';
import { findEnvironment, findNamespace } from '../manifest/find.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { checkName } from '../manifest/names.ts';
import { parseManifest } from '../manifest/parse.ts';
import { manifestName, manifestText, type Repository } from '../repository.ts';
import type { FileChange } from '../transaction/commit-files.ts';
import {
  changeReaders,
  planManifest,
  type ReadersPlan,
  type Review,
  readCellsGranted,
} from './change-readers.ts';

export type RecipientsView = {
  readonly people: readonly {
    readonly name: string;
    readonly keys: readonly string[];
    readonly groups: readonly string[];
    /** Environments in which the person reads at least one cell, or would read a new one. */
    readonly environments: readonly string[];
  }[];
  readonly encryptTo: readonly { readonly environment: string; readonly key: string }[];
  /** What people have asked for and nobody has approved yet. */
  readonly requests: readonly AccessRequest[];
};

/** Everybody in clef.yaml and the environments each may read, and who asks to. Warns of a request that is malformed. */
export async function listRecipients(repository: Repository): Promise<RecipientsView> {
  const { manifest } = repository;
  return {
    people: manifest.recipients.map(({ name, keys }) => ({
      name,
      keys: keys.map((key) => key.text),
      groups: [...manifest.groups].filter(([, members]) => members.includes(name)).map(([group]) => group),
      environments: manifest.environments
        .map((environment) => environment.name)
        .filter((environment) => readsIn(manifest, name, environment)),
    })),
    encryptTo: manifest.environments.flatMap(({ name, encryptTo }) =>
      encryptTo.map((key) => ({ environment: name, key: key.text })),
    ),
    requests: await readRequests(repository),
  };
}

/** Whether a person reads any cell of an environment, or would read a new one. */
export function readsIn(manifest: Manifest, person: string, environment: string): boolean {
  // A rule that names all namespaces counts before there is one; "*" is no legal name, so no rule can name it by chance.
  const namespaces = [...manifest.namespaces.map(({ name }) => name), '*'];
  return namespaces.some((namespace) => mayRead(manifest, person, namespace, environment));
}

function mayRead(manifest: Manifest, person: string, namespace: string, environment: string): boolean {
  const { people } = cellRecipients(manifest, { namespace, environment });
  return people.some((recipient) => recipient.person === person);
}

/** Who is to read what. */
export type Grant = {
  readonly person: string;
  /** Age public keys. */
  readonly keys: readonly string[];
  /** Environments to grant; without them and groups only the keys are added, for a person who has access already. */
  readonly environments?: readonly string[];
  /** Namespaces to grant in them; all without it. */
  readonly namespaces?: readonly string[];
  /** Groups of clef.yaml to join. */
  readonly groups?: readonly string[];
};

export type AddedRecipient = {
  readonly person: string;
  readonly keys: readonly string[];
  /** False where the person had the keys and the access already, and for a dry run. */
  readonly changed: boolean;
  /** The cells whose data key is wrapped for the new keys. */
  readonly cells: readonly string[];
  readonly changes: readonly ReaderChange[];
};

/**
 * Adds keys, and access where asked, and wraps the data key of every cell concerned for them. Values keep their
 * ciphertext. Nothing is changed unless all of it can be.
 * @throws {ClefError} `bad_name`, `bad_key_reference`, `private_key_given`, `unknown_environment`, `unknown_namespace`,
 * `unknown_recipient` for a group, `already_exists` for a key of somebody else, `protected`, `recipients_differ`, and what
 * opening and committing cells can give.
 */
export async function addRecipient(repository: Repository, request: Grant & Review): Promise<AddedRecipient> {
  return grantAccess(repository, request, { purpose: 'recipients add', reasons: [], files: async () => [] });
}

/** The same for other callers: with reasons to ask, and files that change with it. */
export async function grantAccess(
  repository: Repository,
  request: Grant & Review,
  more: {
    readonly purpose: string;
    readonly reasons: readonly string[];
    readonly files: (repository: Repository) => Promise<readonly FileChange[]>;
  },
): Promise<AddedRecipient> {
  const { person } = request;
  checkName(person, 'person');
  const grant = { ...request, keys: [...new Set(request.keys.map((key) => parsePublicKey(key)))] };
  noteFurtherKeys(repository, grant);
  const { changes, cells, applied } = await changeReaders(repository, {
    purpose: more.purpose,
    how: 'wrap',
    review: request,
    plan: async (current) => {
      const plan = await planGrant(current, grant);
      const doubts = { ...plan.doubts, reasons: more.reasons };
      return { ...plan, doubts, files: [...plan.files, ...(await more.files(current))] };
    },
  });
  return { person, keys: grant.keys, changed: applied, cells: cells.map(({ cell }) => cell.label), changes };
}

/** D17: a second person of the same name would be taken for the first. */
function noteFurtherKeys({ manifest, world }: Repository, { person, keys }: Grant): void {
  const known = manifest.recipients.find(({ name }) => name === person)?.keys.map((key) => key.text);
  if (known === undefined || keys.every((key) => known.includes(key))) return;
  const count = known.length === 1 ? 'a key' : `${known.length} keys`;
  world.notify({
    level: 'note',
    message: `"${person}" has ${count} in ${manifestName} already; this is a further one`,
  });
}

async function planGrant(repository: Repository, grant: Grant): Promise<ReadersPlan> {
  const { manifest, files } = planManifest(repository, planText(repository, grant));
  const cells = files.length === 0 ? [] : await readCellsGranted(repository, manifest);
  const protectedLabels = protectedTargets(repository.manifest, manifest, grant.person, cells);
  return {
    manifest,
    files,
    cells,
    doubts: { what: `Let ${grant.person} read`, protectedLabels, reasons: [] },
  };
}

/** Protected cells that gain a reader, and protected environments of which no cell exists yet. */
function protectedTargets(
  before: Manifest,
  after: Manifest,
  person: string,
  cells: readonly SealedCell[],
): readonly string[] {
  const touched = new Set(cells.map(({ cell }) => cell.environment));
  const granted = before.environments.filter(
    ({ name, protected: isProtected }) =>
      isProtected && !touched.has(name) && !readsIn(before, person, name) && readsIn(after, person, name),
  );
  const labels = cells.filter(({ cell }) => cell.isProtected).map(({ cell }) => cell.label);
  return [...labels, ...granted.map(({ name }) => name)];
}

function planText(repository: Repository, grant: Grant): string {
  const { manifest } = repository;
  const { person, keys, environments = [], namespaces, groups = [] } = grant;
  for (const environment of environments) findEnvironment(manifest, environment);
  for (const namespace of namespaces ?? []) findNamespace(manifest, namespace);
  for (const key of keys) refuseKeyOfAnother(manifest, person, key);
  const known = addToGroups(addRecipientKeys(manifestText(repository), person, keys), person, groups);
  const current = parseManifest(new TextEncoder().encode(known), manifestName);
  const missing = environments.filter(
    (environment) =>
      !(namespaces ?? ['*']).every((namespace) => mayRead(current, person, namespace, environment)),
  );
  if (missing.length === 0) return known;
  return addAccessRule(known, { allow: [person], namespaces: namespaces ?? '*', environments: missing });
}

function refuseKeyOfAnother({ recipients }: Manifest, person: string, key: string): void {
  const owner = recipients.find(({ keys }) => keys.some((known) => known.text === key));
  if (owner === undefined || owner.name === person) return;
  throw new ClefError({
    code: 'already_exists',
    message: `This key belongs to "${owner.name}" in ${manifestName} already`,
    hint: `use the name "${owner.name}", or ask for another key`,
  });
}
