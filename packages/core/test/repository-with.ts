// Real repositories for tests: a folder, a manifest, an age key and cells, made by the operations themselves; and a World
// whose clock, randomness, notices and variables are in the test's hand. All of it is gone after the file's last test.
import { randomBytes, randomUUID } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runChild } from '@clef/host';
import { generateAgeIdentity } from '@clef/sops';
import { afterAll, expect } from 'vitest';
import { changeCell } from '../src/cells/write.ts';
import { ClefError, type ErrorCode } from '../src/errors.ts';
import { createAgeKey } from '../src/keys/key-store.ts';
import { newManifestText } from '../src/manifest/new-manifest.ts';
import { openRepository, type Repository } from '../src/repository.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import { type SetResult, setSecret } from '../src/secrets/set-secret.ts';
import type { Notice, World } from '../src/world.ts';

/** NAMESPACE/ENVIRONMENT to its keys and values. */
export type Cells = Readonly<Record<string, Readonly<Record<string, string>>>>;

export type Options = {
  /** Changes clef.yaml before the first cell is written. */
  readonly manifest?: (text: string) => string;
  /** The folder of the repository, relative to a temporary one. */
  readonly folder?: string;
};

/** A person at a machine: a World with a configuration folder of its own. */
export type Person = {
  readonly world: World;
  readonly recipient: string;
  /** The private key, as a person would see it in the key file. */
  readonly identity: string;
  /** What was notified, in order; a test may empty it. */
  readonly notices: Notice[];
};

export type TestRepository = Person & {
  readonly root: string;
  /** What `world.now()` says; a test may move it. */
  readonly clock: { milliseconds: number };
  readonly open: (changes?: Partial<World>) => Promise<Repository>;
  readonly get: (cell: string, key: string) => Promise<string>;
  readonly set: (cell: string, key: string, value: string | Uint8Array) => Promise<SetResult>;
  /** All values of a cell. */
  readonly values: (cell: string) => Promise<Readonly<Record<string, string>>>;
  readonly read: (path: string) => string;
  readonly write: (path: string, content: string | Uint8Array) => void;
  /** Every file below the root but for those of git: path to content in hexadecimal. */
  readonly snapshot: () => Readonly<Record<string, string>>;
};

export const yes = async (): Promise<boolean> => true;
export const no = async (): Promise<boolean> => false;

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** An empty folder that is gone after the file's last test; without links on its path. */
export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'clef-core-')));
  folders.push(folder);
  return folder;
}

/** A repository of alice, who may read everything, with these cells. */
export async function repositoryWith(cells: Cells = {}, options: Options = {}): Promise<TestRepository> {
  const root = join(temporaryFolder(), options.folder ?? 'repository');
  mkdirSync(root, { recursive: true });
  const clock = { milliseconds: Date.UTC(2026, 0, 31, 12, 0, 0) };
  const alice = await person({ cwd: root, now: () => clock.milliseconds });
  const text = newManifestText({ repository: randomUUID(), person: 'alice', ageRecipient: alice.recipient });
  writeFileSync(join(root, 'clef.yaml'), options.manifest?.(text) ?? text);
  const repository: TestRepository = { ...alice, root, clock, ...actions(root, alice.world) };
  for (const [cell, values] of Object.entries(cells)) await fillCell(repository, cell, values);
  alice.notices.length = 0;
  return repository;
}

/** Writes many keys in one transaction. */
export async function fillCell(
  repository: Pick<TestRepository, 'open'>,
  cell: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  await changeCell(await repository.open(), cell, {
    createNamespace: true,
    confirm: yes,
    edit: async () => () => ({ set: new Map(Object.entries(values)), delete: [], scaffold: true }),
  });
}

function actions(root: string, world: World): Omit<TestRepository, keyof Person | 'root' | 'clock'> {
  const open = (changes: Partial<World> = {}): Promise<Repository> =>
    openRepository({ ...world, ...changes }, root);
  return {
    open,
    get: async (cell, key) => getSecret(await open(), { cell, key }),
    set: async (cell, key, value) => setSecret(await open(), setting(cell, key, value)),
    values: async (cell) => JSON.parse(await exportSecrets(await open(), { cell, format: 'json' })),
    read: (path) => readFileSync(join(root, path), 'utf8'),
    write: (path, content) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    },
    snapshot: () => filesBelow(root),
  };
}

