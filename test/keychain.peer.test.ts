// A private key in a real keychain: gnome-keyring on a session bus of its own. It is on no disk in the clear, and cells open
// with it; a keychain that is gone is said so.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasPeer, type PeerRun, runPeer } from './peers.ts';
import { makeSandbox } from './sandbox.ts';

const { root, work, environment: base } = makeSandbox();
mkdirSync(join(root, 'run'), { mode: 0o700 });
const { CLEF_KEYCHAIN: _, ...withKeychain } = base;
const environment = { ...withKeychain, XDG_RUNTIME_DIR: join(root, 'run') };

/** Runs a script on a session bus; with a keychain on it that is unlocked, or with none. */
async function onBus(script: string, keychain: 'unlocked' | 'none'): Promise<PeerRun> {
  const unlock =
    "printf 'login password' | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1\n";
  return runPeer(
    'dbus-run-session',
    ['--', 'sh', '-c', `${keychain === 'unlocked' ? unlock : ''}${script}`],
    {
      cwd: work,
      environment,
    },
  );
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe.runIf(hasPeer('dbus-run-session') && hasPeer('gnome-keyring-daemon'))(
  'a key in the keychain',
  () => {
    it('is made there by init, opens cells, and lies on no disk', async () => {
      const script =
        'clef init --json && printf value-in-a-cell | clef set database/development A && clef get database/development A && clef key show --private';
      const { stdout, exitCode, stderr } = await onBus(script, 'unlocked');
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      expect(JSON.parse(stdout.slice(0, stdout.indexOf('}\n') + 1))).toMatchObject({
        madeKey: true,
        keptIn: "in your system's keychain",
      });
      expect(stdout).toContain('value-in-a-cell');
      const identity = /AGE-SECRET-KEY-1[A-Z0-9]+/.exec(stdout)?.[0] ?? 'no key was shown';
      expect(identity).toMatch(/^AGE-SECRET-KEY-1/);
      const holders = filesBelow(root).filter((file) => readFileSync(file).includes(identity));
      expect(holders).toEqual([]);
    });

    it('is listed without being opened, and where the keychain is gone that is what is said', async () => {
      const listed = await onBus('clef key list', 'none');
      expect(listed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('  keychain  ') });
      const refused = await onBus('clef get database/development A', 'none');
      expect(refused).toMatchObject({
        exitCode: 5,
        stderr: expect.stringContaining('the keychain does not answer'),
      });
    });
  },
);
