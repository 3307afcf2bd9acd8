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
  openSealedCell,
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

/** Keys to set and to delete; both may be empty. */
export type CellEdit = { readonly set: ReadonlyMap<string, string>; readonly delete: readonly string[] };

export type CellChange = {
  /** Create the namespace although its name is close to an existing one. */
  readonly createNamespace: boolean;
  /** The cell must be there already. */
  readonly mustExist?: boolean;
  readonly confirm: Confirm;
  /** Called when every check has passed and before the lock is taken: a person may take long to type a value. */
  readonly edit: () => Promise<PlanEdit>;
};

/** What to change, given the keys that the cell has; called under the lock. */
export type PlanEdit = (cell: Cell, keys: readonly string[]) => CellEdit;

export type ChangedCell = {
  /** NAMESPACE/ENVIRONMENT. */
  readonly cell: string;
  readonly change: 'created' | 'updated' | 'unchanged';
};

/**
 * Changes the values of a cell in one transaction over the cell, its sidecar and, where its namespace is new, clef.yaml.
 * Unchanged values keep their ciphertext.
 * @throws {ClefError} `unknown_environment`, `unknown_namespace` for a near miss, `protected`, `recipients_differ`,
 * `no_recipients`, `missing_cell`, `lock_held`, `changed_meanwhile`, `io`, and what opening the cell can give.
 */
export async function changeCell(
  repository: Repository,
  target: string,
  change: CellChange,
): Promise<ChangedCell> {
  const { cell } = await readForChange(repository, target, change);
  await askIfProtected([cell], change.confirm, `Change ${cell.label}`);
  const planEdit = await change.edit();
  const { root, world } = repository;
  const lock = { purpose: `change ${cell.label}`, now: world.now, randomBytes: world.randomBytes };
  return withRepositoryLock(root, lock, async ({ commit }) => {
    // Read again: another process may have written between our first look and the lock.
    const current = await openRepository(world, root);
    const { sealed, newNamespace } = await readForChange(current, target, change);
    const edit = planEdit(cell, sealed?.keys ?? []);
    const file =
      sealed === undefined ? await createFile(current, cell, edit) : await editFile(current, sealed, edit);
    const sidecar = await planSidecar(current, cell, edit);
    if (file === 'unchanged') {
      // A key that was pending has its value now, even where the value was there before.
      if (sidecar.hadPending) await commit([sidecar.change]);
      return { cell: cell.label, change: 'unchanged' };
    }
    await commit([
      ...(newNamespace === undefined ? [] : [planNamespace(current, newNamespace)]),
      sidecar.change,
      { path: cell.path, before: sealed?.bytes, after: checkedBytes(cell, file) },
    ]);
    if (newNamespace !== undefined) {
      world.notify({ level: 'note', message: `Created the namespace "${newNamespace}" in ${manifestName}` });
    }
    return { cell: cell.label, change: sealed === undefined ? 'created' : 'updated' };
  });
}

type Target = {
  readonly cell: Cell;
  readonly sealed: SealedCell | undefined;
  /** The namespace that the change creates. */
  readonly newNamespace: string | undefined;
};

/** The cell as it stands, after every check that needs neither a key nor a value. */
async function readForChange(repository: Repository, target: string, change: CellChange): Promise<Target> {
  const name = parseCellName(target);
  const environment = findEnvironment(repository.manifest, name.environment);
  const newNamespace = namespaceToCreate(repository.manifest, name, change);
  const cell = cellOf(repository.manifest, name, environment);
  const sealed = change.mustExist
    ? await requireSealedCell(repository, cell)
    : await readSealedCell(repository, cell);
  if (sealed !== undefined) refuseDifferentRecipients(repository, sealed, 'change');
  return { cell, sealed, newNamespace };
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

/** The namespace that this change creates, or `undefined` where it exists. */
function namespaceToCreate(manifest: Manifest, name: CellName, change: CellChange): string | undefined {
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

function planNamespace(repository: Repository, name: string): FileChange {
  const after = new TextEncoder().encode(addNamespace(manifestText(repository), { name }));
  return { path: manifestName, before: repository.manifestBytes, after };
}

async function planSidecar(
  repository: Repository,
  cell: Cell,
  edit: CellEdit,
): Promise<{ readonly change: FileChange; readonly hadPending: boolean }> {
  const { sidecar, bytes } = await readSidecar(repository, cell);
  const changes = { set: edit.set.keys(), deleted: edit.delete };
  const after = recordChanges(sidecar, changes, await changedBy(repository), repository.world.now());
  return {
    change: { path: cell.sidecarPath, before: bytes, after: formatSidecar(after) },
    hadPending: after.pending.size < sidecar.pending.size,
  };
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

async function createFile(repository: Repository, cell: Cell, edit: CellEdit): Promise<SopsFile> {
  const recipients = manifestRecipients(repository.manifest, cell);
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
  sealed: SealedCell,
  edit: CellEdit,
): Promise<SopsFile | 'unchanged'> {
  const { dataKey, values, file, cell } = await openSealedCell(repository, sealed);
  const changed = [...edit.set].filter(([key, value]) => values.get(key) !== value);
  if (changed.length === 0 && edit.delete.length === 0) return 'unchanged';
  return inSops(repository, cell, async (context) =>
    editSopsFile(
      file,
      dataKey,
      [
        ...changed.map(([key, value]) => ({ op: 'set', path: [key], value: stringLeaf(value) }) as const),
        ...edit.delete.map((key) => ({ op: 'delete', path: [key] }) as const),
      ],
      context,
    ),
  );
}
