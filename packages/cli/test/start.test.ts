// What a short command costs is what it loads: the modules of Node that a start brings in, and the code caches.
import { cpSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { directImports } from '../../../scripts/direct-imports.mjs';
import { clefPath, sandboxWith, succeed } from './run-clef.ts';

const cell = 'database/development';
const shared = sandboxWith({ A: 'value of A' });
const distribution = join(dirname(clefPath), '../dist');

/** The modules of Node that a command had loaded when it ended. */
async function loadedBy(args: readonly string[]): Promise<readonly string[]> {
  const box = await shared;
  const listing = box.write(
    'listing.cjs',
    `process.on('exit', () => process.stderr.write(process.moduleLoadList.join('\\n')));`,
  );
  const { stderr } = await succeed(box.clef(args, { environment: { NODE_OPTIONS: `--require=${listing}` } }));
  return stderr.split('\n').map((line) => line.replace(/^NativeModule /, ''));
}

const heavy = ['child_process', 'http', 'https', 'tls', 'readline', 'worker_threads', 'internal/fs/streams'];

describe('what a command loads', () => {
  for (const args of [['version'], ['get', cell, 'A'], ['export', cell], ['list', cell]]) {
    it(`"clef ${args[0]}" loads nothing that starts programs, talks to a network or reads standard input`, async () => {
      const loaded = await loadedBy(args);
      expect(loaded).toContain('fs');
      expect(loaded.filter((name) => heavy.includes(name))).toEqual([]);
    });
  }

  it('"clef exec" loads what starts its program', async () => {
    expect(await loadedBy(['exec', cell, '--', 'true'])).toContain('child_process');
  });

  it('each command keeps a code cache of its own, and one that failed keeps none', async () => {
    const { clef } = await shared;
    await succeed(clef(['list', cell]));
    await clef(['nosuchword']);
    const caches = readdirSync(distribution).filter((name) => name.startsWith('.code-'));
    expect(caches.some((name) => name.endsWith('-list'))).toBe(true);
    expect(caches.some((name) => name.endsWith('-nosuchword'))).toBe(false);
    expect(caches.filter((name) => name.endsWith('-sops'))).toEqual([]);
  });
});

it('F-17: a code cache is on the disk before it has its name: one that is torn would crash every start', async () => {
  const { home, shell, write } = await shared;
  const installed = join(home, 'torn');
  cpSync(dirname(clefPath), join(installed, 'bin'), { recursive: true });
  cpSync(distribution, join(installed, 'dist'), {
    recursive: true,
    filter: (from) => !basename(from).startsWith('.code-'),
  });
  const calls = write(
    'calls.cjs',
    `const fs = require('node:fs');
    for (const name of ['fsyncSync', 'renameSync']) {
      const call = fs[name];
      fs[name] = (...given) => (process._rawDebug(name), call(...given));
    }`,
  );
  const { stderr } = await succeed(
    shell(`"${process.execPath}" --require "${calls}" "${join(installed, 'bin/clef.js')}" version`),
  );
  expect(stderr.trim().split('\n')).toEqual(['fsyncSync', 'renameSync']);
});

describe('the bundles of short commands', () => {
  /**
   * Kilobytes of JavaScript that a start reads, and of code that a run has compiled: this tells of a module too many where
   * the clock would not. A fifth over what they are; the YAML parser alone is more.
   */
  const limits = [
    { word: 'get', rest: `${cell} A`, bundle: 790, code: 700 },
    { word: 'set', rest: `${cell} B b`, bundle: 880, code: 890 },
    { word: 'exec', rest: `${cell} -- true`, bundle: 820, code: 740 },
    { word: 'export', rest: cell, bundle: 810, code: 730 },
    { word: 'sops', rest: 'decrypt secrets/database/development.enc.yaml', bundle: 750, code: 680 },
  ] as const;

  for (const { word, rest, bundle, code } of limits) {
    it(`"clef ${word}" has one of its own, and neither reads nor compiles more than it must`, async () => {
      const { home, shell } = await shared;
      // An installation of its own: another test's run would leave another code cache.
      const installed = join(home, word);
      cpSync(dirname(clefPath), join(installed, 'bin'), { recursive: true });
      cpSync(distribution, join(installed, 'dist'), {
        recursive: true,
        filter: (from) => !basename(from).startsWith('.') && basename(from) !== 'lazy',
      });
      await succeed(shell(`"${process.execPath}" "${join(installed, 'bin/clef.js')}" ${word} ${rest}`));
      const kilobytesOf = (start: string): number => {
        const name = readdirSync(join(installed, 'dist')).find((each) => each.startsWith(start));
        return statSync(join(installed, 'dist', name ?? 'none')).size / 1000;
      };
      expect(kilobytesOf(`clef-${word}`)).toBeLessThan(bundle);
      expect(kilobytesOf('.code-')).toBeLessThan(code);
    });
  }

  it('an option before the word takes the whole bundle, which does the same', async () => {
    const { clef, folder } = await shared;
    const { stdout } = await succeed(clef(['--dir', folder, 'get', cell, 'A']));
    expect(stdout).toBe('value of A');
  });
});

describe('imports of our own packages in the bundle', () => {
  /** What the bundler would be given for a file of a package. */
  async function rewritten(source: string): Promise<string> {
    const box = await shared;
    box.write(
      'packages/one/src/index.ts',
      `export { type A, b } from './b.ts';\nexport { c } from './c.ts';\n`,
    );
    for (const name of ['b', 'c']) box.write(`packages/one/src/${name}.ts`, '');
    const file = box.write('packages/two/src/user.ts', source);
    let load: ((file: { path: string }) => Promise<{ contents: string }>) | undefined;
    directImports(box.folder, ['@clef/kept']).setup({
      onLoad: (_filter, callback) => {
        load = callback;
      },
    });
    const { contents } = (await load?.({ path: file })) ?? { contents: '' };
    return contents.replaceAll(box.folder, '');
  }

  it('names come from the files that define them, types are left out, and the lines stay', async () => {
    expect(await rewritten(`import {\n  type A,\n  b,\n  c as d,\n} from '@clef/one';\nd(b);\n`)).toBe(
      `import { b } from "/packages/one/src/b.ts"; import { c as d } from "/packages/one/src/c.ts";\n\n\n\n\nd(b);\n`,
    );
  });

  it('a package that is kept whole stays as it is', async () => {
    const source = `import { b } from '@clef/kept';\n`;
    expect(await rewritten(source)).toBe(source);
  });

  it('a name that the index does not list ends the build', async () => {
    await expect(rewritten(`import { nothing } from '@clef/one';\n`)).rejects.toThrow(
      'does not export "nothing"',
    );
  });
});
