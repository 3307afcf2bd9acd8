// What a short command costs is what it loads: the modules of Node that a start brings in, and the code caches.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
