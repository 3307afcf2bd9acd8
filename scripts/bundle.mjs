// Bundles the `clef` and `clef-agent` commands into one file each. What only some commands need goes into files of its own
// beside it, so that a command pays only for what it uses.
import * as childProcess from 'node:child_process';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { directImports } from './direct-imports.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Packages of ours that get a file of their own although they are imported like any other: few commands need them. */
const rarelyNeeded = ['@clef/agent', '@clef/emulator'];

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  // CommonJS, not ESM: there a module of Node's own is loaded when its first user is, not when the process starts.
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  target: 'node20',
  // `import()` of a CommonJS file loses the names that its minified text no longer shows; `require` does not.
  supported: { 'dynamic-import': false },
  conditions: ['clef-source'],
  external: ['@napi-rs/keyring', '@lydell/node-pty'],
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  logLevel: 'warning',
};

/**
 * Leaves out of a bundle whatever is loaded by `import()` from another package, and adds it to `lazy`: parsing it would
 * cost every command that does not use it. `folder` leads from the bundle to the files of what was left out.
 */
function leaveOut(folder, lazy) {
  return {
    name: 'lazy-modules',
    setup(builder) {
      builder.onResolve({ filter: /^[^.]/ }, ({ path, kind, resolveDir, importer }) => {
        const isLazy = kind === 'dynamic-import' || rarelyNeeded.includes(path);
        const isEntry = resolveDir === '' || importer === '<stdin>';
        if (!isLazy || isEntry || isBuiltin(path) || common.external.includes(path)) return undefined;
        const name = path.replace(/^@/, '').replace(/\.js$/, '').replaceAll('/', '-');
        lazy.set(path, { name, resolveDir });
        return { path: `${folder}/${name}.cjs`, external: true };
      });
    },
  };
}

/** `node:child_process` is loaded with its first use: commander and we import it at the top, and few commands start a program. */
const lateChildProcess = {
  name: 'late-child-process',
  setup(builder) {
    const name = 'node:child_process';
    builder.onResolve({ filter: /^(node:)?child_process$/ }, ({ namespace }) =>
      namespace === 'late' ? undefined : { path: name, namespace: 'late' },
    );
    builder.onLoad({ filter: /.*/, namespace: 'late' }, () => ({
      contents: Object.keys(childProcess)
        .map(
          (key) =>
            `Object.defineProperty(exports, '${key}', { enumerable: true, get: () => require('${name}').${key} });`,
        )
        .join('\n'),
    }));
  },
};

/** Bundles a command and everything it loads lazily; returns the files. */
async function outputsOf(packageFolder, command) {
  const outdir = join(root, 'packages', packageFolder, 'dist');
  const lazy = new Map();
  const files = [];
  const add = async (options, folder) => {
    const { outputFiles } = await build({
      ...common,
      ...options,
      outdir,
      write: false,
      plugins: [leaveOut(folder, lazy), directImports(root, rarelyNeeded), lateChildProcess],
    });
    files.push(...outputFiles);
  };
  await add({ entryPoints: { [command]: `packages/${packageFolder}/src/main.ts` } }, './lazy');
  // The map grows while its modules are bundled: what they load lazily follows.
  for (const [module, { name, resolveDir }] of lazy) {
    const stdin = { contents: `module.exports = require('${module}');`, resolveDir, loader: 'js' };
    await add({ stdin, entryNames: `lazy/${name}` }, '.');
  }
  return files;
}

/** Puts a file in place in one step: a `clef` that is being started meanwhile sees the old one or the new one. */
async function replace({ path, contents }) {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, contents);
  await rename(temporary, path);
}

/** Bundles both commands into `packages/{cli,agent}/dist`. */
export async function bundle() {
  const outputs = await Promise.all([outputsOf('cli', 'clef'), outputsOf('agent', 'clef-agent')]);
  await Promise.all(outputs.flat().map(replace));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