/** What `setSecret` takes, confirmed. */
export function setting(
  cell: string,
  key: string,
  value: string | Uint8Array,
): Parameters<typeof setSecret>[1] {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return {
    cell,
    key,
    value: async () => bytes,
    createNamespace: false,
    allowedEnvironmentNames: [],
    confirm: yes,
  };
}

/** Somebody with an age key in a file, as `clef init` makes it where there is no keychain. */
export async function person(changes: Partial<World> & { readonly cwd: string }): Promise<Person> {
  const { world, notices } = emptyWorld(changes);
  const { entry } = await createAgeKey(world, {});
  const file = join(world.environment['CLEF_CONFIG_DIR'] ?? '', 'keys', `${entry.recipient}.txt`);
  const identity = /^AGE-SECRET-KEY-1\S+$/m.exec(readFileSync(file, 'utf8'))?.[0] ?? '';
  return { world, notices, recipient: entry.recipient, identity };
}

/** A machine on which Clef has never run. */
export function emptyWorld(changes: Partial<World> & { readonly cwd: string }): {
  readonly world: World;
  readonly notices: Notice[];
} {
  const home = temporaryFolder();
  const notices: Notice[] = [];
  const world: World = {
    environment: {
      PATH: process.env['PATH'],
      HOME: home,
      CLEF_CONFIG_DIR: join(home, 'clef'),
      CLEF_KEYCHAIN: 'off',
      GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
      GIT_CONFIG_NOSYSTEM: '1',
    },
    homeDirectory: home,
    platform: process.platform,
    userName: 'tester',
    now: () => Date.UTC(2026, 0, 31, 12, 0, 0),
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    notify: (notice) => notices.push(notice),
    ...changes,
  };
  return { world, notices };
}

/** An age key pair of nobody in the repository. */
export function strangersKey(): { readonly identity: string; readonly recipient: string } {
  return generateAgeIdentity();
}

/** The variables of a world and some more. */
export function withVariables(world: World, variables: Readonly<Record<string, string | undefined>>): World {
  return { ...world, environment: { ...world.environment, ...variables } };
}

/** Runs git in a folder as a person without any configuration. */
export async function git(folder: string, ...args: readonly string[]): Promise<string> {
  const identity = [
    '-c',
    'user.name=Alice',
    '-c',
    'user.email=alice@example.test',
    '-c',
    'commit.gpgsign=false',
  ];
  const { exitCode, stdout, stderr } = await runChild({
    command: 'git',
    args: [...identity, ...args],
    cwd: folder,
    environment: {
      PATH: process.env['PATH'],
      HOME: folder,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
    },
    stdio: 'capture',
  });
  if (exitCode !== 0) throw new Error(`git ${args.join(' ')}: ${Buffer.from(stderr).toString()}`);
  return Buffer.from(stdout).toString();
}

/** The ClefError of a promise that must be refused. Checks what every error keeps to: a hint, and no unescaped text. */
export async function refusal(work: Promise<unknown>): Promise<ClefError> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof ClefError)) throw error;
    expect(error.hint).not.toBe('');
    expect(error.message).not.toMatch(/undefined|\[object|\.$/);
    return error;
  }
  throw new Error('It was not refused');
}

export type Refused = {
  readonly code: ErrorCode;
  readonly changed: readonly string[];
  readonly leaks: boolean;
};

/** How something was refused: its code, which files it changed (none, it is hoped) and whether it showed a canary. */
export async function refused(
  repository: TestRepository,
  work: () => Promise<unknown>,
  canary: string | RegExp = 'CANARY',
): Promise<Refused> {
  const before = repository.snapshot();
  const seen = repository.notices.length;
  const error = await refusal(work());
  const after = repository.snapshot();
  const { message, hint, location, faults } = error;
  const shown = JSON.stringify([message, hint, location, faults, repository.notices.slice(seen)]);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return {
    code: error.code,
    changed: names.filter((name) => before[name] !== after[name]),
    leaks: new RegExp(canary).test(shown),
  };
}

/** What {@link refused} gives where all is well. */
export function quietly(code: ErrorCode): Refused {
  return { code, changed: [], leaks: false };
}

function filesBelow(root: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    if (name === '.git' || name.startsWith('.git/')) continue;
    // The lock's folder is made by any write that gets as far as the lock.
    if (name === '.clef' || name === '.clef/.gitignore') continue;
    const facts = lstatSync(join(root, name));
    if (facts.isDirectory()) files[`${name}/`] = '';
    else if (facts.isFile()) files[name] = readFileSync(join(root, name)).toString('hex');
    else files[name] = 'special';
  }
  return files;
}
