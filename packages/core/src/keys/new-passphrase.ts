// Asks for a passphrase that is to be kept in mind: twice, and never an empty one.
import { ClefError } from '../errors.ts';
import type { World } from '../world.ts';

/** @throws {ClefError} `usage` where nobody can be asked, or the two answers differ or are empty. */
export async function askNewPassphrase(world: World): Promise<string> {
  const passphrase = await world.askPassphrase?.('Passphrase for the age key');
  if (
    passphrase !== undefined &&
    passphrase !== '' &&
    passphrase === (await world.askPassphrase?.('The same once more'))
  ) {
    return passphrase;
  }
  throw new ClefError({
    code: 'usage',
    message:
      passphrase === undefined
        ? 'There is no terminal to ask for a passphrase'
        : 'The two passphrases differ or are empty',
    hint: 'run the command again on a terminal',
  });
}
