// Who may read: the people of clef.yaml and what each may open; and letting a new key in, as one transaction.
import { parseKeyReference } from '@clef/kms';
import type { Cell } from '../cells/cell.ts';
import { matrixCells } from '../cells/cell.ts';
import { readSealedCell, type SealedCell } from '../cells/read.ts';
import { planRecipients } from '../cells/rewrap.ts';
import { askIfProtected, type Confirm } from '../cells/write.ts';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { cellRecipients } from '../manifest/access.ts';
import { addAccessRule, addRecipientKeys } from '../manifest/edit-people.ts';
import { findEnvironment, findNamespace } from '../manifest/find.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { checkName } from '../manifest/names.ts';
import { parseManifest } from '../manifest/parse.ts';
import { manifestName, manifestText, openRepository, type Repository } from '../repository.ts';
import { withRepositoryLock } from '../transaction/commit-files.ts';

export type RecipientsView = {
  readonly people: readonly {
    readonly name: string;
    readonly keys: readonly string[];
    /** Environments in which the person reads at least one cell, or would read a new one. */
    readonly environments: readonly string[];
  }[];
  readonly encryptTo: readonly { readonly environment: string; readonly key: string }[];
};

/** Everybody in clef.yaml and the environments each may read. */
export function listRecipients({ manifest }: Repository): RecipientsView {
  return {
    people: manifest.recipients.map(({ name, keys }) => ({
      name,
      keys: keys.map((key) => key.text),
      environments: manifest.environments
        .map((environment) => environment.name)
        .filter((environment) => reads(manifest, name, environment)),
    })),
    encryptTo: manifest.environments.flatMap(({ name, encryptTo }) =>
      encryptTo.map((key) => ({ environment: name, key: key.text })),
    ),
  };
}

function reads(manifest: Manifest, person: string, environment: string): boolean {
  // A rule that names all namespaces counts before there is one; "*" is no legal name, so no rule can name it by chance.
  const namespaces = [...manifest.namespaces.map(({ name }) => name), '*'];
  return namespaces.some((namespace) =>
    cellRecipients(manifest, { namespace, environment }).people.some(
      (recipient) => recipient.person === person,
    ),
  );
}

export type AddRecipientRequest = {
  readonly person: string;
  /** An age public key. */
  readonly key: string;
  /** Environments to grant; without them only the key is added, for a person who has access already. */
  readonly environments?: readonly string[];
  /** Namespaces to grant in them; all without it. */
  readonly namespaces?: readonly string[];
  readonly confirm: Confirm;
};

export type AddedRecipient = {
  readonly person: string;
  readonly key: string;
  /** False where the person had the key and the access already. */
  readonly changed: boolean;
  /** The cells whose data key was wrapped for the new key. */
  readonly cells: readonly string[];
};

/**
 * Adds a key, and access where asked, and wraps the data key of every cell concerned for it. Values keep their ciphertext.
 * Nothing is changed unless all of it can be.
 * @throws {ClefError} `bad_name`, `bad_key_reference`, `private_key_given`, `unknown_environment`, `unknown_namespace`,
 * `protected`, `recipients_differ`, and what opening and committing cells can give.
 */
export async function addRecipient(
  repository: Repository,
  request: AddRecipientRequest,
): Promise<AddedRecipient> {
  const { person } = request;
  checkName(person, 'person');
  const key = readAgeKey(request.key);
  const first = planManifest(repository, request, key);
  if (!first.isChanged) return { person, key, changed: false, cells: [] };
  await askIfProtected(
    protectedTargets(repository, request, first.cells),
    request.confirm,
    `Let ${person} read`,
  );
  const { root, world } = repository;
  const lock = { purpose: 'recipients add', now: world.now, randomBytes: world.randomBytes };
  return withRepositoryLock(root, lock, async ({ commit }) => {
    // Planned again: a cell may have been made between our first look and the lock.
    const current = await openRepository(world, root);
    const plan = planManifest(current, request, key);
    const cells = await readCells(current, plan.cells);
    const changes = await Promise.all(cells.map((sealed) => planRecipients(current, sealed, plan.manifest)));
    await commit([{ path: manifestName, before: current.manifestBytes, after: plan.bytes }, ...changes]);
    return { person, key, changed: true, cells: cells.map(({ cell }) => cell.label) };
  });
}

