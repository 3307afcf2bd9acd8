// Where plaintext may lie as a file for a moment: in memory alone. Only Linux says which folders are.
import { findMemoryFolder } from '@clef/host';
import type { World } from '../world.ts';

/** A folder that the system says is in memory; `undefined` where there is none, or nobody can tell. */
export async function findMemoryStorage({ platform, environment }: World): Promise<string | undefined> {
  return platform === 'linux' ? findMemoryFolder(['/dev/shm', environment['XDG_RUNTIME_DIR']]) : undefined;
}
