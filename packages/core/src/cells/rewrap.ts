// The data keys of cells and whom each is wrapped for. Recipients come from the manifest and never from the file: a
// stanza that somebody wrote into a file is never wrapped for again (catalogue INV-07).
import { addRecipients, rotateDataKey } from '@clef/sops';
import type { Manifest } from '../manifest/manifest.ts';
import type { Repository } from '../repository.ts';
import type { FileChange } from '../transaction/commit-files.ts';
import { inParallel } from './in-parallel.ts';
import { checkedBytes, inSops } from './in-sops.ts';
import { refuseDifferentRecipients, type SealedCell, unlock } from './read.ts';
import { manifestReaders, manifestRecipients, sopsRecipient, vaultAddress } from './sops-recipients.ts';

/** `wrap`: the data key that is there, also for newcomers. `rotate`: a new data key, for exactly those granted. */
export type Rewrapping = 'wrap' | 'rotate';

/**
 * The changes that fit many cells to a manifest; each data key is unwrapped once.
 * @param manifest - The manifest as it will be.
 * @throws {ClefError} as {@link planRecipients} and {@link planRotation} do; then no file has changed.
 */
export async function rewrapCells(
  repository: Repository,
  cells: readonly SealedCell[],
  { manifest, how }: { readonly manifest: Manifest; readonly how: Rewrapping },
): Promise<readonly FileChange[]> {
  const what = how === 'wrap' ? 'Wrapping data keys' : 'Making new data keys';
  const plan = how === 'wrap' ? planRecipients : planRotation;
  return inParallel(repository.world, what, cells, (sealed) => plan(repository, sealed, manifest));
}

/**
 * The change that wraps a cell's data key for those whom a new manifest adds; nobody is removed and no value changes.
 * @param manifest - The manifest as it will be.
 * @throws {ClefError} `recipients_differ` where the file does not fit the manifest as it is, and what unlocking can give.
 */
export async function planRecipients(
  repository: Repository,
  sealed: SealedCell,
  manifest: Manifest,
): Promise<FileChange> {
  refuseDifferentRecipients(repository, sealed, 'let somebody into');
  const { cell, file } = sealed;
  const present = new Set(manifestReaders(repository.manifest, cell).map(({ name }) => name));
  const address = vaultAddress(repository.world);
  const added = manifestReaders(manifest, cell)
    .filter(({ name }) => !present.has(name))
    .map(({ key }) => sopsRecipient(key, address));
  const dataKey = await unlock(repository, sealed);
  const changed = await inSops(repository, cell, (context) => addRecipients(file, dataKey, added, context));
  return { path: cell.path, before: sealed.bytes, after: checkedBytes(cell, changed) };
}

/**
 * The change that gives a cell a new data key, every value a new ciphertext, and a stanza to exactly those whom the
 * manifest grants it, whatever the file says.
 * @throws {ClefError} `cell_tampered` where the file was changed without a key, `no_recipients`, and what unlocking can give.
 */
export async function planRotation(
  repository: Repository,
  sealed: SealedCell,
  manifest: Manifest,
): Promise<FileChange> {
  const { cell, file } = sealed;
  const recipients = manifestRecipients(repository.world, manifest, cell);
  const dataKey = await unlock(repository, sealed);
  const changed = await inSops(repository, cell, (context) =>
    rotateDataKey(file, dataKey, recipients, context),
  );
  return { path: cell.path, before: sealed.bytes, after: checkedBytes(cell, changed) };
}
