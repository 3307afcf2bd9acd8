// The data keys of cells and whom each is wrapped for. Recipients come from the manifest and never from the file: a
// stanza that somebody wrote into a file is never wrapped for again (catalogue INV-07).
import { addRecipients, recipientName } from '@clef/sops';
import type { Manifest } from '../manifest/manifest.ts';
import type { Repository } from '../repository.ts';
import type { FileChange } from '../transaction/commit-files.ts';
import { checkedBytes, inSops } from './in-sops.ts';
import { refuseDifferentRecipients, type SealedCell, unlock } from './read.ts';
import { manifestRecipients } from './sops-recipients.ts';

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
  const present = new Set(manifestRecipients(repository.manifest, cell).map(recipientName));
  const added = manifestRecipients(manifest, cell).filter(
    (recipient) => !present.has(recipientName(recipient)),
  );
  const dataKey = await unlock(repository, sealed);
  const changed = await inSops(repository, cell, (context) => addRecipients(file, dataKey, added, context));
  return { path: cell.path, before: sealed.bytes, after: checkedBytes(cell, changed) };
}
