// `clef doctor`: each trouble is found, with a way to mend it, and nothing is changed.
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { examine } from '../src/checks/doctor/doctor.ts';
import type { DoctorFinding } from '../src/checks/doctor/finding.ts';
import { requestAccess } from '../src/people/requests.ts';
import { openRepository } from '../src/repository.ts';
import type { World } from '../src/world.ts';
import {
  emptyWorld,
  git,
  person,
  repositoryWith,
  strangersKey,
  type TestRepository,
  withVariables,
} from './repository-with.ts';

const cell = 'database/development';
const file = 'secrets/database/development.enc.yaml';

type Look = {
  readonly world?: World;
  readonly nodeVersion?: string;
  readonly open?: boolean;
  readonly ownKeys?: boolean;
};

async function troubles(
  { root, world }: Pick<TestRepository, 'root' | 'world'>,
  look: Look = {},
): Promise<readonly DoctorFinding[]> {
  const findings = await examine(look.world ?? world, {
    directory: root,
    nodeVersion: look.nodeVersion ?? '22.4.0',
    open: look.open ?? false,
    ownKeys: look.ownKeys ?? true,
  });
  expect(findings.filter(({ status, fix }) => status !== 'ok' && fix === undefined)).toEqual([]);
  return findings.filter(({ status }) => status !== 'ok');
}

const inOneLine = (findings: readonly DoctorFinding[]): readonly string[] =>
  findings.map(({ check, status, message }) => `${status} ${check}: ${message}`);

const plainKey = expect.stringMatching(/^warning keys: The key age1.{8}… lies in a plain file/);

