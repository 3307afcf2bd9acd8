// Importing a file that the real sops made for a PGP key alone, with the real gpg.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPeer, runPeer } from '../../../test/peers.ts';
import { openRepository } from '../src/repository.ts';
import { importSecrets } from '../src/secrets/import-secrets.ts';
import { refusal, repositoryWith, temporaryFolder, withVariables, yes } from './repository-with.ts';

const cell = 'database/development';
const folder = temporaryFolder();
const environment = { HOME: folder, GNUPGHOME: join(folder, 'gnupg') };
const run = async (name: 'gpg' | 'sops', args: readonly string[], more = {}, input = '') => {
  const ended = await runPeer(name, args, { cwd: folder, environment: { ...environment, ...more }, input });
  if (ended.exitCode !== 0) throw new Error(ended.stderr);
  return ended.stdout;
};

describe.runIf(hasPeer('sops') && hasPeer('gpg'))('J10: a SOPS file for a PGP key alone', () => {
  beforeAll(async () => {
    mkdirSync(environment.GNUPGHOME, { mode: 0o700 });
    const key = ['%no-protection', 'Key-Type: RSA', 'Key-Length: 2048', 'Subkey-Type: RSA'];
    const rest = ['Subkey-Length: 2048', 'Name-Email: a@example.com', 'Expire-Date: 0', '%commit', ''];
    await run('gpg', ['--batch', '--gen-key'], {}, [...key, ...rest].join('\n'));
    const listed = await run('gpg', ['--with-colons', '--list-keys']);
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
    writeFileSync(join(folder, 'plain.json'), '{"DB": {"URL": "CANARY\\n"}}');
    await run('sops', ['encrypt', '--output', 'theirs.json', 'plain.json'], { SOPS_PGP_FP: fingerprint });
  });
  afterAll(() => runPeer('gpgconf', ['--kill', 'all'], { cwd: folder, environment }));

  /** Imports into a repository of somebody with that GnuPG. */
  async function imported(variables: Readonly<Record<string, string>>) {
    const own = await repositoryWith();
    await importSecrets(await openRepository(withVariables(own.world, variables), own.root), {
      cell,
      bytes: readFileSync(join(folder, 'theirs.json')),
      name: 'theirs.json',
      flatten: '_',
      overwrite: false,
      skipEmpty: false,
      lastWins: false,
      isDryRun: false,
      createNamespace: true,
      allowedEnvironmentNames: [],
      confirm: yes,
    });
    return own.values(cell);
  }

  it('opens with the key in the keyring of GnuPG', async () => {
    expect(await imported({ GNUPGHOME: environment.GNUPGHOME })).toEqual({ DB_URL: 'CANARY\n' });
  });

  it('is refused without it, and shows nothing of the values', async () => {
    const nobody = join(folder, 'nobody');
    mkdirSync(nobody, { mode: 0o700 });
    const { code, message } = await refusal(imported({ GNUPGHOME: nobody }));
    expect(code).toBe('cannot_decrypt');
    expect(message).not.toContain('CANARY');
  });
});
