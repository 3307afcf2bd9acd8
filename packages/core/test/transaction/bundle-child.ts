// Bundles fault-child.ts into one file that plain node runs, so that a hundred children cost seconds and not minutes.

import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

/** A folder for trees, and a way to run the child. */
export type Bench = {
  readonly folder: string;
  run(...args: readonly string[]): Promise<ChildEnd>;
  start(...args: readonly string[]): {
    readonly end: Promise<ChildEnd>;
    firstLine(): Promise<string>;
    kill(): void;
  };
};

export type ChildEnd = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
};

export async function openBench(): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'clef-transaction-'));
  const script = join(folder, 'child.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'fault-child.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['clef-source'],
    // The SDKs of the clouds and the keychain are never reached from here.
    external: ['@aws-sdk/*', 'google-auth-library', '@napi-rs/keyring'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'silent',
  });
  const start: Bench['start'] = (...args) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    const firstLine = new Promise<string>((resolve) => {
      child.stdout.on('data', (chunk) => {
        stdout += String(chunk);
        if (stdout.includes('\n')) resolve(stdout.split('\n')[0] ?? '');
      });
    });
    const end = new Promise<ChildEnd>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    return { end, firstLine: () => firstLine, kill: () => child.kill('SIGKILL') };
  };
  return { folder, start, run: (...args) => start(...args).end };
}
