#!/usr/bin/env node
// Runs the bundle. In a fresh clone there is none yet: it is made first, once ("npm run bundle" makes it anew).
import { existsSync } from 'node:fs';

const bundled = new URL('../dist/clef-agent.cjs', import.meta.url);
if (!existsSync(bundled)) {
  const { bundle } = await import('../../../scripts/bundle.mjs');
  await bundle();
}
await import(bundled.href);
