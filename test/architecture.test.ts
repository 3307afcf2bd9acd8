// The house rules of docs/architecture.md, checked on the import graph. npm and tsc let an undeclared import between
// workspaces through silently, so this test is the only lock.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type Import,
  importsOf,
  packageOf,
  readSources,
  repositoryRoot,
  type SourceFile,
  withoutComments,
} from './import-graph.ts';

/** Which packages each may import, besides strict and host, which every package above them may. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  strict: [],
  host: ['strict'],
  sops: [],
  kms: [],
  artifact: ['kms'],
  loopback: [],
  core: ['sops', 'kms', 'artifact'],
  cli: ['core', 'agent', 'emulator'],
  agent: ['artifact', 'kms', 'loopback'],
  client: [],
  emulator: ['loopback'],
};
const underAll = ['strict', 'host'];

/** The floors of core, lowest first: a file may import from its own folder and from floors below. */
const coreFloors: readonly (readonly string[])[] = [
  ['errors', 'world', 'from-ground-error'],
  ['manifest'],
  ['repository'],
  ['transaction', 'git'],
  ['keys'],
  ['cells', 'trust'],
  ['checks'],
  ['secrets', 'matrix', 'people', 'delivery', 'sops-files'],
];

/** Third-party modules that each package may import, and why. */
const thirdParty: Readonly<Record<string, readonly string[]>> = {
  strict: [],
  host: [],
  // The YAML parser; age beyond X25519; Go's regular expressions for encryption rules; shares of key groups; SSH keys as
  // age recipients and their passphrases.
  sops: [
    'yaml',
    'age-encryption',
    're2js',
    'shamir-secret-sharing',
    '@noble/curves/ed25519.js',
    'bcrypt-pbkdf',
  ],
  // The official SDKs, loaded on first use, with their client for taking on a role; S3, which is reached as the KMS is.
  kms: [
    '@aws-sdk/client-kms',
    '@aws-sdk/client-s3',
    '@aws-sdk/client-sts',
    'google-auth-library',
    '@azure/identity',
  ],
  // The one-time hybrid key.
  artifact: ['age-encryption'],
  loopback: [],
  // The manifest's YAML and JSON Schema; the keychain; the patterns of schemas; a terminal for what is redacted.
  core: ['yaml', 'zod/mini', '@napi-rs/keyring', '@lydell/node-pty', 're2js'],
  cli: ['commander', '@clack/prompts'],
  agent: [],
  client: [],
  // ECDSA over a digest, which node:crypto does not offer.
  emulator: ['@noble/curves/nist.js'],
};

/** What runs beside an application is a reviewed list (catalogue INV-108). */
const reachableFromAgent = [
  '@aws-sdk/client-kms',
  '@aws-sdk/client-s3',
  '@aws-sdk/client-sts',
  '@azure/identity',
  'age-encryption',
  'google-auth-library',
];

