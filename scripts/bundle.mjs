// Bundles the `clef` and `clef-agent` commands into one file each. Libraries that only some commands need (the cloud
// SDKs, age) go into files of their own beside it, so that a command pays only for what it uses.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The libraries with a file of their own, loaded by `import()` on first use. */
const lazyLibraries = {
  '@aws-sdk/client-kms': 'aws-kms',
  'google-auth-library': 'google-auth',
  'age-encryption': 'age',
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

const lazyPlugin = {
  name: 'lazy-libraries',
  setup(builder) {
    builder.onResolve({ filter: /^[^.]/ }, ({ path }) =>
      path in lazyLibraries ? { path: `./lazy/${lazyLibraries[path]}.cjs`, external: true } : undefined,
    );
  },
};

/** Bundles `contents` or `entry` and returns the files of the bundle, by their path below `dist/`. */
async function outputsOf(packageFolder, options) {
  const dist = join(root, 'packages', packageFolder, 'dist');
  const { outputFiles } = await build({ ...common, ...options, outdir: dist, write: false });
  return outputFiles.map(({ path, contents }) => ({ path, contents }));
}

function bundleCommand(packageFolder, name) {
  const entryPoints = { [name]: `packages/${packageFolder}/src/main.ts` };
  return outputsOf(packageFolder, { entryPoints, plugins: [lazyPlugin] });
}

function bundleLibraries(packageFolder) {
  return Promise.all(
    Object.entries(lazyLibraries).map(([library, file]) =>
      outputsOf(packageFolder, {
        stdin: { contents: `export * from '${library}';`, resolveDir: `${root}packages/kms`, loader: 'js' },
        entryNames: `lazy/${file}`,
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
    bundleLibraries('cli'),
    bundleLibraries('agent'),
  ]);
  await Promise.all(outputs.flat(2).map(replace));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
