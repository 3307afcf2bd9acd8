// Changing cells: every write of a cell goes through here. Recipients come from the manifest and never from the file; what
// was written is read back and checked to be ciphertext before it is committed.
import { editSopsFile, encryptTree, mappingOf, type SopsFile, stringLeaf } from '@clef/sops';
import { ClefError } from '../errors.ts';
import { gitUserName } from '../git/git.ts';
import { ownRecipients } from '../keys/age-keys.ts';
import { addNamespace } from '../manifest/edit.ts';
import { findEnvironment } from '../manifest/find.ts';
import type { CellName, Manifest } from '../manifest/manifest.ts';
import { checkName, nameFault, nearMiss, parseCellName, slug } from '../manifest/names.ts';
import { manifestName, manifestText, openRepository, type Repository } from '../repository.ts';
import { type FileChange, withRepositoryLock } from '../transaction/commit-files.ts';
import { type Cell, cellOf } from './cell.ts';
import { checkedBytes, inSops } from './in-sops.ts';
import {
  type OpenedCell,
  openSealedCell,
  readPendingKeys,
  readSealedCell,
  readSidecar,
  refuseDifferentRecipients,
  requireSealedCell,
  type SealedCell,
} from './read.ts';
import { formatSidecar, recordChanges } from './sidecar.ts';
import { manifestRecipients } from './sops-recipients.ts';

/** Asks a person; false where nobody can be asked. */
export type Confirm = (question: string) => Promise<boolean>;

/** Keys to set, to delete, and to announce without a value; each may be empty. */
export type CellEdit = {
  readonly set: ReadonlyMap<string, string>;
  readonly delete: readonly string[];
  readonly announce?: readonly string[];
  /** Make the cell without a key where there is none; otherwise an edit of nothing does nothing. */
  readonly scaffold?: true;
};

type Change = {
  /** Create a namespace although its name is close to an existing one. */
  readonly createNamespace: boolean;
  /** The cells must be there already, or at least a key announced in them. */
  readonly mustExist?: boolean;
  readonly confirm: Confirm;
  /** Plan everything, and write nothing; nobody is asked to confirm and no lock is taken. */
  readonly isDryRun?: boolean;
};

export type CellsChange = Change & {
  /** Called when every check has passed and before the lock is taken: a person may take long to type a value. */
  readonly edit: () => Promise<PlanEdit>;
};

/** What to change in one cell, given how it stands; called under the lock, once for each cell. */
export type PlanEdit = (current: CurrentCell) => CellEdit | Promise<CellEdit>;

/** A cell under the lock. */
export type CurrentCell = {
  readonly cell: Cell;
  /** As it is under the lock: its manifest may be newer than the one that the operation began with. */
  readonly repository: Repository;
  /** False where the change creates the cell. */
  readonly exists: boolean;
  readonly keys: readonly string[];
  /** Keys without a value yet. */
  readonly pending: ReadonlySet<string>;
  /** Decrypts the cell, once. Empty where there is none. */
  readonly values: () => Promise<ReadonlyMap<string, string>>;
};

export type ChangedCell = {
  /** NAMESPACE/ENVIRONMENT. */
  readonly cell: string;
  readonly change: 'created' | 'updated' | 'unchanged';
};

/** {@link changeCells} for one cell. */
export async function changeCell(
  repository: Repository,
  target: string,
  change: CellsChange,
): Promise<ChangedCell> {
  const [changed] = await changeCells(repository, [target], change);
  return changed as ChangedCell;
}

/**
 * Changes the values of cells in one transaction over the cells, their sidecars and, where a namespace is new, clef.yaml:
 * all of it or nothing. Unchanged values keep their ciphertext. A cell that is named twice is changed once.
 * @returns what happened to each cell, in the order of the targets.
 * @throws {ClefError} `unknown_environment`, `unknown_namespace` for a near miss, `protected`, `recipients_differ`,
 * `no_recipients`, `missing_cell`, `lock_held`, `changed_meanwhile`, `io`, and what opening a cell can give.
 */
export async function changeCells(
  repository: Repository,
  given: readonly string[],
  change: CellsChange,
): Promise<readonly ChangedCell[]> {
  const targets = [...new Set(given)];
  const seen = await readForChange(repository, targets, change);
  const cells = seen.map(({ cell }) => cell);
  const labels = cells.map(({ label }) => label).join(', ');
  if (!change.isDryRun) await askIfProtected(cells, change.confirm, `Change ${labels}`);
  const planEdit = await change.edit();
  if (change.isDryRun) return (await planCells(repository, seen, planEdit)).map(({ changed }) => changed);
  const { root, world } = repository;
  const lock = { purpose: `change ${labels}`, now: world.now, randomBytes: world.randomBytes };
  return withRepositoryLock(root, lock, async ({ commit }) => {
    // Read again: another process may have written between our first look and the lock.
    const current = await openRepository(world, root);
    const found = await readForChange(current, targets, change);
    refuseUnconfirmed(cells, found);
    const plans = await planCells(current, found, planEdit);
    const files = plans.flatMap((plan) => plan.files);
    const created = files.length === 0 ? [] : newNamespaces(found);
    if (files.length > 0) await commit([...planNamespaces(current, created), ...files]);
    for (const name of created) {
      world.notify({ level: 'note', message: `Created the namespace "${name}" in ${manifestName}` });
    }
    return plans.map(({ changed }) => changed);
  });
}

