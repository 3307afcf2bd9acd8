// Bundles the `clef` and `clef-agent` commands into one file each. Libraries that only some commands need (the cloud
// SDKs, age) go into files of their own beside it, so that a command pays only for what it uses.
import { rm } from 'node:fs/promises';
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

/**
 * Bundles one entry point with its lazy libraries beside it.
 * @param {string} packageFolder - The package, below `packages/`.
 * @param {string} entry - The source file, below its `src/`.
 * @param {string} name - The bundle's name in `dist/`.
 */
async function bundleCommand(packageFolder, entry, name) {
  const out = `packages/${packageFolder}/dist`;
  await build({
    ...common,
    entryPoints: { [name]: `packages/${packageFolder}/src/${entry}` },
    outdir: out,
    plugins: [lazyPlugin],
  });
}

/** Bundles both commands into `packages/{cli,agent}/dist`, replacing what is there. */
export async function bundle() {
  for (const name of ['cli', 'agent'])
    await rm(`${root}packages/${name}/dist`, { recursive: true, force: true });
  await Promise.all([
    bundleCommand('cli', 'main.ts', 'clef'),
    bundleCommand('agent', 'main.ts', 'clef-agent'),
  ]);
  await Promise.all(
    ['cli', 'agent'].flatMap((name) =>
      Object.entries(lazyLibraries).map(([library, file]) =>
        build({
          ...common,
          stdin: { contents: `export * from '${library}';`, resolveDir: `${root}packages/kms`, loader: 'js' },
          entryNames: file,
          outdir: `packages/${name}/dist/lazy`,
        }),
      ),
    ),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
