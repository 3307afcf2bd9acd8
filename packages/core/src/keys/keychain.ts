// The operating system's keychain, through an optional package that is loaded only when a key is or should be in it.
// Where neither the package nor a keychain is there, the caller keeps the key in a file and says so.
import type { World } from '../world.ts';

const service = 'clef';

type Keyring = {
  readonly Entry: new (
    service: string,
    account: string,
  ) => { getPassword(): string | null; setPassword(password: string): void };
};

/** Stores a private key under its recipient; false where no keychain takes it. */
export async function writeKeychain(world: World, recipient: string, identity: string): Promise<boolean> {
  const keyring = await loadKeyring(world);
  if (keyring === undefined) return false;
  try {
    const entry = new keyring.Entry(service, recipient);
    entry.setPassword(identity);
    return entry.getPassword() === identity;
  } catch {
    // No session bus, a locked or absent keychain: the library's text may hold what it was given.
    return false;
  }
}

/** The private key of a recipient, or `undefined` where the keychain does not give it. */
export async function readKeychain(world: World, recipient: string): Promise<string | undefined> {
  const keyring = await loadKeyring(world);
  if (keyring === undefined) return undefined;
  try {
    return new keyring.Entry(service, recipient).getPassword() ?? undefined;
  } catch {
    // As above: absent and locked look alike, and the text is not for showing.
    return undefined;
  }
}

/** Whether a keychain answers at all. */
export async function canUseKeychain(world: World): Promise<boolean> {
  const keyring = await loadKeyring(world);
  if (keyring === undefined) return false;
  try {
    new keyring.Entry(service, 'no key of this name').getPassword();
    return true;
  } catch {
    // No session bus, or a keychain that is locked.
    return false;
  }
}

async function loadKeyring(world: World): Promise<Keyring | undefined> {
  if (world.environment['CLEF_KEYCHAIN'] === 'off') return undefined;
  try {
    return (await import('@napi-rs/keyring')) as Keyring;
  } catch {
    // An optional dependency that this platform has no build of.
    return undefined;
  }
}
