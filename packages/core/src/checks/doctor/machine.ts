// The machine: Node, git, and variables that change how everything works.
import { suggest } from '@clef/strict';
import { ClefError } from '../../errors.ts';
import { gitVersion } from '../../git/git.ts';
import { listAgePlugins } from '../../keys/age-plugins.ts';
import type { World } from '../../world.ts';
import { findMemoryStorage } from '../memory-storage.ts';
import { loadPseudoTerminals } from '../pseudo-terminals.ts';
import type { Report } from './finding.ts';

/** The first version that Clef supports, and the first that is still maintained by its makers. */
const oldestNode = [20, 19] as const;
const maintainedNode = 22;

/** @param version - As `process.versions.node` has it. */
export function checkNode(version: string, report: Report): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor, oldestMinor] = oldestNode;
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    report.problem(`Node ${version} is older than ${oldestNode.join('.')}`, 'install a newer Node');
  } else if (major < maintainedNode) {
    report.warning(
      `Node ${version} works, but gets no security fixes any more`,
      `install Node ${maintainedNode} or newer`,
    );
  } else report.ok(`Node ${version}`);
}

export async function checkGit(world: World, report: Report): Promise<void> {
  const version = await gitVersion(world);
  if (version === undefined) {
    report.warning('git is not installed: Clef works, but history and review come with git', 'install git');
  } else report.ok(`git ${version}`);
}

/** What single commands need: memory for `edit`, a terminal for `exec --redact`, the person's list of age plugins. */
export async function checkExtras(world: World, report: Report): Promise<void> {
  const folder = await findMemoryStorage(world);
  if (folder !== undefined) report.ok(`"clef edit" has a folder in memory: ${folder}`);
  else
    report.warning(
      'There is no folder in memory, so "clef edit" is refused: plaintext never goes to a disk',
      'use "clef set" and "clef import"; on Linux, mount a tmpfs at /dev/shm',
    );
  report.ok(
    (await loadPseudoTerminals()) === undefined
      ? 'without the optional package @lydell/node-pty, a command under "clef exec --redact" writes to a pipe, and may drop colours'
      : 'a command under "clef exec --redact" gets a terminal of its own',
  );
  try {
    const plugins = await listAgePlugins(world);
    if (plugins.size > 0) report.ok(`age plugins: ${[...plugins.keys()].join(', ')}`);
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    report.problem(error.message, error.hint);
  }
}

/** The variables of Clef's own that a person may set; the agent's have a check of their own where it starts. */
const knownVariables = [
  'CLEF_AGE_KEY',
  'CLEF_AGE_KEY_FILE',
  'CLEF_AGE_KEY_CMD',
  'CLEF_CONFIG_DIR',
  'CLEF_KEYCHAIN',
  'CLEF_SIGNING_KEY_FILE',
];

export function checkVariables({ environment }: World, report: Report): void {
  const given = Object.keys(environment).filter((name) => environment[name] !== undefined);
  const unknown = given.filter(
    (name) => name.startsWith('CLEF_') && !name.startsWith('CLEF_AGENT_') && !knownVariables.includes(name),
  );
  for (const name of unknown) {
    const near = suggest(name, knownVariables);
    report.warning(
      `The variable ${name} means nothing to Clef`,
      near === undefined ? `unset ${name}` : `did you mean ${near}?`,
    );
  }
  if (environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    report.problem(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 switches off the check of every server, also of your KMS',
      'unset NODE_TLS_REJECT_UNAUTHORIZED',
    );
  }
  for (const name of given.filter((one) => /^AWS_ENDPOINT_URL(_|$)/.test(one))) {
    report.warning(`${name} sends calls for AWS to another place`, `unset ${name} unless you mean it`);
  }
  if (unknown.length === 0) report.ok('no unknown variable of Clef is set');
}