describe('doctor', () => {
  it('a machine of CI, without a key, finds only what is wrong with the repository', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    await git(repository.root, 'init', '--quiet');
    const world = withVariables(repository.world, { CLEF_CONFIG_DIR: `${repository.root}-none` });
    const withKeys = await troubles(repository, { world });
    expect(inOneLine(withKeys)).toEqual(['problem keys: There is no age key of yours on this machine']);
    expect(await troubles(repository, { world, ownKeys: false })).toEqual([]);
  });

  it('says of a sound repository that a key lies in a plain file (D-28), and no more', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    await git(repository.root, 'init', '--quiet');
    const before = repository.snapshot();
    const found = await troubles(repository, { open: true });
    expect(inOneLine(found)).toEqual([plainKey]);
    expect(repository.snapshot()).toEqual(before);
    expect(JSON.stringify(found)).not.toMatch(/CANARY|AGE-SECRET/);
  });

  const rows: readonly (readonly [string, string, (r: TestRepository) => Look | undefined])[] = [
    ['an old Node', 'problem node: Node 20.18.1 is older than 20.19', () => ({ nodeVersion: '20.18.1' })],
    ['a Node past its end', 'warning node: Node 20.19.0 works, but', () => ({ nodeVersion: '20.19.0' })],
    [
      'a misspelled variable (H09)',
      'warning settings: The variable CLEF_AGE_KYE_FILE means nothing',
      ({ world }) => ({ world: withVariables(world, { CLEF_AGE_KYE_FILE: '/x' }) }),
    ],
    [
      'TLS switched off (H10)',
      'problem settings: NODE_TLS_REJECT_UNAUTHORIZED=0',
      ({ world }) => ({ world: withVariables(world, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }) }),
    ],
    [
      'an endpoint override (INV-111)',
      'warning settings: AWS_ENDPOINT_URL_KMS sends',
      ({ world }) => ({ world: withVariables(world, { AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:1' }) }),
    ],
    [
      'no git',
      'warning git: git is not installed',
      ({ world }) => ({ world: withVariables(world, { PATH: '/nowhere' }) }),
    ],
    [
      'no key',
      'problem keys: There is no age key',
      ({ root }) => ({ world: emptyWorld({ cwd: root }).world }),
    ],
    [
      'a key file that others can read (D04)',
      'problem keys: The file of the key',
      ({ world, recipient }) => {
        chmodSync(join(world.environment['CLEF_CONFIG_DIR'] ?? '', 'keys', `${recipient}.txt`), 0o644);
        return undefined;
      },
    ],
    [
      'a key file that is gone',
      'problem keys: The file of the key',
      ({ world, recipient }) => {
        rmSync(join(world.environment['CLEF_CONFIG_DIR'] ?? '', 'keys', `${recipient}.txt`));
        return undefined;
      },
    ],
    [
      'a broken clef.yaml',
      'problem repository: ',
      ({ write }) => {
        write('clef.yaml', 'version: 9\n');
        return undefined;
      },
    ],
    [
      'a cell that was edited by hand (INV-02)',
      'problem cells: Cannot use "secrets/database/development.enc.yaml" line 1',
      ({ read, write }) => {
        write(file, read(file).replace(/ENC\[[^\]]*\]/, 'plain'));
        return undefined;
      },
    ],
    [
      'no folder in memory for edit (INV-18)',
      'warning machine: There is no folder in memory',
      ({ world }) => ({ world: { ...world, platform: 'darwin' } }),
    ],
    [
      'a list of age plugins with a program on PATH (INV-33)',
      'problem machine: ',
      ({ world }) => {
        const folder = world.environment['CLEF_CONFIG_DIR'] ?? '';
        writeFileSync(join(folder, 'plugins.yaml'), 'version: 1\nplugins: { yubikey: age-plugin-yubikey }\n');
        return undefined;
      },
    ],
    [
      'a lock of another machine (F-12)',
      'problem repository: There is a lock on this repository',
      ({ write }) => {
        const holder = { host: 'elsewhere', pid: 1, purpose: 'set', since: 1, nonce: '0'.repeat(32) };
        write('.clef/lock', JSON.stringify(holder));
        return undefined;
      },
    ],
    [
      'a .sops.yaml of ours that is out of date',
      'warning repository: .sops.yaml is not what clef.yaml gives',
      ({ write }) => {
        write(
          '.sops.yaml',
          '# Written by clef from clef.yaml: change that, and run "clef sync"\ncreation_rules: []\n',
        );
        return undefined;
      },
    ],
    [
      'a file among the requests that is none',
      'warning requests: Cannot use ".clef/requests/bob.yaml": ',
      ({ write }) => {
        write('.clef/requests/bob.yaml', 'version: 1\nname: mallory\n');
        return undefined;
      },
    ],
    [
      'cells that git ignores',
      'problem repository: git ignores',
      ({ root }) => {
        writeFileSync(join(root, '.gitignore'), 'secrets\n');
        return undefined;
      },
    ],
  ];

  it.each(rows)('finds %s', async (_, message, spoil) => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    await git(repository.root, 'init', '--quiet');
    const found = await troubles(repository, spoil(repository));
    expect(inOneLine(found)).toContainEqual(expect.stringContaining(message));
    expect(JSON.stringify(found)).not.toMatch(/CANARY|plain\b.*ENC/);
  });

  it('finds recipients that clef.yaml does not name, and names the repair', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'x' } });
    const bob = await person({ cwd: repository.root });
    repository.write(
      'clef.yaml',
      repository.read('clef.yaml').replaceAll(repository.recipient, bob.recipient),
    );
    const found = await troubles(repository);
    expect(found).toContainEqual(
      expect.objectContaining({ status: 'problem', fix: expect.stringContaining(`clef rotate ${cell}`) }),
    );
    expect(inOneLine(found)).toContainEqual(expect.stringContaining('No key of yours is in clef.yaml'));
  });

  it('tells whose request waits, for what and how long, the oldest first, and how to answer it', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'x' } });
    const ask = async (name: string, wanted: Parameters<typeof requestAccess>[1]) => {
      const { world } = await person({ cwd: repository.root, now: () => repository.clock.milliseconds });
      await requestAccess(await openRepository(world, repository.root), { name, ...wanted });
    };
    await ask('zoe', {});
    repository.clock.milliseconds += 36 * 3_600_000;
    await ask('bob', { environments: ['staging', 'production'], namespaces: ['database'] });
    repository.clock.milliseconds += 3_600_000;
    const requests = async () => (await troubles(repository)).filter(({ check }) => check === 'requests');
    expect(inOneLine(await requests())).toEqual([
      'warning requests: "zoe" asks to read development since 2026-01-31T12:00:00Z (1 day)',
      'warning requests: "bob" asks to read staging, production (only database) since 2026-02-02T00:00:00Z (0 days)',
    ]);
    expect((await requests())[0]?.fix).toBe(
      'run "clef recipients approve zoe", or take it away: clef recipients approve zoe --decline',
    );
    repository.clock.milliseconds -= 72 * 3_600_000;
    expect(inOneLine(await requests())[0]).toMatch(/\(a time to come\)$/);
  });

  it('counts the requests of a flood, and tells ten', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'x' } });
    const { recipient } = strangersKey();
    for (let n = 0; n < 30; n += 1)
      repository.write(
        `.clef/requests/p${n}.yaml`,
        `version: 1\nname: p${n}\nkeys: [${recipient}]\nenvironments: [development]\nnamespaces: ["*"]\nrequested: "2026-01-31T12:00:00Z"\n`,
      );
    const found = inOneLine(await troubles(repository)).filter((line) => line.includes('requests:'));
    expect(found).toHaveLength(11);
    expect(found.at(-1)).toBe('warning requests: 20 more requests for access wait');
  });

  it('--open: not to be let in is no problem, a damaged cell is one', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'x' }, 'database/staging': { A: 'x' } });
    const bob = await person({ cwd: repository.root });
    expect(inOneLine(await troubles(repository, { world: bob.world, open: true }))).not.toContainEqual(
      expect.stringContaining('problem cells'),
    );
    repository.write(
      file,
      repository.read(file).replace(/data:(.)/, (_, c) => `data:${c === 'A' ? 'B' : 'A'}`),
    );
    expect(inOneLine(await troubles(repository, { open: true }))).toContainEqual(
      expect.stringMatching(/^problem cells: .*database\/development/),
    );
  });
});
