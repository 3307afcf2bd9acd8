// A cell's values in the person's editor. The text is only ever in memory, in a folder of our own that is gone afterwards;
// where there is no such storage nothing is edited. A text that was typed is not lost to a mistake: it can be opened again.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError, readRegularFile, runEditor, withoutOwnVariables, withPrivateFolder } from '@clef/host';
import { findCell } from '../cells/cell.ts';
import { openCell, readPendingKeys, readSealedCell } from '../cells/read.ts';
import {
  type CellEdit,
  type ChangedCell,
  type Confirm,
  type CurrentCell,
  changeCell,
} from '../cells/write.ts';
import { findMemoryStorage } from '../checks/memory-storage.ts';
import { checkValuesAgainstSchema } from '../checks/schema.ts';
import { readSchema } from '../checks/schema-file.ts';
import { ClefError, type ErrorFault } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { faultsError, type ManifestFault } from '../manifest/faults.ts';
import { keyNameFault, parseCellName, quoteKeyName, quoteName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import type { World } from '../world.ts';
import { formatEditText, withNotes } from './edit-text.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import type { FoundValue } from './import-formats/found-values.ts';
import { readYaml } from './import-formats/yaml.ts';
import { refuseSchemaBreaks, textFault } from './value-rules.ts';

const maxTextBytes = 64 * 1024 * 1024;

export type EditRequest = {
  readonly cell: string;
  readonly createNamespace: boolean;
  readonly allowedEnvironmentNames: readonly string[];
  readonly confirm: Confirm;
  /** Asks whether to go back to the editor; absent where nobody can be asked. */
  readonly retry?: (problem: ClefError) => Promise<boolean>;
};

/** What the edit did, by key. */
export type EditResult = ChangedCell & {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
};

/**
 * Opens a cell's values in $VISUAL or $EDITOR and stores what was changed; other values keep their ciphertext. Where
 * somebody else changed the same key meanwhile nothing is stored, and saving the text again replaces the other's value.
 * @throws {ClefError} `no_memory_storage`, `settings_invalid` for the editor, `bad_format` (with every fault and its line),
 * `bad_name`, `schema_violation`, `dangerous_name`, `changed_meanwhile`, and what opening and changing a cell can give.
 */
export async function editSecrets(repository: Repository, request: EditRequest): Promise<EditResult> {
  const { world } = repository;
  const name = parseCellName(request.cell);
  return withPrivateFolder(await memoryFolder(world), 'clef-edit-', async (folder) => {
    const session: Session = { folder, path: join(folder, `${name.namespace}.${name.environment}.yaml`) };
    const confirm = askOnce(request.confirm);
    for (;;) {
      try {
        return await attempt(repository, { ...request, confirm }, session);
      } catch (error) {
        await offerEditor(world, request, session, error);
      }
    }
  });
}

/** What outlives an attempt. */
type Session = {
  readonly folder: string;
  readonly path: string;
  /** The values that the text began with: what the person's changes are told from. */
  base?: ReadonlyMap<string, string>;
  /** The text as it was last saved. */
  text?: string;
};

async function memoryFolder(world: World): Promise<string> {
  const folder = await findMemoryStorage(world);
  if (folder !== undefined) return folder;
  const where =
    world.platform === 'linux' ? 'such as /dev/shm' : `that Clef can recognise on ${world.platform}`;
  throw new ClefError({
    code: 'no_memory_storage',
    message: `Cannot open an editor: there is no memory-backed folder ${where}, and plaintext never goes to a disk`,
    hint: 'change single values with "clef set", or many with "clef import CELL -"',
  });
}

/** A yes holds for all attempts. */
function askOnce(confirm: Confirm): Confirm {
  let isConfirmed = false;
  return async (question) => {
    isConfirmed ||= await confirm(question);
    return isConfirmed;
  };
}

/** Returns where the person wants the editor again, with what is wrong on top of the text; else throws the error. */
async function offerEditor(
  world: World,
  { retry }: EditRequest,
  session: Session,
  error: unknown,
): Promise<void> {
  if (!(error instanceof ClefError) || session.text === undefined) throw error;
  if (retry === undefined || !(await retry(error))) {
    world.notify({ level: 'note', message: 'Nothing was changed; the edited text was not kept' });
    throw error;
  }
  const { text } = withNotes(session.text, (shift) => notesOf(error, shift));
  await writeFile(session.path, text, { mode: 0o600 });
}

function notesOf({ message, faults }: ClefError, shift: number): readonly string[] {
  const lines: readonly ErrorFault[] = faults.length === 0 ? [{ message }] : faults;
  return [
    'Not stored yet. These lines go away by themselves.',
    ...lines.map((fault) =>
      fault.line === undefined ? fault.message : `line ${fault.line + shift}: ${fault.message}`,
    ),
  ].map((line) => line.replaceAll('\n', ' '));
}

async function attempt(repository: Repository, request: EditRequest, session: Session): Promise<EditResult> {
  let result: Pick<EditResult, 'added' | 'changed' | 'removed'> = { added: [], changed: [], removed: [] };
  const changed = await changeCell(repository, request.cell, {
    createNamespace: request.createNamespace,
    confirm: request.confirm,
    edit: async () => {
      const base = await beginText(repository, request, session);
      const edited = await editText(repository, session);
      const edit = differences(base, edited);
      refuseDangerousNames(
        [...edit.set.keys()].filter((key) => !base.has(key)),
        request.allowedEnvironmentNames,
      );
      result = {
        added: [...edit.set.keys()].filter((key) => !base.has(key)),
        changed: [...edit.set.keys()].filter((key) => base.has(key)),
        removed: edit.delete,
      };
      return (current) => planEdit(current, edit, session);
    },
  });
  return { ...changed, ...result };
}

/** Writes the text of the first attempt; later ones find theirs. */
async function beginText(
  repository: Repository,
  { cell: target }: EditRequest,
  session: Session,
): Promise<ReadonlyMap<string, string>> {
  if (session.base !== undefined) return session.base;
  const { values, pending } = await currentValues(repository, target);
  session.base = values;
  await writeFile(session.path, formatEditText(target, values, pending), { mode: 0o600, flag: 'wx' });
  return values;
}

async function currentValues(
  repository: Repository,
  target: string,
): Promise<{ readonly values: ReadonlyMap<string, string>; readonly pending: ReadonlySet<string> }> {
  const { namespace } = parseCellName(target);
  const isNew = !repository.manifest.namespaces.some(({ name }) => name === namespace);
  if (isNew) return { values: new Map(), pending: new Set() };
  const cell = findCell(repository.manifest, target);
  const exists = (await readSealedCell(repository, cell)) !== undefined;
  return {
    values: exists ? (await openCell(repository, cell)).values : new Map(),
    pending: await readPendingKeys(repository, cell),
  };
}

/** Opens the editor, and reads what it saved. */
async function editText(repository: Repository, session: Session): Promise<ReadonlyMap<string, string>> {
  await openEditor(repository.world, session);
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(session.path, { maxBytes: maxTextBytes });
  } catch (error) {
    throw fromGroundError(error, { action: 'read what the editor saved' });
  }
  session.text = Buffer.from(bytes).toString('utf8');
  return readText(repository, session, bytes);
}

