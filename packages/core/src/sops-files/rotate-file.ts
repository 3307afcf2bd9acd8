// `sops rotate`: a new data key, every value and stanza made anew, and keys added to and taken from the file.
import {
  decryptTree,
  encryptTree,
  formatSopsFile,
  keyGroupsOf,
  parseSopsFile,
  type Recipient,
  type RecipientGroups,
  recipientName,
  rotateDataKey,
} from '@clef/sops';
import { wrappingKeyring } from '../keys/sops-keyring.ts';
import type { World } from '../world.ts';
import { noFile } from './file-status.ts';
import { openSopsFile } from './open-file.ts';
import { during } from './outcome.ts';
import { optionRecipients, type SopsKeyOptions } from './recipients.ts';
import {
  checkDestination,
  deliver,
  readSource,
  type SopsDestination,
  type SopsSourceRequest,
} from './source.ts';

export type RotateFileRequest = SopsSourceRequest &
  SopsDestination & {
    readonly add: SopsKeyOptions;
    readonly remove: SopsKeyOptions;
    readonly ignoreMac?: boolean;
    readonly decryptionOrder?: string | undefined;
  };

/**
 * Rotates the data key of a file.
 * @returns the file for standard output; undefined where it was written.
 * @throws {SopsOperationError}
 */
export async function rotateSopsFile(
  world: World,
  request: RotateFileRequest,
): Promise<Uint8Array | undefined> {
  if (request.file === undefined) throw noFile();
  checkDestination(request, request.file);
  const source = await readSource(world, request, { stage: 'read', missing: 'input' });
  const { name, bytes, inputFormat, outputFormat } = source;
  const added = await optionRecipients(request.add, name);
  const removed = await optionRecipients(request.remove, name);
  const file = await during('read', name, () => parseSopsFile(bytes, inputFormat));
  const dataKey = await openSopsFile(world, file, { name, order: request.decryptionOrder });
  const recipients = withChanges(keyGroupsOf(file), added, removed);
  const sources = { now: world.now(), randomBytes: world.randomBytes, keyring: wrappingKeyring(world) };
  const check = { ignoreMac: request.ignoreMac === true };
  const tree = await during('decrypt', name, () => decryptTree(file, dataKey, check));
  const rotated = await during('encrypt', name, () =>
    inputFormat === outputFormat
      ? rotateDataKey(file, dataKey, recipients, { ...sources, ...check })
      : encryptTree(tree, { ...sources, ...file.metadata, format: outputFormat, recipients }),
  );
  return deliver(world, source, formatSopsFile(rotated), request);
}

/** Newcomers join the first group, as in SOPS; who is taken out leaves every group. */
function withChanges(
  { groups, threshold = 0 }: RecipientGroups,
  added: readonly Recipient[],
  removed: readonly Recipient[],
): RecipientGroups {
  const [first = [], ...others] = groups;
  const present = new Set(first.map(recipientName));
  const gone = new Set(removed.map(recipientName));
  const joined = [...first, ...added.filter((each) => !present.has(recipientName(each)))];
  const changed = [joined, ...others].map((group) => group.filter((each) => !gone.has(recipientName(each))));
  return threshold === 0 ? { groups: changed } : { groups: changed, threshold };
}
