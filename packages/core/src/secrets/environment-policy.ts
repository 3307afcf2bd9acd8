// Names that make a program do something else as soon as they are set (catalogue INV-93): refused where they are stored
// and where they are used. Only the person at the keyboard can allow one, never a repository.
import { checkEnvironmentName } from '@clef/host';
import { ClefError } from '../errors.ts';

/** @throws {ClefError} `dangerous_name` for the first name that is not allowed. */
export function refuseDangerousNames(names: Iterable<string>, allowed: readonly string[]): void {
  for (const name of names) {
    if (allowed.includes(name) || checkEnvironmentName(name) !== 'dangerous') continue;
    throw new ClefError({
      code: 'dangerous_name',
      message: `The name "${name}" would change how programs run as soon as it is a variable`,
      hint: `choose another name, or pass --allow-env ${name} if that is what you want`,
      location: { key: name },
    });
  }
}