async function openEditor({ environment, cwd }: World, { path, folder }: Session): Promise<void> {
  const commandLine = [environment['VISUAL'], environment['EDITOR']].find((text) => (text ?? '') !== '');
  // Where editors keep copies besides the file's own folder: temporary files of all, swap and undo files of Neovim.
  const inside = { TMPDIR: folder, XDG_STATE_HOME: folder };
  try {
    const childEnvironment = { ...withoutOwnVariables(environment), ...inside };
    const { exitCode } = await runEditor(path, { commandLine, cwd, environment: childEnvironment });
    if (exitCode === 0) return;
    throw new ClefError({
      code: 'io',
      message: `The editor ended with ${exitCode}, so nothing was changed`,
      hint: 'run the command again',
    });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const what =
      commandLine === undefined
        ? 'There is no editor'
        : `The editor ${quoteName(commandLine)} cannot be started`;
    const hint = 'set EDITOR to one, for example EDITOR=nano, or EDITOR="code --wait"';
    throw new ClefError({ code: 'settings_invalid', message: what, hint, cause: error });
  }
}

/** The edited values, or everything that is wrong with the text, line by line. */
async function readText(
  { root, manifest }: Repository,
  { base, path }: Session,
  bytes: Uint8Array,
): Promise<ReadonlyMap<string, string>> {
  const file = 'the edited text';
  const found = readYaml(bytes, { maxBytes: maxTextBytes, isAllText: true });
  const faults = [...found.faults, ...found.values.flatMap(entryFaults)].map(
    ({ hint: _, ...fault }) => fault,
  );
  if (faults.length > 0) throw faultsError(file, faults, 'bad_format');
  const namespace = path.slice(path.lastIndexOf('/') + 1).split('.')[0] ?? '';
  const schema = await readSchema({ root, manifest }, namespace);
  const changed = found.values.filter(({ name, value }) => base?.get(name) !== value);
  const positions = new Map(changed.map(({ name, position }) => [name, position]));
  const values = new Map(found.values.map(({ name, value }) => [name, value]));
  const findings =
    schema === undefined
      ? []
      : checkValuesAgainstSchema(
          schema,
          changed.map(({ name, value }) => [name, value] as const),
        );
  if (findings.length === 0) return values;
  throw faultsError(
    file,
    findings.map(({ key, message }) => ({
      class: 'config',
      message: `"${key}" ${message}`,
      position: positions.get(key),
    })),
    'schema_violation',
  );
}

