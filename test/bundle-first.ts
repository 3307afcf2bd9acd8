// Before any test: the command is bundled anew from the sources, so that process tests run what users run.
import { existsSync } from 'node:fs';
import { bundle } from '../scripts/bundle.mjs';

export default async function setup(): Promise<void> {
  if (!existsSync(new URL('../packages/cli/src/main.ts', import.meta.url))) return;
  await bundle();
}
