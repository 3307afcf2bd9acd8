// What the tests of this room share: a started emulator, and a workload as a process of its own with nothing but the
// variables it is given.
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { runChild } from '@clef/host';
import { afterAll } from 'vitest';
import { type Emulator, type EmulatorOptions, startEmulator } from '../src/index.ts';

const started: Emulator[] = [];

/** An emulator on the real clock, stopped after the file's last test. */
export async function emulator(options: Partial<EmulatorOptions> = {}): Promise<Emulator> {
  const one = await startEmulator({ now: Date.now, randomBytes, ...options });
  started.push(one);
  return one;
}

afterAll(async () => {
  await Promise.all(started.map((one) => one.stop()));
});

/** Runs `clients/NAME.mjs` with exactly these variables and returns the JSON that it prints. */
export async function runClient(
  name: string,
  environment: Readonly<Record<string, string>>,
  request: object,
): Promise<Record<string, unknown>> {
  const script = fileURLToPath(new URL(`clients/${name}.mjs`, import.meta.url));
  const result = await runChild({
    command: process.execPath,
    args: [script, JSON.stringify(request)],
    environment,
    stdio: 'capture',
    timeoutSeconds: 25,
  });
  const text = Buffer.from(result.stdout).toString();
  if (result.exitCode !== 0) throw new Error(`${name} failed: ${Buffer.from(result.stderr).toString()}`);
  return JSON.parse(text) as Record<string, unknown>;
}