function entryFaults({ name, value, position }: FoundValue): readonly ManifestFault[] {
  const wrongName = keyNameFault(name);
  if (wrongName !== undefined)
    return [{ class: 'name', message: `The key name ${quoteKeyName(name)} ${wrongName}`, position }];
  const wrongValue = textFault(value);
  return wrongValue === undefined
    ? []
    : [{ class: 'format', message: `The value of "${name}" ${wrongValue.why}`, position }];
}

function differences(base: ReadonlyMap<string, string>, edited: ReadonlyMap<string, string>): CellEdit {
  return {
    set: new Map([...edited].filter(([key, value]) => base.get(key) !== value)),
    delete: [...base.keys()].filter((key) => !edited.has(key)),
  };
}

/** The person's changes on top of the cell as it is now. */
async function planEdit(current: CurrentCell, edit: CellEdit, session: Session): Promise<CellEdit> {
  if (edit.set.size + edit.delete.length === 0) return edit;
  const now = await current.values();
  const touched = [...edit.set.keys(), ...edit.delete];
  const conflicts = touched.filter(
    (key) => now.get(key) !== session.base?.get(key) && now.get(key) !== edit.set.get(key),
  );
  if (conflicts.length > 0) {
    session.base = withValuesOf(session.base ?? new Map(), now, conflicts);
    throw changedMeanwhile(current.cell.label, conflicts);
  }
  await refuseSchemaBreaks(current, edit.set);
  return edit;
}

/** The base with others' values for these keys: the person has been told, and may overwrite them. */
function withValuesOf(
  base: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
  keys: readonly string[],
): ReadonlyMap<string, string> {
  const merged = new Map(base);
  for (const key of keys) {
    const value = now.get(key);
    if (value === undefined) merged.delete(key);
    else merged.set(key, value);
  }
  return merged;
}

function changedMeanwhile(cell: string, keys: readonly string[]): ClefError {
  return new ClefError({
    code: 'changed_meanwhile',
    message: `${keys.map((key) => `"${key}"`).join(', ')} in "${cell}" was changed by somebody else meanwhile`,
    hint: 'look at the new value with "clef get", and edit again; saving once more replaces it',
    location: { key: keys[0] as string },
  });
}
