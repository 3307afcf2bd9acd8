// What the machine's refusal of a file of the repository means to a person.

import { toHostError } from '@clef/host';
import { fromGroundError } from '../from-ground-error.ts';

/** The failure to `action` (a verb) the file at `path`, relative to the repository; anything but a refusal comes back as it is. */
export function fileError(action: string, path: string, cause: unknown): unknown {
  const isSystemError = cause instanceof Error && 'errno' in cause && 'syscall' in cause;
  const error = isSystemError ? toHostError(action, path, cause) : cause;
  return fromGroundError(error, { action: `${action} "${path}"`, file: path });
}
