// A journal that git tracks came with the repository: somebody wrote it who wants files renamed or removed here. One that
// Clef wrote on this machine is ignored by git and never committed.

import { HostError, runChild, withAbsolutePath } from '@clef/host';
import type { World } from '../world.ts';
import { hasGit } from './git-busy.ts';

/** Where the system has git, for a caller that knows no PATH. */
const systemEnvironment = { PATH: '/usr/local/bin:/usr/bin:/bin' };

/**
 * Whether the journal `file` in `.clef` came with the repository; `unknown` where a work tree is around `root` and git
 * does not tell. Asked only where there is a journal.
 */
export async function isTracked(
  root: string,
  file: string,
  environment: World['environment'] = systemEnvironment,
): Promise<boolean | 'unknown'> {
  if (!(await hasGit(root))) return false;
  try {
    const { exitCode, stdout } = await runChild({
      command: 'git',
      // The folder as well: it may be a submodule, whose files are not in this index.
      args: ['-c', 'safe.bareRepository=explicit', 'ls-files', '-z', '--', ':(icase).clef'],
      cwd: root,
      environment: withoutGit(environment),
      stdio: 'capture',
      timeoutSeconds: 30,
    });
    if (exitCode !== 0) return 'unknown';
    const tracked = Buffer.from(stdout).toString('utf8').toLowerCase().split('\0');
    return tracked.includes('.clef') || tracked.includes(`.clef/${file}`);
  } catch (error) {
    if (error instanceof HostError) return 'unknown';
    throw error;
  }
}

/** A hook of git runs us with an index and a work tree of its own. */
function withoutGit(environment: World['environment']): Record<string, string | undefined> {
  const kept = Object.entries(withAbsolutePath(environment)).filter(
    ([name]) => !name.toUpperCase().startsWith('GIT_'),
  );
  return { ...Object.fromEntries(kept), GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' };
}
