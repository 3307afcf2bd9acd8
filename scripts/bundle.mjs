// Bundles the `clef` and `clef-agent` commands into one file each. What only some commands need goes into files of its own
// beside it, so that a command pays only for what it uses.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Modules with a file of their own, loaded by `import()` on first use: parsing them would cost every other command. */
const lazyModules = {
  '@aws-sdk/client-kms': 'aws-kms',
  'google-auth-library': 'google-auth',
  'age-encryption': 'age',
  '@clack/prompts': 'prompts',
  re2js: 're2',
  '@clef/agent': 'agent',
  '@clef/emulator': 'emulator',
};

/** What each command can come to need. */
const lazyModulesOf = {
  cli: Object.keys(lazyModules),
  agent: ['@aws-sdk/client-kms', 'google-auth-library', 'age-encryption'],
};

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
  external: ['@napi-rs/keyring'],
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  logLevel: 'warning',
};

/** Leaves the lazy modules out of a bundle; `folder` leads from it to their files. */
function leaveOut(folder) {
  return {
    name: 'lazy-modules',
    setup(builder) {
      builder.onResolve({ filter: /^[^.]/ }, ({ path, kind }) =>
        path in lazyModules && kind !== 'entry-point'
          ? { path: `${folder}/${lazyModules[path]}.cjs`, external: true }
          : undefined,
      );
    },
  };
}

/** Bundles `contents` or `entry` and returns the files of the bundle, by their path below `dist/`. */
async function outputsOf(packageFolder, options) {
  const dist = join(root, 'packages', packageFolder, 'dist');
  const { outputFiles } = await build({ ...common, ...options, outdir: dist, write: false });
  return outputFiles.map(({ path, contents }) => ({ path, contents }));
}

function bundleCommand(packageFolder, name) {
  const entryPoints = { [name]: `packages/${packageFolder}/src/main.ts` };
  return outputsOf(packageFolder, { entryPoints, plugins: [leaveOut('./lazy')] });
}

function bundleLazyModules(packageFolder) {
  return Promise.all(
    lazyModulesOf[packageFolder].map((module) =>
      outputsOf(packageFolder, {
        entryPoints: { [`lazy/${lazyModules[module]}`]: module },
        plugins: [leaveOut('.')],
      }),
    ),
  );
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
  const outputs = await Promise.all([
    bundleCommand('cli', 'clef'),
    bundleCommand('agent', 'clef-agent'),
    bundleLazyModules('cli'),
    bundleLazyModules('agent'),
  ]);
  await Promise.all(outputs.flat(2).map(replace));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
