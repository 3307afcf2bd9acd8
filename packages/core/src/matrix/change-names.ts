// Namespaces and environments come and go as transactions over clef.yaml, the files of their cells, sidecars, schemas and
// `.sops.yaml`. A rename moves files byte for byte: SOPS binds a value to its key, not to the path of the file.
import { rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Cell, cellOf, matrixCells } from '../cells/cell.ts';
import { askToConfirm } from '../cells/confirm.ts';
import { inParallel } from '../cells/in-parallel.ts';
import { parseCell } from '../cells/read.ts';
import { planSopsConfig } from '../cells/sops-config.ts';
import type { Confirm } from '../cells/write.ts';
import { readSchema } from '../checks/schema-file.ts';
import { ClefError } from '../errors.ts';
import { addEnvironment, addNamespace, type NewEnvironment } from '../manifest/edit.ts';
import {
  type Axis,
  movedSchema,
  ownSchema,
  referencesTo,
  removeFromManifest,
  renameInManifest,
} from '../manifest/edit-names.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { nearMiss } from '../manifest/names.ts';
import { parseManifest } from '../manifest/parse.ts';
import { manifestName, manifestText, openRepository, type Repository, readFileIn } from '../repository.ts';
import { type FileChange, withRepositoryLock } from '../transaction/commit-files.ts';

export type { Axis } from '../manifest/edit-names.ts';

const maxFileBytes = 64 * 1024 * 1024;

export type NewName =
  | {
      readonly axis: 'namespace';
      readonly name: string;
      readonly description?: string;
      readonly isNearMissMeant: boolean;
    }
  | ({
      readonly axis: 'environment';
      /** People and groups who may read all of it with their age keys. */
      readonly allow: readonly string[];
      readonly isNearMissMeant: boolean;
    } & NewEnvironment);

/**
 * Adds a namespace or an environment to clef.yaml. Its cells appear with their first keys, or with `syncMatrix`.
 * @throws {ClefError} `already_exists`, `bad_name`, `not_confirmed` for a near miss of a name that is there,
 * `manifest_invalid` where nobody could read a cell of it, `bad_key_reference`, and what committing can give.
 */
export async function addName(repository: Repository, added: NewName): Promise<{ readonly name: string }> {
  const { axis, name } = added;
  refuseNearMiss(repository.manifest, added);
  await commitPlan(repository, `${axis} add`, async (current) => {
    const text = manifestText(current);
    return planFiles(
      current,
      added.axis === 'namespace' ? addNamespaceTo(text, added) : addEnvironment(text, added),
      [],
    );
  });
  return { name };
}

function addNamespaceTo(
  text: string,
  { name, description }: NewName & { readonly axis: 'namespace' },
): string {
  return addNamespace(text, { name, ...(description !== undefined && { description }) });
}

function refuseNearMiss(manifest: Manifest, { axis, name, isNearMissMeant }: NewName): void {
  const names = manifest[`${axis}s`].map((entry) => entry.name);
  const near = nearMiss(name, names);
  if (near === undefined || isNearMissMeant) return;
  throw new ClefError({
    code: 'not_confirmed',
    message: `"${name}" is close to the ${axis} "${near}" that is there`,
    hint: `use "${near}", or pass --create to make "${name}"`,
  });
}

export type NameChange = {
  readonly confirm: Confirm;
  /** Called before a question is asked. */
  readonly show?: (effect: NameEffect) => void;
  readonly isDryRun?: boolean;
};

/** What a rename or a removal touches. */
export type NameEffect = {
  /** Cells with a file, and how many keys each has; none for one that cannot be read. */
  readonly cells: readonly { readonly cell: string; readonly keys: number | undefined }[];
  /** How many access rules mention the name. */
  readonly rules: number;
  /** Service identities that mention it. */
  readonly services: readonly string[];
  /** Files that are moved or removed. */
  readonly files: readonly string[];
  /** False for a dry run. */
  readonly changed: boolean;
};

/**
 * Renames a namespace or an environment with everything that refers to it. Files keep their bytes.
 * @throws {ClefError} `unknown_namespace`, `unknown_environment`, `already_exists` also for a file that stands where one
 * would go, `bad_name`, `protected`, and what committing can give.
 */
