#!/usr/bin/env node
// Starts the bundle through V8's code cache, which lies beside it and is as trusted as it is (docs/decisions/code-cache.md).
// In a fresh clone there is no bundle yet: it is made first, once ("npm run bundle" makes it anew).
// First of all for the agent, which runs for long: in Node, SIGUSR1 opens a debugger that anybody on this machine can use.
if (process.argv[2] === 'agent') process.on('SIGUSR1', () => undefined);
const { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');

const distribution = join(__dirname, '../dist');
const wholeBundle = join(distribution, 'clef.cjs');
const cachePrefix = '.code-';

function start() {
  const [word, next] = process.argv.slice(2, 4).map(plainWord);
  const own = join(distribution, `clef-${word}.cjs`);
  const bundled = existsSync(own) ? own : wholeBundle;
  const source = readFileSync(bundled, 'latin1');
  // In front of the bundle: what its build is known by. V8 itself compares only the number of bytes.
  const build = `${cachePrefix}${source.slice(2, 34)}`;
  const cacheFile = join(
    distribution,
    `${build}-${process.version}-${process.arch}-${cacheNameOf(word, next)}`,
  );
  const cachedData = readIfThere(cacheFile);
  const script = new Script(source, {
    filename: bundled,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  if (script.cachedDataRejected !== false)
    process.once('exit', (code) => code === 0 && keepCache(cacheFile, build, script));
  const module = { exports: {} };
  const run = script.runInThisContext();
  run.call(module.exports, module.exports, createRequire(bundled), module, bundled, dirname(bundled));
}

function plainWord(text) {
  return /^[a-z]{1,16}$/.test(text) ? text : 'other';
}

/**
 * To each command its own: a cache holds what was compiled until it was made, and all of it is read at every start. The
 * second word of the others is an argument more often than not.
 */
function cacheNameOf(word = 'other', next = 'other') {
  return word === 'sops' ? `${word}-${next}` : word;
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
function keepCache(cacheFile, build, script) {
  try {
    // Those of older builds; another version of Node keeps its own.
    const old = readdirSync(distribution).filter(
      (name) => name.startsWith(cachePrefix) && !name.startsWith(build),
    );
    for (const name of old) rmSync(join(distribution, name), { force: true });
    const temporary = join(distribution, `.new-${process.pid}`);
    // On the disk before it has its name: V8 checks no more than its head, and half of one would crash every start.
    writeFileSync(temporary, script.createCachedData(), { mode: 0o644, flag: 'wx', flush: true });
    renameSync(temporary, cacheFile);
  } catch {
    // An installation that is not ours to write: it stays without a cache.
  }
}

if (existsSync(wholeBundle)) start();
else {
  import('../../../scripts/bundle.mjs').then(({ bundle }) => bundle()).then(start);
}