/** Protected cells that gain a reader, and protected environments of which no cell exists yet. */
function protectedTargets(
  { manifest }: Repository,
  { environments = [] }: AddRecipientRequest,
  cells: readonly Cell[],
): readonly { readonly label: string; readonly isProtected: boolean }[] {
  const touched = new Set(cells.map((cell) => cell.environment));
  const granted = manifest.environments.filter(
    ({ name }) => environments.includes(name) && !touched.has(name),
  );
  return [...cells, ...granted.map(({ name, protected: isProtected }) => ({ label: name, isProtected }))];
}

type ManifestPlan = {
  readonly isChanged: boolean;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
  /** The cells of the matrix whose recipients are others under the new manifest. */
  readonly cells: readonly Cell[];
};

function planManifest(repository: Repository, request: AddRecipientRequest, key: string): ManifestPlan {
  const text = planText(repository, request, key);
  const bytes = new TextEncoder().encode(text);
  const manifest = parseManifest(bytes, manifestName);
  return {
    isChanged: text !== manifestText(repository),
    bytes,
    manifest,
    cells: cellsGaining(repository.manifest, manifest),
  };
}

function planText(repository: Repository, request: AddRecipientRequest, key: string): string {
  const { manifest } = repository;
  for (const environment of request.environments ?? []) findEnvironment(manifest, environment);
  for (const namespace of request.namespaces ?? []) findNamespace(manifest, namespace);
  const owner = manifest.recipients.find(({ keys }) => keys.some((known) => known.text === key));
  if (owner !== undefined && owner.name !== request.person) {
    throw new ClefError({
      code: 'already_exists',
      message: `This key belongs to "${owner.name}" in ${manifestName} already`,
      hint: `use the name "${owner.name}", or ask for another key`,
    });
  }
  const withKey = addRecipientKeys(manifestText(repository), request.person, [key]);
  const missing = (request.environments ?? []).filter(
    (environment) =>
      !(request.namespaces ?? ['*']).every((namespace) =>
        mayRead(manifest, request.person, namespace, environment),
      ),
  );
  if (missing.length === 0) return withKey;
  return addAccessRule(withKey, {
    allow: [request.person],
    namespaces: request.namespaces ?? '*',
    environments: missing,
  });
}

function mayRead(manifest: Manifest, person: string, namespace: string, environment: string): boolean {
  const { people } = cellRecipients(manifest, { namespace, environment });
  return people.some((recipient) => recipient.person === person);
}

function cellsGaining(before: Manifest, after: Manifest): readonly Cell[] {
  const keysOf = (manifest: Manifest, cell: Cell): string =>
    cellRecipients(manifest, cell)
      .people.map(({ key }) => key.text)
      .join();
  return matrixCells(before).filter((cell) => keysOf(before, cell) !== keysOf(after, cell));
}

async function readCells(repository: Repository, cells: readonly Cell[]): Promise<readonly SealedCell[]> {
  const sealed = await Promise.all(cells.map((cell) => readSealedCell(repository, cell)));
  return sealed.filter((cell) => cell !== undefined);
}

function readAgeKey(text: string): string {
  try {
    const reference = parseKeyReference(text);
    if (reference.kind === 'age') return reference.text;
  } catch (error) {
    throw fromGroundError(error, { action: 'add this key' });
  }
  throw new ClefError({
    code: 'bad_key_reference',
    message: 'Cannot add this key: it is not an age public key',
    hint: 'ask the person to run "clef init", which prints the line to run here',
  });
}
