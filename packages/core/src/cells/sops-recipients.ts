// Key references as SOPS recipients: the one place where the two vocabularies meet.
import type { KeyReference } from '@clef/kms';
import type { Recipient } from '@clef/sops';
import { cellRecipients } from '../manifest/access.ts';
import type { CellName, Manifest } from '../manifest/manifest.ts';

/** Everybody that a cell is encrypted to, as the manifest grants it: age keys first, then the environment's keys. */
export function manifestRecipients(manifest: Manifest, cell: CellName): readonly Recipient[] {
  const { people, encryptTo } = cellRecipients(manifest, cell);
  return [...people.map(({ key }) => key), ...encryptTo].map(sopsRecipient);
}

/** The recipient of a key reference that a cell may be encrypted to. The manifest lets no other kind through. */
export function sopsRecipient(key: KeyReference): Recipient {
  if (key.kind === 'age') return { type: 'age', recipient: key.text };
  if (key.kind === 'awskms') return { type: 'kms', arn: key.arn };
  if (key.kind === 'gcpkms') return { type: 'gcp_kms', resourceId: key.resource };
  throw new Error(`A cell cannot be encrypted to a key of kind ${key.kind}`);
}
