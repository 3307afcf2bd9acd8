// The files of deploy/ as the tools of each platform read them: systemd's own checker, AWS's own client against another
// implementation of ECS, and a container engine where one runs.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from './import-graph.ts';
import { type Moto, startMoto } from './moto.ts';
import { findPeer, hasPeer, runPeer } from './peers.ts';

const deploy = join(repositoryRoot, 'deploy');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clef-deploy-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.runIf(hasPeer('systemd-analyze'))('systemd', () => {
  beforeAll(async () => {
    await cp(join(deploy, 'systemd'), folder, { recursive: true });
    const unit = join(folder, 'clef-agent.service');
    // The checker wants the program to be there.
    await writeFile(unit, (await readFile(unit, 'utf8')).replace('/usr/bin/clef-agent', process.execPath));
    await writeFile(join(folder, 'app.service'), '[Service]\nExecStart=/bin/true\n');
  });
  const analyze = (...args: string[]): ReturnType<typeof runPeer> =>
    runPeer('systemd-analyze', args, { cwd: folder, environment: { SYSTEMD_UNIT_PATH: `${folder}:` } });

  it.each(['clef-agent.service', 'app.service'])('%s with its drop-in has no fault', async (unit) => {
    const { exitCode, stderr } = await analyze('verify', '--man=no', join(folder, unit));
    const ours = stderr
      .split('\n')
      .filter((line) => line.includes(folder) || /clef-agent|app\.service/.test(line));
    expect({ exitCode, ours }).toEqual({ exitCode: 0, ours: [] });
  });

  it('the checker notices a directive that does not exist', async () => {
    await writeFile(join(folder, 'broken.service'), '[Service]\nExecStart=/bin/true\nDynamicUsr=yes\n');
    expect((await analyze('verify', '--man=no', join(folder, 'broken.service'))).stderr).toContain(
      'DynamicUsr',
    );
  });

  it('the agent’s exposure is below 2 of 10, by systemd’s own measure', async () => {
    const unit = join(folder, 'clef-agent.service');
    const ran = await analyze('security', '--offline=true', '--threshold=20', unit);
    expect(ran.stdout).toMatch(/Overall exposure level for clef-agent\.service: [01]\.\d/);
    expect(ran.exitCode).toBe(0);
  });
});

describe.runIf(hasPeer('aws') && hasPeer('moto_server'))('ECS', () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
  });
  afterAll(() => moto?.close());

  const register = async (text: string): ReturnType<typeof runPeer> => {
    await writeFile(join(folder, 'task.json'), text);
    const args = [
      'ecs',
      'register-task-definition',
      '--cli-input-json',
      'file://task.json',
      '--output',
      'json',
    ];
    const environment = {
      ...moto.variables('ECS'),
      AWS_REGION: 'eu-west-1',
      AWS_DEFAULT_REGION: 'eu-west-1',
    };
    return runPeer('aws', args, { cwd: folder, environment });
  };

  it('AWS’s client accepts the task definition, and would not one with another field', async () => {
    const text = await readFile(join(deploy, 'ecs/task-definition.json'), 'utf8');
    const made = await register(text);
    expect(made.stderr).toBe('');
    expect(JSON.parse(made.stdout).taskDefinition).toMatchObject({ family: 'api-gateway', revision: 1 });
    const refused = await register(text.replace('"dependsOn"', '"dependOn"'));
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('dependOn');
  });
});

/** An engine is more than its client, and few machines of CI run one that reaches a registry: said aloud where there is none. */
async function hasEngine(): Promise<boolean> {
  const here = { cwd: tmpdir() };
  const answers =
    findPeer('docker') !== undefined &&
    (await runPeer('docker', ['info', '--format', '{{.ServerVersion}}'], here)).exitCode === 0;
  if (!answers)
    process.stderr.write('No container engine runs here: deploy/docker/Dockerfile is not built.\n');
  return answers;
}

// Not `runIf`: a test that is only shown as skipped would count as one that should have run.
if (await hasEngine())
  describe('Docker', () => {
    it('builds the image, and it runs', async () => {
      const file = join(deploy, 'docker/Dockerfile');
      const built = await runPeer(
        'docker',
        ['build', '--quiet', '--file', file, '--tag', 'clef-agent-test', '.'],
        { cwd: repositoryRoot },
      );
      expect(built).toMatchObject({ exitCode: 0 });
      const ran = await runPeer('docker', ['run', '--rm', '--read-only', 'clef-agent-test', '--version'], {
        cwd: folder,
      });
      expect(ran).toMatchObject({ exitCode: 0 });
    });
  });