export async function renameName(
  repository: Repository,
  {
    axis,
    from,
    to,
    ...change
  }: NameChange & { readonly axis: Axis; readonly from: string; readonly to: string },
): Promise<NameEffect> {
  return changeName(repository, change, {
    purpose: `${axis} rename`,
    what: `Rename ${from} to ${to}`,
    axis,
    name: from,
    reasonsOf: () => [],
    isLossy: false,
    plan: async (current) => {
      const text = renameInManifest(manifestText(current), axis, from, to);
      const schema = axis === 'namespace' ? movedSchema(current.manifest, from, to) : undefined;
      const paths = cellsOfName(current.manifest, axis, from).flatMap((cell) => {
        const renamed = cellOf(
          current.manifest,
          { ...cell, [axis]: to },
          environmentOf(current.manifest, cell),
        );
        return [
          [cell.path, renamed.path],
          [cell.sidecarPath, renamed.sidecarPath],
        ] as const;
      });
      const moves = [...paths, ...(schema === undefined ? [] : [[schema.from, schema.to] as const])];
      const moved = await inParallel(current.world, 'Reading cells', moves, ([before, after]) =>
        planMove(current, before, after),
      );
      return planFiles(current, text, moved.flat());
    },
  });
}

/**
 * Removes a namespace or an environment with its cells and everything that refers to it.
 * @throws {ClefError} `unknown_namespace`, `unknown_environment`, `in_use`, `protected`, `not_confirmed`, `manifest_invalid`
 * where nobody could read another cell without it, and what committing can give.
 */
export async function removeName(
  repository: Repository,
  { axis, name, ...change }: NameChange & { readonly axis: Axis; readonly name: string },
): Promise<NameEffect> {
  return changeName(repository, change, {
    purpose: `${axis} remove`,
    what: `Remove the ${axis} ${name}`,
    axis,
    name,
    reasonsOf: reasonsOfRemoval,
    isLossy: true,
    plan: async (current) => {
      const text = removeFromManifest(manifestText(current), axis, name);
      const schema = axis === 'namespace' ? await removableSchema(current, name) : undefined;
      const cells = cellsOfName(current.manifest, axis, name);
      const paths = [
        ...cells.flatMap((cell) => [cell.path, cell.sidecarPath]),
        ...(schema === undefined ? [] : [schema]),
      ];
      const removed = await inParallel(current.world, 'Reading cells', paths, (path) =>
        planRemoval(current, path),
      );
      return planFiles(current, text, removed.flat());
    },
  });
}

/** clef.yaml may call any file of the work tree a schema: what is none is not removed. */
async function removableSchema(repository: Repository, namespace: string): Promise<string | undefined> {
  const file = ownSchema(repository.manifest, namespace);
  try {
    if (file !== undefined) await readSchema(repository, namespace);
    return file;
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    return undefined;
  }
}

type Plan = (repository: Repository) => Promise<readonly FileChange[]>;

type Intent = {
  readonly purpose: string;
  readonly what: string;
  readonly axis: Axis;
  readonly name: string;
  readonly reasonsOf: (effect: NameEffect) => readonly string[];
  /** Nothing may be lost that was not shown. */
  readonly isLossy: boolean;
  readonly plan: Plan;
};

async function changeName(repository: Repository, change: NameChange, intent: Intent): Promise<NameEffect> {
  const files = await intent.plan(repository);
  const effect = await effectOf(repository, intent, files);
  if (change.isDryRun === true) return effect;
  const reasons = intent.reasonsOf(effect);
  const labels = new Set(effect.cells.map(({ cell }) => cell));
  const protectedLabels = cellsOfName(repository.manifest, intent.axis, intent.name)
    .filter((cell) => cell.isProtected && labels.has(cell.label))
    .map((cell) => cell.label);
  await askToConfirm({ what: intent.what, protectedLabels, reasons }, change.confirm, () =>
    change.show?.(effect),
  );
  await commitPlan(repository, intent.purpose, async (current) => {
    const found = await intent.plan(current);
    if (intent.isLossy) refuseSurprises(files, found);
    return found;
  });
  await removeEmptyFolders(repository.root, effect.files);
  return { ...effect, changed: true };
}