type Target = {
  readonly cell: Cell;
  readonly sealed: SealedCell | undefined;
  /** The namespace that the change creates. */
  readonly newNamespace: string | undefined;
};

/** The cells as they stand, after every check that needs neither a key nor a value. */
async function readForChange(
  repository: Repository,
  targets: readonly string[],
  change: Change,
): Promise<readonly Target[]> {
  const read: Target[] = [];
  // One after the other, so that of several faults the first cell's is told.
  for (const target of targets) read.push(await readTarget(repository, target, change));
  return read;
}

async function readTarget(repository: Repository, target: string, change: Change): Promise<Target> {
  const name = parseCellName(target);
  const environment = findEnvironment(repository.manifest, name.environment);
  const newNamespace = namespaceToCreate(repository.manifest, name, change);
  const cell = cellOf(repository.manifest, name, environment);
  const isNeeded = change.mustExist === true && (await readPendingKeys(repository, cell)).size === 0;
  const sealed = isNeeded
    ? await requireSealedCell(repository, cell)
    : await readSealedCell(repository, cell);
  if (sealed !== undefined) refuseDifferentRecipients(repository, sealed, 'change');
  return { cell, sealed, newNamespace };
}

type PlannedCell = { readonly changed: ChangedCell; readonly files: readonly FileChange[] };

async function planCells(
  repository: Repository,
  targets: readonly Target[],
  planEdit: PlanEdit,
): Promise<readonly PlannedCell[]> {
  const by = await changedBy(repository);
  const plans: PlannedCell[] = [];
  for (const target of targets) plans.push(await planCell(repository, target, planEdit, by));
  return plans;
}

async function planCell(
  repository: Repository,
  { cell, sealed }: Target,
  planEdit: PlanEdit,
  by: string,
): Promise<PlannedCell> {
  const opened = once(async () =>
    sealed === undefined ? undefined : await openSealedCell(repository, sealed),
  );
  const values = async () => (await opened())?.values ?? new Map<string, string>();
  const { sidecar, bytes: sidecarBytes } = await readSidecar(repository, cell);
  const { pending } = sidecar;
  const keys = sealed?.keys ?? [];
  const edit = await planEdit({ cell, repository, exists: sealed !== undefined, keys, pending, values });
  const real = await onlyRealChanges(edit, values);
  const file =
    sealed === undefined
      ? await planNewFile(repository, cell, edit)
      : await planFile(repository, real, opened);
  // A key that was pending has its value now, even where the value was there before.
  const fulfilled = [...edit.set.keys(), ...edit.delete];
  const changes = { set: real.set.keys(), deleted: real.delete, fulfilled, announced: edit.announce };
  const recorded = recordChanges(sidecar, changes, by, repository.world.now());
  const isNoted = file !== undefined || !isSamePending(recorded.pending, pending);
  const note = { path: cell.sidecarPath, before: sidecarBytes, after: formatSidecar(recorded) };
  return {
    changed: { cell: cell.label, change: kindOfChange(sealed, file, edit) },
    files: [
      ...(isNoted ? [note] : []),
      ...(file === undefined ? [] : [{ path: cell.path, before: sealed?.bytes, after: file }]),
    ],
  };
}

/** What of an edit changes something: an equal value keeps its ciphertext and its date. */
async function onlyRealChanges(edit: CellEdit, values: CurrentCell['values']): Promise<CellEdit> {
  if (edit.set.size + edit.delete.length === 0) return edit;
  const current = await values();
  return {
    ...edit,
    set: new Map([...edit.set].filter(([key, value]) => current.get(key) !== value)),
    delete: edit.delete.filter((key) => current.has(key)),
  };
}

function kindOfChange(
  sealed: SealedCell | undefined,
  file: Uint8Array | undefined,
  { announce = [] }: CellEdit,
): ChangedCell['change'] {
  if (file === undefined) return announce.length > 0 ? 'updated' : 'unchanged';
  return sealed === undefined ? 'created' : 'updated';
}

function isSamePending(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= work());
}

/** The new bytes of a cell's file; `undefined` where it stays as it is. */
async function planFile(
  repository: Repository,
  edit: CellEdit,
  opened: () => Promise<OpenedCell | undefined>,
): Promise<Uint8Array | undefined> {
  const current = edit.set.size + edit.delete.length === 0 ? undefined : await opened();
  return current && checkedBytes(current.cell, await editFile(repository, current, edit));
}

/** The first bytes of a cell; `undefined` where there is nothing to put into it. */
async function planNewFile(
  repository: Repository,
  cell: Cell,
  edit: CellEdit,
): Promise<Uint8Array | undefined> {
  if (edit.set.size === 0 && edit.scaffold !== true) return undefined;
  return checkedBytes(cell, await createFile(repository, cell, edit));
}