const processAccess = /\bprocess\.(env|argv|exit|exitCode|cwd)\b/;
const clockAccess = /\bDate\.now\s*\(|\bnew Date\s*\(\s*\)|\bMath\.random\s*\(/;
const mayTouchProcess = /^packages\/[a-z]+\/src\/(main|config|terminal)\.ts$/;
const ciphers =
  /\b(createCipheriv|createDecipheriv|createSign|createVerify|createHmac|createPrivateKey|diffieHellman)\b/;
const mayUseCiphers = /^packages\/(sops\/|artifact\/|emulator\/|core\/src\/trust\/)/;

/** Every broken rule as a line of text. */
function violations(files: readonly SourceFile[]): readonly string[] {
  const imports = files.flatMap(importsOf);
  return [...imports.flatMap(judgeImport), ...files.flatMap(judgeFile)];
}

function judgeImport(entry: Import): readonly string[] {
  const from = packageOf(entry.from);
  if (entry.to.startsWith('@clef/')) return judgeArrow(entry, from);
  if (entry.to.startsWith('packages/')) {
    if (packageOf(entry.to) !== from)
      return [`${entry.from} reaches into ${entry.to}: enter a package by its name`];
    return from === 'core' ? judgeFloor(entry) : [];
  }
  if (entry.to.startsWith('node:')) {
    const isSpawn = entry.to === 'node:child_process' && entry.from !== 'packages/host/src/child.ts';
    return isSpawn ? [`${entry.from} imports node:child_process: only host/child.ts starts processes`] : [];
  }
  return thirdParty[from]?.includes(entry.to)
    ? []
    : [`${entry.from} imports ${entry.to}: not in the reviewed list of ${from}`];
}

function judgeArrow(entry: Import, from: string): readonly string[] {
  const [, to = '', ...deeper] = entry.to.split('/');
  if (deeper.length > 0) return [`${entry.from} imports ${entry.to}: a package is entered only by its index`];
  const allowed = from === 'strict' ? [] : [...(arrows[from] ?? []), ...underAll];
  return allowed.includes(to) && to !== from ? [] : [`${entry.from} imports @clef/${to}: no such arrow`];
}

function judgeFloor(entry: Import): readonly string[] {
  const [fromFloor, toFloor] = [floorOf(entry.from), floorOf(entry.to)];
  if (fromFloor.folder === 'index' || fromFloor.folder === toFloor.folder) return [];
  if (fromFloor.level < 0 || toFloor.level < 0)
    return [`${entry.from} or ${entry.to} is on no floor of core`];
  if (fromFloor.level > toFloor.level || (fromFloor.level === 0 && toFloor.level === 0)) return [];
  return [`${entry.from} imports ${entry.to}: floors of core import downwards only, and peers not at all`];
}

function floorOf(path: string): { readonly folder: string; readonly level: number } {
  const folder = (path.split('/')[3] as string).replace(/\.ts$/, '');
  return { folder, level: coreFloors.findIndex((floor) => floor.includes(folder)) };
}

function judgeFile({ path, text }: SourceFile): readonly string[] {
  const code = withoutComments(text).replaceAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''");
  const found: string[] = [];
  if (!text.startsWith('//')) found.push(`${path} does not open with what it is`);
  if (path.endsWith('/src/index.ts') && /export\s*\*/.test(code))
    found.push(`${path} exports without listing names`);
  if (processAccess.test(code) && !mayTouchProcess.test(path)) found.push(`${path} touches the process`);
  if (clockAccess.test(code) && !mayTouchProcess.test(path))
    found.push(`${path} reads the clock or chance itself`);
  if (ciphers.test(code) && !mayUseCiphers.test(path)) found.push(`${path} uses a cipher or a signature`);
  if (/catch\s*(\([^)]*\))?\s*\{\s*\}/.test(code)) found.push(`${path} swallows an error`);
  return found;
}

const sources = readSources();

describe('the house', () => {
  it('keeps every rule', () => {
    expect(violations(sources)).toEqual([]);
  });

  const planted: readonly (readonly [rule: string, path: string, text: string])[] = [
    ['a face must not import sops', 'packages/cli/src/commands/get.ts', "import { x } from '@clef/sops';"],
    ['the agent must not import core', 'packages/agent/src/routes.ts', "import { x } from '@clef/core';"],
    [
      'the ground floor must not import upwards',
      'packages/sops/src/tree.ts',
      "import { x } from '@clef/kms';",
    ],
    [
      'a package is entered by its index',
      'packages/core/src/index.ts',
      "import { x } from '@clef/sops/src/tree.ts';",
    ],
    [
      'no reaching across by path',
      'packages/core/src/world.ts',
      "export { x } from '../../sops/src/tree.ts';",
    ],
    [
      'peers in core do not import each other',
      'packages/core/src/secrets/a.ts',
      "import { x } from '../people/b.ts';",
    ],
    [
      'a floor does not import upwards',
      'packages/core/src/cells/a.ts',
      "const x = await import('../secrets/b.ts');",
    ],
    [
      'only host starts processes',
      'packages/core/src/git/git.ts',
      "import { spawn } from 'node:child_process';",
    ],
    ['an unreviewed library', 'packages/client/src/index.ts', "import got from 'got';"],
    ['the environment is an argument', 'packages/kms/src/aws.ts', '// x\nconst a = process.env;'],
    ['the clock is an argument', 'packages/artifact/src/open.ts', '// x\nconst a = Date.now();'],
    ['ciphers stay in their rooms', 'packages/core/src/cells/a.ts', '// x\ncreateCipheriv();'],
    ['no empty catch', 'packages/core/src/cells/a.ts', '// x\ntry { a() } catch {}'],
    ['names are listed one by one', 'packages/kms/src/index.ts', "// x\nexport * from './kms.ts';"],
  ];
  it.each(planted)('notices when it is broken: %s', (_, path, text) => {
    expect(violations([{ path, text: text.startsWith('//') ? text : `// x\n${text}` }])).toHaveLength(1);
  });

  it('INV-108: the agent and the client reach only reviewed modules', () => {
    expect(reachable('agent')).toEqual(reachableFromAgent);
    expect(reachable('client')).toEqual([]);
  });

  it('declares in each package.json exactly what its sources import', () => {
    for (const name of Object.keys(arrows)) expect(declared(name), name).toEqual(imported(name));
  });

  it('has one version everywhere', () => {
    const versions = Object.keys(arrows).map((name) => manifestOf(name).version);
    const [, cliVersion] =
      /version = '([^']+)'/.exec(readFileSync(join(repositoryRoot, 'packages/cli/src/version.ts'), 'utf8')) ??
      [];
    expect(new Set([...versions, cliVersion]).size).toBe(1);
  });
});

type PackageManifest = {
  readonly version: string;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
};

function manifestOf(name: string): PackageManifest {
  return JSON.parse(
    readFileSync(join(repositoryRoot, 'packages', name, 'package.json'), 'utf8'),
  ) as PackageManifest;
}

function declared(name: string): readonly string[] {
  const { dependencies = {}, optionalDependencies = {} } = manifestOf(name);
  return [...Object.keys(dependencies), ...Object.keys(optionalDependencies)].sort();
}

function imported(name: string): readonly string[] {
  const modules = sources
    .filter((file) => packageOf(file.path) === name)
    .flatMap(importsOf)
    .map((entry) => entry.to)
    .filter((to) => !to.startsWith('packages/') && !to.startsWith('node:'));
  return [...new Set(modules.map(packageName))].sort();
}

function packageName(module: string): string {
  return module
    .split('/')
    .slice(0, module.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Third-party modules that a package reaches through imports that are more than types. */
function reachable(start: string): readonly string[] {
  const seen = new Set<string>();
  const found = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const { to, isType } of sources.filter((file) => packageOf(file.path) === name).flatMap(importsOf)) {
      if (isType) continue;
      if (to.startsWith('@clef/')) visit(to.slice('@clef/'.length));
      else if (!to.startsWith('packages/') && !to.startsWith('node:')) found.add(packageName(to));
    }
  };
  visit(start);
  return [...found].sort();
}
