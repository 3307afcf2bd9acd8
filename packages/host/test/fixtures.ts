// What the tests of this package share: a temporary folder, a user without privileges, a program run from its source.
import { chmodSync, closeSync, mkdtempSync, openSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, expect, onTestFinished } from 'vitest';
import { HostError } from '../src/index.ts';

export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'clef-host-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const built = new Map<string, string>();
afterAll(() => {
  for (const outfile of built.values()) rmSync(dirname(outfile), { recursive: true, force: true });
});

/** The command line that runs one of `programs/`, bundled from the sources as they are now. */
export function program(name: string): { command: string; args: string[] } {
  const outfile = built.get(name) ?? join(mkdtempSync(join(tmpdir(), 'clef-host-program-')), `${name}.mjs`);
  if (!built.has(name)) {
    const entry = fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url));
    buildSync({
      entryPoints: [entry],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['clef-source'],
    });
    built.set(name, outfile);
  }
  return { command: process.execPath, args: [outfile] };
}

export const nobody = 65_534;

/**
 * Runs `work` without root's privilege to read and write everything, and proves that it is gone: on a machine where
 * the tests run as root, a test of permissions would otherwise pass whatever the code does.
 */
export async function withoutPrivileges<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    chmodSync(folder, 0o777);
    process.setegid?.(nobody);
    process.seteuid?.(nobody);
  }
  try {
    const probe = join(folder, 'probe-of-privileges');
    writeFileSync(probe, 'x');
    chmodSync(probe, 0o000);
    expect(() => closeSync(openSync(probe, 'r'))).toThrow(/EACCES/);
    rmSync(probe);
    return await work();
  } finally {
    if (isRoot) {
      process.seteuid?.(0);
      process.setegid?.(0);
    }
  }
}

export async function failureOf(work: Promise<unknown>): Promise<HostError> {
  try {
    await work;
  } catch (cause) {
    if (cause instanceof HostError) return cause;
    throw cause;
  }
  throw new Error('It succeeded');
}
