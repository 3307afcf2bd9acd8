// A home and a folder to work in, with `clef` on PATH and nothing of the person who runs the tests.
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { repositoryRoot } from './import-graph.ts';

export type Sandbox = {
  readonly root: string;
  readonly home: string;
  readonly work: string;
  /** HOME, PATH and what keeps keychain and git's configuration of this machine out. */
  readonly environment: Readonly<Record<string, string>>;
};

/** Gone after the file's last test. */
export function makeSandbox(): Sandbox {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'clef-sandbox-')));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  const [bin, home, work] = ['bin', 'home', 'work'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [bin, home, work]) mkdirSync(folder, { mode: 0o700 });
  const launcher = join(bin, 'clef');
  const script = join(repositoryRoot, 'packages/cli/bin/clef.js');
  writeFileSync(launcher, `#!/bin/sh\nexec "${process.execPath}" "${script}" "$@"\n`);
  chmodSync(launcher, 0o755);
  return {
    root,
    home,
    work,
    environment: {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: home,
      CLEF_KEYCHAIN: 'off',
      GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
      GIT_CONFIG_NOSYSTEM: '1',
      LC_ALL: 'C.UTF-8',
    },
  };
}
