// The rules of a list of verify keys. The position of a key is its epoch, so nothing is ever taken out of the list: a key
// that is trusted no longer leaves "retired:" and its ID in its place.
import { type KeyReference, keyIdOf } from './key-reference.ts';

/** Most keys in one list that verify. */
export const maxVerifyKeys = 8;
/** Most places in one list, those of retired keys among them. */
export const maxVerifyPlaces = 64;

/** What is wrong with a list as a whole, to complete "The list …"; undefined where nothing is, as with an empty one. */
export function verifyKeysFault(keys: readonly KeyReference[]): string | undefined {
  if (keys.length > maxVerifyPlaces) return `has more than ${maxVerifyPlaces} places`;
  if (keys.filter(({ kind }) => kind !== 'retired').length > maxVerifyKeys)
    return `has more than ${maxVerifyKeys} keys`;
  const ids = keys.map((key) => (key.kind === 'ed25519' || key.kind === 'p256' ? keyIdOf(key) : idOf(key)));
  if (new Set(ids).size !== ids.length) return 'names a key twice';
  return keys.at(-1)?.kind === 'retired'
    ? 'ends in a retired key: put the key that signs now after it'
    : undefined;
}

function idOf(key: KeyReference): string {
  return key.kind === 'retired' ? key.keyId : key.text;
}
