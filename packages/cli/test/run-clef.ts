// The real command as a process, in a home of its own and with no variables but those that a test gives.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChildHandle, runChild, startChild } from '@clef/host';
import { afterAll } from 'vitest';

export const clefPath = fileURLToPath(new URL('../bin/clef.js', import.meta.url));

export type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

export type RunOptions = {
  /** What is piped in; without it standard input is empty. */
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
};

/** A home and a folder to work in. */
export type Sandbox = {
  readonly folder: string;
  readonly home: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clef: (args: readonly string[], options?: RunOptions) => Promise<Ran>;
  /** A line of shell in which "$CLEF" runs clef. */
  readonly shell: (line: string, options?: RunOptions & { readonly shell?: string }) => Promise<Ran>;
  readonly start: (args: readonly string[]) => Promise<ChildHandle>;
  readonly read: (name: string) => string;
  readonly write: (name: string, content: string | Uint8Array) => string;
};

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** An empty home and an empty folder. */
export function sandbox(): Sandbox {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'clef-cli-')));
  folders.push(top);
  const [home, folder] = [join(top, 'home'), join(top, 'work')] as const;
  for (const made of [home, folder]) mkdirSync(made);
  const environment = {
    PATH: process.env['PATH'],
    HOME: home,
    CLEF_KEYCHAIN: 'off',
    GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
    GIT_CONFIG_NOSYSTEM: '1',
    LC_ALL: 'C.UTF-8',
  };
  const run = async (command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> => {
    const { input } = options;
    const result = await runChild({
      command,
      args,
      cwd: options.cwd ?? folder,
      environment: { ...environment, ...options.environment },
      stdio: 'capture',
      timeoutSeconds: 60,
      ...(input !== undefined && { input: typeof input === 'string' ? Buffer.from(input) : input }),
    });
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
    return { exitCode: result.exitCode, stdout: text(result.stdout), stderr: text(result.stderr) };
  };
  return {
    folder,
    home,
    environment,
    clef: (args, options) => run(process.execPath, [clefPath, ...args], options),
    shell: (line, { shell = 'sh', ...options } = {}) =>
      run(shell, ['-c', line], {
        ...options,
        environment: { ...options.environment, CLEF: `${process.execPath} ${clefPath}` },
      }),
    start: (args) =>
      startChild({ command: process.execPath, args: [clefPath, ...args], cwd: folder, environment }),
    read: (name) => readFileSync(join(folder, name), 'utf8'),
    write(name, content) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    },
  };
}

/** A sandbox with a repository and these values in `database/development`. */
export async function sandboxWith(values: Readonly<Record<string, string>>): Promise<Sandbox> {
  const box = sandbox();
  await succeed(box.clef(['init']));
  for (const [key, value] of Object.entries(values)) {
    await succeed(box.clef(['set', 'database/development', key], { input: value }));
  }
  return box;
}

/** The output of a run that must succeed. */
export async function succeed(run: Promise<Ran>): Promise<Ran> {
  const ran = await run;
  if (ran.exitCode !== 0) throw new Error(`Exit ${ran.exitCode}: ${ran.stderr}`);
  return ran;
}
