// `sops updatekeys`: a file's recipients as its creation rule names them, under the same data key. Values stay as they are.
import {
  formatSopsFile,
  keyGroupsOf,
  parseSopsFile,
  type RecipientGroups,
  recipientName,
  rewrap,
} from '@clef/sops';
import { wrappingKeyring } from '../keys/sops-keyring.ts';
import type { World } from '../world.ts';
import { noFile } from './file-status.ts';
import { openSopsFile } from './open-file.ts';
import { during, SopsOperationError } from './outcome.ts';
import { findConfig, ruleFor } from './recipients.ts';
import { deliver, readSource, type SopsSourceRequest } from './source.ts';

export type UpdateKeysRequest = SopsSourceRequest & {
  readonly config?: string | undefined;
  /** Asked before anything is written. */
  readonly confirm: (change: KeyChange) => Promise<boolean>;
};

/** Names of recipients, by what becomes of them. */
export type KeyChange = { readonly added: readonly string[]; readonly removed: readonly string[] };

/**
 * Wraps the file's data key for the keys of its creation rule. Somebody taken out still knows the data key.
 * @returns what changed; `written` is false where it was refused or there was nothing to change.
 * @throws {SopsOperationError}
 */
export async function updateSopsKeys(
  world: World,
  request: UpdateKeysRequest,
): Promise<KeyChange & { readonly written: boolean }> {
  const found = await neededConfig(world, request.config);
  if (request.file === undefined) throw noFile();
  const source = await readSource(world, request, { stage: 'read', missing: 'generic' });
  const { name, nominalPath, bytes, inputFormat } = source;
  const wanted = (await ruleFor(found, nominalPath))?.recipients;
  if (wanted === undefined || wanted.groups.length === 0) throw noRule();
  const file = await during('read', name, () => parseSopsFile(bytes, inputFormat));
  const change = differences(keyGroupsOf(file), wanted);
  if (isSame(keyGroupsOf(file), wanted)) return { ...change, written: false };
  if (!(await request.confirm(change))) return { ...change, written: false };
  const dataKey = await openSopsFile(world, file, { name });
  const options = { now: world.now(), randomBytes: world.randomBytes, keyring: wrappingKeyring(world) };
  const rewrapped = await during('encrypt', name, () => rewrap(file, dataKey, wanted, options));
  await deliver(world, source, formatSopsFile(rewrapped), { inPlace: true });
  return { ...change, written: true };
}

async function neededConfig(world: World, given: string | undefined) {
  const found = await findConfig(world, given);
  if (found?.config.rules !== undefined) return found;
  throw noRule();
}

function noRule(): SopsOperationError {
  return new SopsOperationError('generic', {
    code: 'no_recipients',
    message: 'There is no creation rule with keys for the file',
    hint: 'write one in .sops.yaml',
  });
}

function isSame(a: RecipientGroups, b: RecipientGroups): boolean {
  const [left, right] = [a.groups.map(sortedNames), b.groups.map(sortedNames)];
  const needs = ({ groups, threshold = 0 }: RecipientGroups) =>
    groups.length === 1 ? 1 : threshold === 0 ? groups.length : threshold;
  return JSON.stringify(left) === JSON.stringify(right) && needs(a) === needs(b);
}

function sortedNames(group: RecipientGroups['groups'][number]): readonly string[] {
  return [...new Set(group.map(recipientName))].sort();
}

function differences(before: RecipientGroups, after: RecipientGroups): KeyChange {
  const names = ({ groups }: RecipientGroups) => new Set(groups.flat().map(recipientName));
  const [old, wanted] = [names(before), names(after)];
  return {
    added: [...wanted].filter((each) => !old.has(each)),
    removed: [...old].filter((each) => !wanted.has(each)),
  };
}
