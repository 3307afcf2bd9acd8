// An age public key that somebody typed or sent.
import { parseKeyReference } from '@clef/kms';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';

/**
 * The key in its one form.
 * @param action - For the message: "Cannot …".
 * @throws {ClefError} `private_key_given` without showing it, `bad_key_reference`, `not_supported`.
 */
export function parsePublicKey(text: string, action = 'add this key'): string {
  try {
    const reference = parseKeyReference(text);
    if (reference.kind === 'age') return reference.text;
  } catch (error) {
    throw fromGroundError(error, { action });
  }
  throw new ClefError({
    code: 'bad_key_reference',
    message: `Cannot ${action}: it is not an age public key`,
    hint: 'ask the person to run "clef init", which prints the line to run here',
  });
}
