// Key groups: the data key split into one share a group (Shamir, spec sops-format, section 8). With one group there is
// nothing to split. The arithmetic is the library's; the rules on numbers and lengths are here.
import type { Recipient } from './master-keys/master-key.ts';
import { SopsError } from './sops-error.ts';

/** Recipients in groups; a key of `threshold` different groups is needed, by default of every group. */
export type RecipientGroups = {
  readonly groups: readonly (readonly Recipient[])[];
  readonly threshold?: number;
};

/** One list, any of which opens the file, or several groups. */
export type Recipients = readonly Recipient[] | RecipientGroups;

const shareBytes = 33;
const maxGroups = 255;

/** The same as groups, with the threshold that a file gets: undefined where nobody asked for one and none is needed. */
export function groupsOf(recipients: Recipients): {
  groups: RecipientGroups['groups'];
  threshold: number | undefined;
} {
  if ('groups' in recipients) {
    const { groups, threshold = 0 } = recipients;
    if (groups.length === 1) return { groups, threshold: threshold === 0 ? undefined : threshold };
    return { groups, threshold: threshold === 0 ? groups.length : threshold };
  }
  return { groups: [recipients], threshold: undefined };
}

/**
 * What each group gets: the secret itself for one group, else a share of 33 bytes.
 *
 * Throws SopsError 'no_recipients' when there is nobody at all, 'bad_shamir' for an empty group among others, for more
 * than 255 groups, and for a threshold under 2 or over the number of groups.
 */
export async function splitForGroups(secret: Uint8Array, recipients: Recipients): Promise<Uint8Array[]> {
  const { groups, threshold } = groupsOf(recipients);
  checkGroups(groups, threshold);
  if (groups.length === 1) return [secret];
  const { split } = await import('shamir-secret-sharing');
  return split(Uint8Array.from(secret), groups.length, threshold ?? groups.length);
}

/**
 * The data key from the shares at hand, all of which are used; undefined where they cannot be of one key: fewer than two
 * or than `threshold` (0: not given), two for the same point, or of another length than 33 bytes. Too few for the key
 * they were made of give a wrong key, which only the values tell.
 */
export async function joinShares(
  shares: readonly Uint8Array[],
  threshold: number,
): Promise<Uint8Array | undefined> {
  const points = new Set(shares.map((share) => share[shareBytes - 1]));
  const isUsable =
    shares.length >= Math.max(2, threshold) &&
    shares.every((share) => share.length === shareBytes) &&
    points.size === shares.length &&
    !points.has(0);
  if (!isUsable) return undefined;
  const { combine } = await import('shamir-secret-sharing');
  return combine(shares.map((share) => Uint8Array.from(share)));
}

function checkGroups(groups: RecipientGroups['groups'], threshold: number | undefined): void {
  if (groups.flat().length === 0) {
    throw new SopsError('no_recipients', 'A file without recipients could never be opened again');
  }
  if (groups.length === 1) return;
  if (groups.some((group) => group.length === 0)) {
    throw new SopsError('bad_shamir', 'A key group has no keys: nobody could open its share');
  }
  if (groups.length > maxGroups) {
    throw new SopsError(
      'bad_shamir',
      `There are ${groups.length} key groups; at most ${maxGroups} can share a key`,
    );
  }
  const needed = threshold ?? groups.length;
  if (!Number.isInteger(needed) || needed < 2 || needed > groups.length) {
    throw new SopsError(
      'bad_shamir',
      `The Shamir threshold is ${needed} where 2 to ${groups.length}, the number of key groups, can be`,
    );
  }
}
