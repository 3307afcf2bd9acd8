// Reading cells: the file as it stands, checked against the strict profile, and its values once a key opens it.
// Decrypted values leave this file only through the return value.
import {
  type DataKey,
  decryptTree,
  parseSopsFile,
  SopsError,
  type SopsFile,
  type Tree,
  unwrapDataKey,
} from '@clef/sops';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { findAgeIdentities, ownRecipients, recipientsOfIdentities } from '../keys/age-keys.ts';
import { agePlugins, programFailure } from '../keys/age-plugins.ts';
import { sopsCloudKeys } from '../keys/cloud-keys.ts';
import { cellRecipients } from '../manifest/access.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { shortKey } from '../manifest/names.ts';
import { type Repository, readFileIn } from '../repository.ts';
import type { Cell } from './cell.ts';
import { foreignContent } from './foreign-content.ts';
import { checkProfile, checkValues } from './profile.ts';
import { emptySidecar, parseSidecar, type Sidecar } from './sidecar.ts';
import { fromSopsError } from './sops-errors.ts';
import { namesInFile, readerName } from './sops-recipients.ts';

const maxCellBytes = 64 * 1024 * 1024;
/** A cell may have no alias at all; a few are read so that the refusal can say where. */
const mostAliasedNodes = 1000;

/** A cell's file, not decrypted. It has passed the strict profile. */
export type SealedCell = {
  readonly cell: Cell;
  readonly bytes: Uint8Array;
  readonly file: SopsFile;
  /** Names in the order of the file. */
  readonly keys: readonly string[];
};

/** A cell and its values, in the order of the file. */
export type OpenedCell = SealedCell & {
  readonly dataKey: DataKey;
  readonly values: ReadonlyMap<string, string>;
  /** The same as SOPS sees it: what an edit starts from without decrypting again. */
  readonly plain: Tree;
};

/**
 * The file of a cell; `undefined` where there is none.
 * @throws {ClefError} `bad_path`, `limit`, `io`, `bad_format`, `cell_profile`, `cell_type`, `cell_plaintext`, `cell_tampered`.
 */
export async function readSealedCell(repository: Repository, cell: Cell): Promise<SealedCell | undefined> {
  const bytes = await readFileIn(repository.root, cell.path, maxCellBytes);
  return bytes === undefined ? undefined : parseCell(cell, bytes);
}

/** The same from bytes: what a write checks before it is committed. */
export function parseCell(cell: Cell, bytes: Uint8Array): SealedCell {
  let file: SopsFile;
  try {
    file = parseSopsFile(bytes, 'yaml', { maxAliasedNodes: mostAliasedNodes });
  } catch (error) {
    throw foreignFile(cell, bytes) ?? fromSopsError(error, cell);
  }
  return { cell, bytes, file, keys: checkProfile(cell, file) };
}

function foreignFile(cell: Cell, bytes: Uint8Array): ClefError | undefined {
  const foreign =
    bytes.length === 0 ? { what: 'it is empty', hint: 'restore it from git' } : foreignContent(bytes);
  if (foreign === undefined) return undefined;
  return new ClefError({
    code: 'bad_format',
    message: `Cannot read "${cell.path}": ${foreign.what}`,
    hint: foreign.hint,
    location: { file: cell.path },
  });
}

/** @throws {ClefError} `missing_cell`, and what reading it can give. */
export async function requireSealedCell(repository: Repository, cell: Cell): Promise<SealedCell> {
  const sealed = await readSealedCell(repository, cell);
  if (sealed !== undefined) return sealed;
  throw new ClefError({
    code: 'missing_cell',
    message: `There is no cell "${cell.label}" yet: "${cell.path}" does not exist`,
    hint: `make it with its first key: clef set ${cell.label} KEY`,
    location: { file: cell.path },
  });
}

/**
 * A cell with its values. Warns where the file's recipients are not those of the manifest: reading goes on.
 * @throws {ClefError} `missing_cell`, `no_age_key`, `cannot_decrypt`, `key_locked`, `kms_denied`, `kms_unavailable`,
 * `cell_tampered`, `bad_format`, and what reading the file can give.
 */
export async function openCell(repository: Repository, cell: Cell): Promise<OpenedCell> {
  const sealed = await requireSealedCell(repository, cell);
  warnOfDifferentRecipients(repository, sealed);
  return openSealedCell(repository, sealed);
}

/** What everything that only reads does where the file's recipients are not those of the manifest. */
export function warnOfDifferentRecipients(repository: Repository, sealed: SealedCell): void {
  const difference = recipientDifference(repository, sealed);
  if (difference === undefined) return;
  const message = `the recipients of "${sealed.cell.label}" are not those of clef.yaml (${difference})`;
  repository.world.notify({ level: 'warning', message });
}

/** Decrypts a cell that was read before. */
export async function openSealedCell(repository: Repository, sealed: SealedCell): Promise<OpenedCell> {
  const dataKey = await unlock(repository, sealed);
  try {
    const plain = decryptTree(sealed.file, dataKey);
    return { ...sealed, dataKey, plain, values: checkValues(sealed.cell, plain) };
  } catch (error) {
    throw fromSopsError(error, sealed.cell);
  }
}

