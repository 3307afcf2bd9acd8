// The optional package that makes terminals for children. Nothing else needs it, and many platforms have none.
import type { PseudoTerminals } from '@clef/host';

/** `undefined` where the package is not installed, or not made for this platform. */
export async function loadPseudoTerminals(): Promise<PseudoTerminals | undefined> {
  try {
    return await import('@lydell/node-pty');
  } catch {
    // Not there, or not loadable: the same to whoever asks.
    return undefined;
  }
}
