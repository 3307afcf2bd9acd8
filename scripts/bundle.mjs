// Bundles the `clef` and `clef-agent` commands into one file each, and the short commands of `clef` into one more each. What
// only some commands need goes into files of its own beside them, so that a command pays only for what it uses.
import * as childProcess from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import * as yaml from 'yaml';
import { directImports } from './direct-imports.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Words of `clef` that other programs call all the time: each has a bundle without the bodies of the other commands, which
 * would be read at every start. `bin/clef.js` takes it where it is there.
 */
const shortCommands = ['get', 'set', 'exec', 'export', 'sops'];

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

/**
 * Modules that are loaded with their first use, although what we and commander write imports them at the top: few commands
 * start a program, and few find YAML that is more than plain.
 */
const lateModules = new Map([
  ['child_process', { name: 'node:child_process', exported: childProcess }],
  ['node:child_process', { name: 'node:child_process', exported: childProcess }],
  ['yaml', { name: 'yaml', exported: yaml }],
]);

const late = {
  name: 'late-modules',
  setup(builder) {
    builder.onResolve({ filter: /^((node:)?child_process|yaml)$/ }, ({ path, namespace }) =>
      namespace === 'late' ? undefined : { path, namespace: 'late' },
    );
    builder.onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => {
      const { name, exported } = lateModules.get(path);
      const getters = Object.keys(exported).map(
        (key) =>
          `Object.defineProperty(exports, '${key}', { enumerable: true, get: () => require('${name}').${key} });`,
      );
      return { contents: getters.join('\n'), resolveDir: root };
    });
  },
};

/** Leaves out of a bundle the bodies of all commands but those of one word. The rows stay: they are all of the help. */
function onlyBodiesOf(word) {
  return {
    name: 'only-bodies',
    setup(builder) {
      builder.onResolve({ filter: /^\.\.\/commands\// }, ({ path, kind }) => {
        const name = basename(path, '.ts');
        const isOwn = name === word || name.startsWith(`${word}-`);
        return kind !== 'dynamic-import' || isOwn ? undefined : { path: name, namespace: 'left-out' };
      });
      builder.onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({
        contents: `throw new Error('The body of "${path}" is in another bundle');`,
      }));
    },
  };
}

/** Bundles a command and everything it loads lazily; returns the files. */
async function outputsOf(packageFolder, command, words = []) {
  const outdir = join(root, 'packages', packageFolder, 'dist');
  const lazy = new Map();
  const files = [];
  const add = async (options, folder, plugins = []) => {
    const { outputFiles } = await build({
      ...common,
      ...options,
      outdir,
      write: false,
      plugins: [leaveOut(folder, lazy), directImports(root, rarelyNeeded), late, ...plugins],
    });
    files.push(...outputFiles);
  };
  const main = `packages/${packageFolder}/src/main.ts`;
  await add({ entryPoints: { [command]: main } }, './lazy');
  for (const word of words)
    await add({ entryPoints: { [`${command}-${word}`]: main } }, './lazy', [onlyBodiesOf(word)]);
  // The map grows while its modules are bundled: what they load lazily follows.
  for (const [module, { name, resolveDir }] of lazy) {
    const stdin = { contents: `module.exports = require('${module}');`, resolveDir, loader: 'js' };
    await add({ stdin, entryNames: `lazy/${name}` }, '.');
  }
  return files;
}

/**
 * The bundles of `clef` as `bin/clef.js` starts them: V8 gets them as they are, a function that is called as Node calls a
 * module. In front stands what this build is known by: its code caches have it in their names.
 */
function asScripts(files) {
  const digest = createHash('sha256');
  for (const { contents } of files) digest.update(contents);
  const build = digest.digest('hex').slice(0, 32);
  return files.map((file) => (isStarted(file) ? { ...file, contents: asScript(build, file) } : file));
}

function isStarted({ path }) {
  return basename(dirname(path)) === 'dist' && path.endsWith('.cjs');
}

function asScript(build, { path, text }) {
  // It is read byte for character.
  if (/[^\0-\x7f]/.test(text)) throw new Error(`${path} is not all ASCII`);
  return `/*${build}*/(function (exports, require, module, __filename, __dirname) {${text}\n})`;
}

/** Puts a file in place in one step: a `clef` that is being started meanwhile sees the old one or the new one. */
async function replace({ path, contents }) {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, contents);
  await rename(temporary, path);
}

/** Removes the bundles of words that have none any more: they would still be started. */
async function removeOthers(outputs) {
  const current = new Set(outputs.map(({ path }) => path));
  for (const folder of new Set(outputs.filter(isStarted).map(({ path }) => dirname(path)))) {
    const paths = (await readdir(folder)).map((name) => join(folder, name));
    const others = paths.filter((path) => path.endsWith('.cjs') && !current.has(path));
    await Promise.all(others.map((path) => rm(path, { force: true })));
  }
}

/** Bundles both commands into `packages/{cli,agent}/dist`. */
export async function bundle() {
  const [ofClef, ofAgent] = await Promise.all([
    outputsOf('cli', 'clef', shortCommands),
    outputsOf('agent', 'clef-agent'),
  ]);
  const outputs = [...asScripts(ofClef), ...ofAgent];
  await Promise.all(outputs.map(replace));
  await removeOthers(outputs);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