/** The data key of a cell, from whichever key of ours opens it: age keys first, as they ask nobody. */
export async function unlock(repository: Repository, { cell, file }: SealedCell): Promise<DataKey> {
  const { world } = repository;
  const recipients = namesInFile(world, file);
  try {
    return await unwrapDataKey(file, {
      ageIdentities: () => findAgeIdentities(world, recipients),
      agePlugins: agePlugins(world),
      kms: sopsCloudKeys(world),
    });
  } catch (error) {
    if (!(error instanceof SopsError)) throw error;
    if (error.code === 'key_service' && error.cause instanceof SopsError)
      throw programFailure(error.cause, `open "${cell.label}"`);
    if (error.code === 'key_service')
      throw fromGroundError(error.cause, { action: `open "${cell.label}"`, file: cell.path });
    if (error.code !== 'no_matching_key') throw fromSopsError(error, cell);
    throw await noKeyOpens(repository, cell, recipients);
  }
}

async function noKeyOpens(
  { world, manifest }: Repository,
  cell: Cell,
  recipients: readonly string[],
): Promise<ClefError> {
  const tried = await recipientsOfIdentities(await findAgeIdentities(world, recipients));
  const own = [...new Set([...(await ownRecipients(world)), ...tried])];
  const location = { file: cell.path };
  if (own.length === 0) {
    return new ClefError({
      code: 'no_age_key',
      message: `Cannot decrypt "${cell.label}": there is no age key of yours on this machine`,
      hint: 'run "clef init": it makes one and prints the line that a teammate runs to let you in',
      location,
    });
  }
  if (own.some((recipient) => recipients.includes(recipient))) {
    return new ClefError({
      code: 'bad_format',
      message: `Cannot decrypt "${cell.label}": the part of "${cell.path}" that is for your key is damaged`,
      hint: 'look at who changed the file with "git log -p", and restore the last good version',
      location,
    });
  }
  const [first = ''] = own;
  const person =
    manifest.recipients.find(({ keys }) => keys.some((key) => own.includes(key.text)))?.name ?? 'NAME';
  const count = own.length === 1 ? 'your age key is not' : `none of your ${own.length} age keys is`;
  return new ClefError({
    code: 'cannot_decrypt',
    message: `Cannot decrypt "${cell.label}": ${count} among its ${recipients.length} recipient${recipients.length === 1 ? '' : 's'}`,
    hint: `ask a teammate to run: clef recipients add ${person} ${first} --environments ${cell.environment}`,
    location,
  });
}

/**
 * Who the file is encrypted to and the manifest does not name, or the reverse, in words; `undefined` where both agree.
 */
export function recipientDifference(
  { manifest, world }: Pick<Repository, 'manifest' | 'world'>,
  { cell, file }: SealedCell,
): string | undefined {
  const wanted = new Map(wantedRecipients(manifest, cell));
  const found = new Set(namesInFile(world, file));
  const added = [...wanted].filter(([key]) => !found.has(key)).map(([, name]) => name);
  const removed = [...found].filter((key) => !wanted.has(key)).map(shortKey);
  const parts = [
    ...(removed.length > 0 ? [`not in clef.yaml: ${removed.join(', ')}`] : []),
    ...(added.length > 0 ? [`not in the file: ${added.join(', ')}`] : []),
  ];
  return parts.length === 0 ? undefined : parts.join('; ');
}

/** @throws {ClefError} `recipients_differ`, naming who would be added or removed. */
export function refuseDifferentRecipients(repository: Repository, sealed: SealedCell, verb: string): void {
  const difference = recipientDifference(repository, sealed);
  if (difference === undefined) return;
  throw new ClefError({
    code: 'recipients_differ',
    message: `Cannot ${verb} "${sealed.cell.label}": its recipients are not those of clef.yaml (${difference})`,
    hint: `look at who changed which with "git log -p"; restore it, or, where clef.yaml is right, run: clef rotate ${sealed.cell.label}`,
    location: { file: sealed.cell.path },
  });
}

/** The recipients that the manifest grants, as the file would name them, each with a name for people. */
function wantedRecipients(manifest: Manifest, cell: Cell): readonly (readonly [key: string, name: string])[] {
  const { people, encryptTo } = cellRecipients(manifest, cell);
  return [
    ...people.map(({ person, key }) => [key.text, person] as const),
    ...encryptTo.map((key) => [readerName(key), key.text] as const),
  ];
}

/** A cell's sidecar and its bytes; empty where there is none. */
export async function readSidecar(
  repository: Repository,
  cell: Cell,
): Promise<{ readonly sidecar: Sidecar; readonly bytes: Uint8Array | undefined }> {
  const bytes = await readFileIn(repository.root, cell.sidecarPath, maxCellBytes);
  return { bytes, sidecar: bytes === undefined ? emptySidecar : parseSidecar(bytes, cell.sidecarPath) };
}

/** The keys of a cell that are announced but have no value yet. Reads nothing else of the sidecar: most name none. */
export async function readPendingKeys(repository: Repository, cell: Cell): Promise<ReadonlySet<string>> {
  const bytes = await readFileIn(repository.root, cell.sidecarPath, maxCellBytes);
  if (bytes === undefined || !Buffer.from(bytes).includes('pending')) return emptySidecar.pending;
  return parseSidecar(bytes, cell.sidecarPath).pending;
}
