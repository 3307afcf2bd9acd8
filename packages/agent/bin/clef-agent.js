#!/usr/bin/env node
// Runs the bundle. In a fresh clone there is none yet: it is made first, once ("npm run bundle" makes it anew).
// First of all: in Node, SIGUSR1 opens a debugger that anybody on this machine can use. Before this line only
// `node --disable-sigusr1` (Node 22.14 and later) helps.
process.on('SIGUSR1', () => undefined);
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const bundled = join(__dirname, '../dist/clef-agent.cjs');
if (existsSync(bundled)) require(bundled);
else {
  import('../../../scripts/bundle.mjs').then(({ bundle }) => bundle()).then(() => require(bundled));
}
