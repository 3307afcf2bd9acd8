#!/usr/bin/env node
// Runs the bundle where there is one (an installed clef), else the sources (a fresh clone).
import { existsSync } from 'node:fs';

const bundle = new URL('../dist/clef.js', import.meta.url);
if (existsSync(bundle)) await import(bundle.href);
else {
  const { register } = await import('tsx/esm/api');
  register();
  await import('../src/main.ts');
}
