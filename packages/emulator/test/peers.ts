// Independent programs as clients. Each gets exactly the variables that it is given, and PATH.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { behindProxy, passOn } from '../../../test/fakes/behind-proxy.ts';
import { type Peer, type PeerRun, runPeer as runIn } from '../../../test/peers.ts';

export type Ran = PeerRun;

const atEnd: (() => Promise<unknown> | unknown)[] = [];
afterAll(async () => {
  for (const undo of atEnd.reverse()) await undo();
});

/** A folder that is gone after the file's last test. */
export async function temporaryFolder(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clef-peer-'));
  atEnd.push(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** Runs a peer in a folder that is also its home. */
export function runPeer(
  folder: string,
  environment: Readonly<Record<string, string>>,
  peer: Peer,
  ...args: readonly string[]
): Promise<Ran> {
  return runIn(peer, args, { cwd: folder, environment: { ...environment, HOME: folder } });
}

/**
 * Puts the emulator where programs expect Google: a proxy that leads every host to it. Returns the variables that make a Go
 * program use it.
 */
export async function asGoogle(emulatorUrl: string): Promise<Readonly<Record<string, string>>> {
  const proxy = await behindProxy(['cloudkms.googleapis.com'], passOn(emulatorUrl));
  atEnd.push(proxy.stop);
  return proxy.variables;
}
