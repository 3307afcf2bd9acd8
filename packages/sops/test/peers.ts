// The real sops and age as child processes, in a home of their own.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildResult, runChild } from '@clef/host';
import { findPeer } from '../../../test/peers.ts';

/** A folder that stands in for a home, with the means to run sops and age in it. */
export type PeerHome = {
  readonly folder: string;
  readonly write: (name: string, content: string | Uint8Array) => string;
  readonly read: (name: string) => Uint8Array;
  readonly sops: (args: readonly string[], environment?: Record<string, string>) => Promise<ChildResult>;
  readonly age: (
    command: 'age' | 'age-keygen',
    args: readonly string[],
    input?: Uint8Array,
  ) => Promise<ChildResult>;
  readonly remove: () => void;
};

export function openPeerHome(identity: string): PeerHome {
  const folder = mkdtempSync(join(tmpdir(), 'clef-sops-peer-'));
  const base = { HOME: folder, PATH: '/usr/local/bin:/usr/bin:/bin', TMPDIR: folder };
  return {
    folder,
    write(name, content) {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    },
    read: (name) => new Uint8Array(readFileSync(join(folder, name))),
    sops: (args, environment = {}) =>
      runChild({
        command: findPeer('sops') ?? 'sops',
        args,
        environment: { ...base, SOPS_DISABLE_VERSION_CHECK: '1', SOPS_AGE_KEY: identity, ...environment },
        cwd: folder,
        stdio: 'capture',
        timeoutSeconds: 60,
      }),
    age: (command, args, input) =>
      runChild({
        command: findPeer(command) ?? command,
        args,
        environment: base,
        cwd: folder,
        stdio: 'capture',
        timeoutSeconds: 60,
        ...(input === undefined ? {} : { input }),
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The standard output of a run that must succeed. */
export async function outputOf(run: Promise<ChildResult>): Promise<string> {
  const { exitCode, stdout, stderr } = await run;
  if (exitCode !== 0) throw new Error(`Exit ${exitCode}: ${Buffer.from(stderr).toString('utf8')}`);
  return Buffer.from(stdout).toString('utf8');
}
