// The questions that Clef asks git. Clef never changes a user's tree or index; `git` is found on PATH, never in the
// folder that one stands in, and runs without a shell.
import { HostError, runChild, withAbsolutePath } from '@clef/host';
import { ClefError } from '../errors.ts';
import { uncapitalised } from '../from-ground-error.ts';
import type { World } from '../world.ts';

const textDecoder = new TextDecoder();

type GitAnswer = { readonly exitCode: number; readonly text: string };

/** Runs git in a folder and returns what it printed; `undefined` where there is no git on this machine. */
async function askGit(world: World, folder: string, args: readonly string[]): Promise<GitAnswer | undefined> {
  try {
    const answer = await runChild({
      command: 'git',
      // A folder of a repository may be made to look like a repository without a work tree, whose configuration is code.
      args: ['-c', 'safe.bareRepository=explicit', ...args],
      cwd: folder,
      environment: { ...withAbsolutePath(world.environment), GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' },
      stdio: 'capture',
      timeoutSeconds: 30,
    });
    return { exitCode: answer.exitCode, text: textDecoder.decode(answer.stdout) };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (error.code === 'command_not_found') return undefined;
    throw new ClefError({
      code: 'git',
      message: `git did not answer "git ${args[0]}": ${uncapitalised(error.message)}`,
      hint: 'run that command here by hand to see what is wrong',
      cause: error,
    });
  }
}

/** The version of git, such as 2.39.5; `undefined` where there is none. */
export async function gitVersion(world: World): Promise<string | undefined> {
  const answer = await askGit(world, world.cwd, ['--version']);
  return /(\d+(?:\.\d+)+)/.exec(answer?.text ?? '')?.[1];
}

/** Which of these paths, relative to `folder`, git ignores. Empty where git cannot tell. */
export async function ignoredPaths(
  world: World,
  folder: string,
  paths: readonly string[],
): Promise<readonly string[]> {
  const args = ['-c', 'core.quotePath=off', 'check-ignore', '--no-index', '--', ...paths];
  const answer = await askGit(world, folder, args);
  return answer?.exitCode === 0 ? answer.text.split('\n').filter((path) => path !== '') : [];
}

/** `user.name` of git's configuration for a folder, or `undefined`. */
export async function gitUserName(world: World, folder: string): Promise<string | undefined> {
  const answer = await askGit(world, folder, ['config', 'user.name']);
  const name = answer?.exitCode === 0 ? answer.text.trim() : '';
  return name === '' ? undefined : name;
}

/** How a folder stands with git: no git on the machine, no work tree here, or its top folder. */
export async function gitState(
  world: World,
  folder: string,
): Promise<{ readonly kind: 'no_git' | 'outside' } | { readonly kind: 'inside'; readonly top: string }> {
  const answer = await askGit(world, folder, ['rev-parse', '--show-toplevel']);
  if (answer === undefined) return { kind: 'no_git' };
  if (answer.exitCode !== 0) return { kind: 'outside' };
  return { kind: 'inside', top: answer.text.replace(/\r?\n$/, '') };
}

/** The id of HEAD, or `undefined` outside git and before the first commit. */
export async function headCommit(world: World, folder: string): Promise<string | undefined> {
  const answer = await askGit(world, folder, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}']);
  const id = answer?.exitCode === 0 ? answer.text.trim() : '';
  return /^[0-9a-f]{40,64}$/.test(id) ? id : undefined;
}

/**
 * Which of these files differ from HEAD: changed, staged, new or removed. Paths are relative to `folder`, as given.
 * @throws {ClefError} `git` where git cannot tell.
 */
export async function pathsDifferentFromHead(
  world: World,
  folder: string,
  paths: readonly string[],
): Promise<readonly string[]> {
  const [prefix, status] = await Promise.all([
    askGit(world, folder, ['rev-parse', '--show-prefix']),
    askGit(world, folder, [
      'status',
      '--porcelain=v1',
      '-z',
      '--untracked-files=all',
      '--ignored=matching',
      '--no-renames',
      '--',
      ...paths.map((path) => `:(literal)${path}`),
    ]),
  ]);
  if (prefix?.exitCode !== 0 || status?.exitCode !== 0) throw notInGit();
  const prefixLength = prefix.text.replace(/\r?\n$/, '').length;
  // Each entry is two letters of state, a blank, and the path from the top of the work tree.
  return status.text
    .split('\0')
    .filter((entry) => entry.length > 3)
    .map((entry) => entry.slice(3 + prefixLength));
}

function notInGit(): ClefError {
  return new ClefError({
    code: 'git',
    message: 'Cannot compare with HEAD: this folder is in no git repository, or git is missing',
    hint: 'run "git init" and commit, or pass --allow-dirty to pack what is on disk',
  });
}
