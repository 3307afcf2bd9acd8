#!/usr/bin/env node
// Starts the bundle through V8's code cache, which lies beside it and is as trusted as it is (docs/decisions/code-cache.md).
// In a fresh clone there is no bundle yet: it is made first, once ("npm run bundle" makes it anew).
// First of all for the agent, which runs for long: in Node, SIGUSR1 opens a debugger that anybody on this machine can use.
if (process.argv[2] === 'agent') process.on('SIGUSR1', () => undefined);
const { createHash } = require('node:crypto');
const { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { basename, dirname, join } = require('node:path');
const { Script } = require('node:vm');

const bundled = join(__dirname, '../dist/clef.cjs');
const cachePrefix = '.code-';

function start() {
  const source = readFileSync(bundled);
  const cacheFile = cacheFileOf(source);
  const cachedData = readIfThere(cacheFile);
  // The same wrapper that Node puts around a CommonJS module.
  const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
    filename: bundled,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  if (script.cachedDataRejected !== false)
    process.once('exit', (code) => code === 0 && keepCache(cacheFile, script));
  const module = { exports: {} };
  const run = script.runInThisContext();
  run.call(module.exports, module.exports, createRequire(bundled), module, bundled, dirname(bundled));
}

/** Named after the very bytes of the bundle: V8 itself compares only their number. */
function cacheFileOf(source) {
  const digest = createHash('sha256').update(source).digest('hex').slice(0, 32);
  return join(
    dirname(bundled),
    `${cachePrefix}${digest}-${process.version}-${process.arch}-${commandWord()}`,
  );
}

/** To each command its own: a cache holds what was compiled until it was made, and all of it is read at every start. */
function commandWord() {
  const word = process.argv[2] ?? '';
  return /^[a-z]{1,16}$/.test(word) ? word : 'other';
}

function readIfThere(file) {
  try {
    return readFileSync(file);
  } catch {
    // Not made yet, or not ours to read: without it the start is slower and nothing else.
    return undefined;
  }
}

/** After a success only: what failed early has compiled little, and may be no command at all. */
function keepCache(cacheFile, script) {
  const folder = dirname(cacheFile);
  const [current] = basename(cacheFile).split('-v');
  try {
    // Those of older bundles; another version of Node keeps its own.
    const old = readdirSync(folder).filter(
      (name) => name.startsWith(cachePrefix) && !name.startsWith(current),
    );
    for (const name of old) rmSync(join(folder, name), { force: true });
    const temporary = join(folder, `.new-${process.pid}`);
    writeFileSync(temporary, script.createCachedData(), { mode: 0o644, flag: 'wx' });
    renameSync(temporary, cacheFile);
  } catch {
    // An installation that is not ours to write: it stays without a cache.
  }
}

if (existsSync(bundled)) start();
else {
  import('../../../scripts/bundle.mjs').then(({ bundle }) => bundle()).then(start);
}