/**
 * Asks before protected cells are changed.
 * @throws {ClefError} `protected` where the answer is no or nobody can answer.
 */
export async function askIfProtected(
  cells: readonly Pick<Cell, 'label' | 'isProtected'>[],
  confirm: Confirm,
  what: string,
): Promise<void> {
  const protectedCells = cells.filter((cell) => cell.isProtected).map((cell) => cell.label);
  if (protectedCells.length === 0) return;
  if (await confirm(`${what}? Protected: ${protectedCells.join(', ')}`)) return;
  throw new ClefError({
    code: 'protected',
    message: `"${protectedCells[0]}" is protected, and the change was not confirmed`,
    hint: 'pass --yes to confirm it',
  });
}

/** What has become protected since the question was asked, or was not, needs one of its own. */
function refuseUnconfirmed(asked: readonly Cell[], found: readonly Target[]): void {
  const cell = found
    .map((target) => target.cell)
    .find(({ isProtected }, at) => isProtected && !asked[at]?.isProtected);
  if (cell === undefined) return;
  throw new ClefError({
    code: 'changed_meanwhile',
    message: `"${cell.label}" has become protected while Clef worked; nothing was written`,
    hint: 'run the command again',
  });
}

/** The namespace that this change creates, or `undefined` where it exists. */
function namespaceToCreate(manifest: Manifest, name: CellName, change: Change): string | undefined {
  const existing = manifest.namespaces.map((namespace) => namespace.name);
  if (existing.includes(name.namespace)) return undefined;
  const near = nearMiss(name.namespace, existing);
  if (change.mustExist || (near !== undefined && !change.createNamespace)) {
    const suggestion = near === undefined ? '' : `. Did you mean "${near}/${name.environment}"?`;
    throw new ClefError({
      code: 'unknown_namespace',
      message: `No namespace "${name.namespace}" in ${manifestName}${suggestion}`,
      hint: change.mustExist
        ? 'run "clef list" to see the cells'
        : `use "${near}", or pass --create to make "${name.namespace}"`,
    });
  }
  checkName(name.namespace, 'namespace');
  return name.namespace;
}

function newNamespaces(targets: readonly Target[]): readonly string[] {
  return [
    ...new Set(targets.flatMap(({ newNamespace }) => (newNamespace === undefined ? [] : [newNamespace]))),
  ];
}

function planNamespaces(repository: Repository, names: readonly string[]): readonly FileChange[] {
  if (names.length === 0) return [];
  const text = names.reduce((before, name) => addNamespace(before, { name }), manifestText(repository));
  return [{ path: manifestName, before: repository.manifestBytes, after: new TextEncoder().encode(text) }];
}

/** The person of the manifest whose key is ours; else the name that git knows, for a job that writes through KMS. */
async function changedBy({ world, manifest, root }: Repository): Promise<string> {
  const own = await ownRecipients(world);
  const person = manifest.recipients.find(({ keys }) => keys.some((key) => own.includes(key.text)))?.name;
  if (person !== undefined) return person;
  const names = [await gitUserName(world, root), world.userName].map((name) =>
    name === undefined ? '' : slug(name),
  );
  return names.find((name) => nameFault(name) === undefined) ?? 'unknown';
}

/**
 * The change that makes a cell without keys, which is the bare `sops` block.
 * @throws {ClefError} `no_recipients`, and what a KMS can give.
 */
export async function planEmptyCell(repository: Repository, cell: Cell): Promise<FileChange> {
  const file = await createFile(repository, cell, { set: new Map(), delete: [] });
  return { path: cell.path, before: undefined, after: checkedBytes(cell, file) };
}

async function createFile(repository: Repository, cell: Cell, edit: CellEdit): Promise<SopsFile> {
  const recipients = manifestRecipients(repository.world, repository.manifest, cell);
  if (recipients.length === 0) {
    throw new ClefError({
      code: 'no_recipients',
      message: `Nobody could read "${cell.label}": no rule of ${manifestName} grants it`,
      hint: `add a rule to "access", or "encrypt_to" to the environment "${cell.environment}"`,
    });
  }
  const tree = {
    documents: [mappingOf([...edit.set].map(([key, value]) => [key, stringLeaf(value)] as const))],
  };
  return inSops(repository, cell, (context) => encryptTree(tree, { ...context, format: 'yaml', recipients }));
}

async function editFile(
  repository: Repository,
  { dataKey, file, cell, plain }: OpenedCell,
  edit: CellEdit,
): Promise<SopsFile> {
  const edits = [
    ...[...edit.set].map(([key, value]) => ({ op: 'set', path: [key], value: stringLeaf(value) }) as const),
    ...edit.delete.map((key) => ({ op: 'delete', path: [key] }) as const),
  ];
  return inSops(repository, cell, async (context) =>
    editSopsFile(file, dataKey, edits, { ...context, plain }),
  );
}