/** Somebody may have stored a value while a person thought about the ones that were shown. */
function refuseSurprises(shown: readonly FileChange[], found: readonly FileChange[]): void {
  const known = new Map(shown.map(({ path, before }) => [path, before]));
  const surprising = found.find(
    ({ path, before, after }) =>
      after === undefined &&
      Buffer.compare(before ?? new Uint8Array(), known.get(path) ?? new Uint8Array()) !== 0,
  );
  if (surprising === undefined) return;
  throw new ClefError({
    code: 'changed_meanwhile',
    message: `"${surprising.path}" was changed while Clef worked; nothing was written`,
    hint: 'look at what would be lost now, and run the command again',
    location: { file: surprising.path },
  });
}

async function commitPlan(repository: Repository, purpose: string, plan: Plan): Promise<void> {
  const { root, world } = repository;
  const lock = { purpose, now: world.now, randomBytes: world.randomBytes };
  await withRepositoryLock(root, lock, async ({ commit }) =>
    commit(await plan(await openRepository(world, root))),
  );
}

/** clef.yaml with another text, `.sops.yaml` to go with it, and these files. */
async function planFiles(
  repository: Repository,
  text: string,
  files: readonly FileChange[],
): Promise<readonly FileChange[]> {
  const after = new TextEncoder().encode(text);
  const manifest = parseManifest(after, manifestName);
  return [
    { path: manifestName, before: repository.manifestBytes, after },
    ...(await planSopsConfig(repository, manifest)),
    ...files,
  ];
}

async function planMove({ root }: Repository, from: string, to: string): Promise<readonly FileChange[]> {
  const bytes = await readFileIn(root, from, maxFileBytes);
  if (bytes === undefined) return [];
  if ((await readFileIn(root, to, maxFileBytes)) !== undefined) {
    throw new ClefError({
      code: 'already_exists',
      message: `Cannot move "${from}": "${to}" exists already and belongs to no cell of clef.yaml`,
      hint: `look at "${to}", and move it away first`,
      location: { file: to },
    });
  }
  return [
    { path: to, before: undefined, after: bytes },
    { path: from, before: bytes, after: undefined },
  ];
}

async function planRemoval({ root }: Repository, path: string): Promise<readonly FileChange[]> {
  const bytes = await readFileIn(root, path, maxFileBytes);
  return bytes === undefined ? [] : [{ path, before: bytes, after: undefined }];
}

async function effectOf(
  { manifest }: Repository,
  { axis, name }: Intent,
  files: readonly FileChange[],
): Promise<NameEffect> {
  const { rules, services } = referencesTo(manifest, axis, name);
  const gone = files.filter(({ after }) => after === undefined);
  const cells = cellsOfName(manifest, axis, name).flatMap((cell) => {
    const bytes = gone.find(({ path }) => path === cell.path)?.before;
    return bytes === undefined ? [] : [{ cell: cell.label, keys: countKeys(cell, bytes) }];
  });
  return { cells, rules: rules.length, services, files: gone.map(({ path }) => path), changed: false };
}

/** A file that is no cell any more must not keep anybody from moving or removing it. */
function countKeys(cell: Cell, bytes: Uint8Array): number | undefined {
  try {
    return parseCell(cell, bytes).keys.length;
  } catch (error) {
    if (error instanceof ClefError) return undefined;
    throw error;
  }
}

function reasonsOfRemoval({ cells, rules, services }: NameEffect): readonly string[] {
  const keys = cells.reduce((sum, cell) => sum + (cell.keys ?? 0), 0);
  const mentions = [
    ...(rules === 0 ? [] : [`${rules} access ${rules === 1 ? 'rule' : 'rules'}`]),
    ...services.map((service) => `the service identity "${service}"`),
  ];
  return [
    ...(cells.length === 0 ? [] : [`${count(keys, 'key')} in ${count(cells.length, 'cell')} would be lost`]),
    ...(mentions.length === 0 ? [] : [`It is mentioned by ${mentions.join(' and ')}`]),
  ];
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function cellsOfName(manifest: Manifest, axis: Axis, name: string): readonly Cell[] {
  return matrixCells(manifest).filter((cell) => cell[axis] === name);
}

function environmentOf(manifest: Manifest, cell: Cell): Manifest['environments'][number] {
  const found = manifest.environments.find(({ name }) => name === cell.environment);
  if (found === undefined) throw new Error('A cell of the matrix without its environment');
  return found;
}

/** Folders that the change has emptied; one that is not empty, or that somebody else removed, stays as it is. */
async function removeEmptyFolders(root: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
      const isGone = await rmdir(join(root, folder)).then(
        () => true,
        () => false,
      );
      if (!isGone) break;
    }
  }
}
