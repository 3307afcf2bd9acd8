// The tokenless story with its parts on independent servers: CI packs to an object store and signs with a KMS key, and an agent
// that has nothing but its machine's role reads, opens and serves, until the role is revoked. S3 and a second KMS are moto's.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { createKmsSigner, sealArtifact } from '@clef/artifact';
import type { InstanceKind } from '@clef/emulator';
import { startChild } from '@clef/host';
import { openKms, parseKeyReference } from '@clef/kms';
import { formatTimestamp } from '@clef/strict';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fakeStore } from './fakes/object-stores.ts';
import { type Moto, startMoto } from './moto.ts';
import { findPeer, hasPeer } from './peers.ts';
import {
  type Agent,
  administrator,
  bare,
  type CloudName,
  clef,
  deploy,
  type Environment,
  eventually,
  freePort,
  git,
  installClient,
  pause,
  productionUrl,
  run,
  type Scene,
  setScenes,
  succeed,
  variablesOf,
} from './scene.ts';

vi.setConfig({ maxConcurrency: 3 });

const Bucket = 'artifacts';
const region = 'eu-west-1';
const reauthorizeSeconds = 2;
const clefScript = fileURLToPath(new URL('../packages/cli/bin/clef.js', import.meta.url));

let moto: Moto;
let admin: S3Client;
let aws: Scene;
let gcp: Scene;
const signed = new Map<CloudName, Signed>();
beforeAll(async () => {
  hasPeer('moto_server');
  [{ aws, gcp }, moto] = await Promise.all([setScenes(), startMoto()]);
  const credentials = { accessKeyId: 'testing', secretAccessKey: 'testing' };
  admin = new S3Client({ region, endpoint: moto.url, forcePathStyle: true, credentials });
  const LocationConstraint = region;
  await admin.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint } }));
  for (const scene of [aws, gcp]) signed.set(scene.cloud, await signWithKms(scene));
}, 180_000);
afterAll(async () => {
  admin?.destroy();
  await Promise.all([moto?.close(), aws?.close(), gcp?.close()]);
});

type Signed = {
  readonly repository: string;
  readonly pinned: Environment;
  /** CI without a signing key of its own. */
  readonly job: Environment;
};

/** A copy of the repository in which a KMS key signs what CI packs, and nothing else is trusted. */
async function signWithKms(scene: Scene): Promise<Signed> {
  const { emulator, ci } = scene;
  const ring = `projects/${emulator.project}/locations/global/keyRings/clef`;
  const { reference } =
    scene.cloud === 'aws'
      ? await emulator.createKey({ use: 'sign' })
      : await emulator.createGcpKey(`${ring}/cryptoKeys/signs`, 'sign');
  const key = bare(reference).replace(/\/cryptoKeyVersions\/1$/, '');
  await emulator.allowRole({ role: 'ci-runner', key, may: 'sign' });
  const { verifyKey } = await createKmsSigner(
    parseKeyReference(reference),
    openKms({ environment: administrator(scene) }),
  );
  const repository = await scene.copyOfRepository();
  await succeed(clef(repository, scene.alice, ['service', 'delete', 'api-gateway', '--yes']));
  await succeed(
    clef(repository, { ...ci, ...(await scene.machine('ci-runner')) }, [
      ...['service', 'create', 'api-gateway', '--namespaces', 'database'],
      ...['--seal', `production=${scene.sealingKey}`, '--sign', `production=${reference}`],
    ]),
  );
  await git(repository, scene.alice, 'commit', '--quiet', '--all', '--message', 'Sign with the KMS');
  const shown = clef(repository, scene.alice, [
    'service',
    'show',
    'api-gateway',
    'production',
    '--agent-env',
  ]);
  const pinned = variablesOf(await succeed(shown));
  expect(pinned['CLEF_AGENT_VERIFY_KEYS']).toBe(verifyKey.text);
  const job = { ...ci, CLEF_SIGNING_KEY_FILE: undefined, ...(await scene.machine('ci-runner')) };
  return { repository, pinned, job };
}

type Row = readonly [kind: InstanceKind, cloud: CloudName, credentials: readonly string[]];

/** Each kind of machine, and the variables about identity that it sets by itself. */
const rows: readonly Row[] = [
  ['ec2', 'aws', ['AWS_EC2_METADATA_SERVICE_ENDPOINT']],
  ['ecs', 'aws', ['AWS_CONTAINER_AUTHORIZATION_TOKEN', 'AWS_CONTAINER_CREDENTIALS_FULL_URI']],
  ['eks', 'aws', ['AWS_ROLE_ARN', 'AWS_ROLE_SESSION_NAME', 'AWS_WEB_IDENTITY_TOKEN_FILE']],
  ['eks-pod', 'aws', ['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', 'AWS_CONTAINER_CREDENTIALS_FULL_URI']],
  ['gce', 'gcp', ['GCE_METADATA_HOST']],
];
/** Where the emulated services are, which the real clouds need not be told. */
const places = /^(AWS_ENDPOINT_URL_\w+|AWS(_DEFAULT)?_REGION|CLEF_(GCP_KMS|GCS)_ENDPOINT)$/;

/** The names in the environment of a running process, as the kernel has it. */
async function environmentOf(agent: Agent): Promise<readonly string[]> {
  const text = await readFile(`/proc/${agent.child.pid}/environ`, 'utf8');
  return text
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => line.slice(0, line.indexOf('=')));
}

async function storeFor(
  cloud: CloudName,
  name: string,
): Promise<{ address: string; environment: Environment }> {
  if (cloud === 'gcp') {
    const { address, environment } = await fakeStore('gs', (authorization) =>
      /^Bearer ya29\./.test(authorization ?? ''),
    );
    return { address, environment: { CLEF_GCS_ENDPOINT: environment['CLEF_GCS_ENDPOINT'] } };
  }
  const address = `s3://${Bucket}/${name}.json?region=${region}`;
  return { address, environment: { AWS_ENDPOINT_URL_S3: moto.url } };
}

/** What may be in no log, error or answer: the value, the token, the names of keys, and every path of this scene. */
async function leaksIn(agent: Agent, scene: Scene, answers: readonly string[]): Promise<readonly string[]> {
  const token = (await readFile(agent.tokenFile, 'utf8')).trim();
  const variables = [agent.child.stderr(), agent.child.stdout()].map((bytes) =>
    Buffer.from(bytes).toString(),
  );
  const text = [...variables, ...answers].join('\n');
  const secrets = [productionUrl, token, 'arn:aws', 'cryptoKeys/', scene.folder, `${Bucket}/`, 'AGE-SECRET'];
  return secrets.filter((secret) => text.includes(secret));
}

describe.concurrent('from pack --to a store to a revoked role', () => {
  it.each(rows)(
    '%s: signed by KMS, read from the store, served by role alone; the next revision; F33: revoked, and gone in time; no leak',
    async (kind, cloud, credentials) => {
      const scene = { aws, gcp }[cloud];
      const { repository, pinned, job } = signed.get(cloud) as Signed;
      const store = await storeFor(cloud, `story-${kind}`);
      const pack = ['pack', 'api-gateway', 'production', '--to', store.address];
      const packed = await clef(repository, { ...job, ...store.environment }, pack);
      expect(packed).toMatchObject({ exitCode: 0, stdout: '' });
      expect(packed.stderr).not.toMatch(/canary|AGE-SECRET/);

      const role = await scene.roleFor('api-gateway', `story-${kind}`);
      const agent = await scene.startAgent({
        source: store.address,
        variables: {
          ...pinned,
          ...(await scene.machine(role, kind)),
          ...store.environment,
          CLEF_AGENT_REAUTHORIZE: `${reauthorizeSeconds}s`,
        },
      });
      await agent.child.waitForLine(/"event":"ready"/, 30);
      const names = (await environmentOf(agent)).filter(
        (name) => !/^CLEF_AGENT_/.test(name) && !places.test(name),
      );
      expect(names.toSorted()).toEqual(credentials);
      const answers: string[] = [];
      const ask = async (path: string) => {
        const answer = await agent.ask(path);
        if (answer.status !== 200) answers.push(answer.text);
        return answer;
      };
      expect(await ask('/v1/secrets/DB_URL')).toMatchObject({ status: 200 });
      expect((await ask('/v1/secrets')).text).toBe(JSON.stringify({ DB_URL: productionUrl }));

      await succeed(clef(repository, { ...job, ...store.environment }, pack));
      await agent.child.waitForLine(/"event":"refreshed"/, 20);
      expect(agent.refusals()).toEqual([]);

      const revokedAt = performance.now();
      await scene.emulator.revokeRole(role);
      const last = await eventually(
        () => ask('/v1/secrets'),
        ({ status }) => status !== 200,
      );
      const seconds = (performance.now() - revokedAt) / 1000;
      process.stdout.write(
        `${kind}: revoked, and nothing served after ${seconds.toFixed(1)} s (reauthorize ${reauthorizeSeconds} s)\n`,
      );
      expect(last).toMatchObject({ status: 503, code: 'denied' });
      // The configured time, one heartbeat, and what a busy machine takes.
      expect(seconds).toBeLessThan(reauthorizeSeconds + 5);
      expect(await leaksIn(agent, scene, answers)).toEqual([]);
    },
  );

  it('the signature in the store is the KMS key’s: an agent that trusts another key serves nothing and asks no KMS', async () => {
    const { repository, job } = signed.get('aws') as Signed;
    const store = await storeFor('aws', 'other-signer');
    const environment = { ...job, ...store.environment };
    await succeed(
      clef(repository, environment, ['pack', 'api-gateway', 'production', '--to', store.address]),
    );
    const role = await aws.roleFor('api-gateway', 'trusts-another');
    const variables = { ...(await aws.machine(role)), ...store.environment };
    const agent = await aws.startAgent({ source: store.address, variables });
    await eventually(agent.refusals, (refusals) => refusals.length > 0);
    expect(agent.refusals()).toEqual(['signature']);
    expect(aws.callsOf(role, 'aws.Decrypt')).toEqual([]);
    expect(await leaksIn(agent, aws, [(await agent.ask('/v1/secrets')).text])).toEqual([]);
  });
});

describe.runIf(hasPeer('aws'))('KMS and store both on moto', () => {
  let repository: string;
  let sealingKey: string;
  let services: Environment;
  beforeAll(async () => {
    services = { AWS_ENDPOINT_URL_KMS: moto.url, AWS_ENDPOINT_URL_S3: moto.url };
    const environment = { PATH: process.env['PATH'], ...moto.variables('KMS'), AWS_REGION: region };
    const makeKey = async (): Promise<string> => {
      const args = ['kms', 'create-key', '--region', region, '--output', 'json'];
      return JSON.parse(await succeed(run('aws', args, { cwd: aws.folder, environment }))).KeyMetadata.Arn;
    };
    const cellKey = await makeKey();
    sealingKey = await makeKey();
    repository = await aws.copyOfRepository();
    const file = join(repository, 'clef.yaml');
    const manifest = (await readFile(file, 'utf8'))
      .replaceAll(bare(aws.cellKey), cellKey)
      .replaceAll(bare(aws.sealingKey), sealingKey);
    await writeFile(file, manifest);
    await git(repository, aws.alice, 'rm', '--quiet', '-r', 'secrets/database', 'secrets/mail');
    const writer = { ...aws.ci, ...environment };
    await succeed(clef(repository, writer, ['set', 'database/production', 'DB_URL', '--yes'], productionUrl));
    await git(repository, aws.alice, 'add', '--all');
    await git(repository, aws.alice, 'commit', '--quiet', '--message', 'Moved');
  });

  it.each(['ec2', 'ecs', 'eks', 'eks-pod'] as const)(
    '%s: packed, published, read and opened with the credentials of machines',
    async (kind) => {
      const source = `s3://${Bucket}/moto-${kind}.json?region=${region}`;
      const job = { ...aws.ci, ...(await aws.machine('ci-runner', kind)), ...services };
      await succeed(clef(repository, job, ['pack', 'api-gateway', 'production', '--to', source]));
      const machine = await aws.machine(await aws.roleFor('api-gateway', `moto-${kind}`), kind);
      const variables = { ...machine, ...services, CLEF_AGENT_KMS_KEY: `awskms:///${sealingKey}` };
      const agent = await aws.startAgent({ source, variables });
      await agent.child.waitForLine(/"event":"ready"/, 60);
      expect((await agent.ask('/v1/secrets')).text).toBe(JSON.stringify({ DB_URL: productionUrl }));
      expect(await leaksIn(agent, aws, [])).toEqual([]);
      expect(await agent.end()).toBe(0);
    },
  );
});

describe.runIf(hasPeer('strace'))('a foreign key in an artifact', () => {
  /** How often a process, or one of its children, connects to anything but a socket file. */
  const connections = (trace: string): number =>
    trace.match(/connect\(\d+, \{sa_family=AF_INET6?,/g)?.length ?? 0;

  it('INV-55: causes no connection at all, to a KMS or to a metadata service; the pinned one does', async () => {
    const folder = await aws.newFolder();
    const role = await aws.roleFor('api-gateway', 'under-strace');
    const machine = await aws.machine(role);
    const connectionsOn = async (name: string, artifact: Uint8Array, pattern: RegExp): Promise<number> => {
      const [source, trace] = [join(folder, `${name}.json`), join(folder, `${name}.trace`)];
      await deploy(source, artifact);
      const child = await startChild({
        command: findPeer('strace') ?? 'strace',
        args: ['-D', '-f', '-qq', '-e', 'trace=connect', '-o', trace, process.execPath, clefScript, 'agent'],
        environment: {
          ...aws.pinned,
          ...machine,
          CLEF_AGENT_SOURCE: source,
          CLEF_AGENT_LISTEN: `127.0.0.1:${await freePort()}`,
          CLEF_AGENT_TOKEN_FILE: join(folder, `${name}.token`),
          CLEF_AGENT_STATE_DIR: 'none',
          CLEF_AGENT_POLL: '1s',
        },
        cwd: folder,
      });
      await child.waitForLine(pattern, 60);
      await pause(3_000);
      child.kill('SIGTERM');
      await child.exited;
      return connections(await readFile(trace, 'utf8'));
    };
    expect(await connectionsOn('pinned', await aws.pack('api-gateway'), /"event":"ready"/)).toBeGreaterThan(
      0,
    );
    const foreign = await sealedTo((await aws.emulator.createKey()).reference);
    expect(await connectionsOn('foreign', foreign, /"reason":"key_not_pinned"/)).toBe(0);
  });

  /** As `pack` seals, and with the signature that is trusted, but to any key. */
  async function sealedTo(key: string): Promise<Uint8Array> {
    const now = Date.now();
    return sealArtifact({
      header: {
        version: 1,
        repository: aws.pinned['CLEF_AGENT_REPOSITORY'] ?? '',
        identity: 'api-gateway',
        environment: 'production',
        revision: now,
        packedAt: formatTimestamp(now),
        expiresAt: formatTimestamp(now + 3_600_000),
      },
      secrets: new Map([['DB_URL', productionUrl]]),
      sealingKey: parseKeyReference(key),
      kms: openKms({ environment: administrator(aws) }),
      signer: aws.signer,
    });
  }
});

describe('from git push to the new value in the app', () => {
  const pushes = 5;
  const pollSeconds = 1;

  /** What the host of the repository runs: check out what was pushed, and pack it. Each step with its time. */
  const hook = (node: string, store: string): string => `#!/bin/sh
set -eu
now() { date +%s%3N; }
began=$(now)
rm -rf "$CI_FOLDER" && unset GIT_DIR
git clone --quiet --depth 1 "file://$CI_ORIGIN" "$CI_FOLDER"
cloned=$(now)
cd "$CI_FOLDER"
${node} ${clefScript} pack api-gateway production --to '${store}' >&2
echo "$began $cloned $(now)" >"$CI_TIMES"
`;

  /** An application: prints the value whenever it is another, with the time. */
  const app = `import { get } from '@clef/client';
    for (let last; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const value = await get('DB_URL');
      if (value !== last) console.log(Date.now() + ' ' + (last = value));
    }`;

  it('is measured step by step, and takes a few seconds at most', async () => {
    const { repository, pinned, job } = signed.get('aws') as Signed;
    const folder = await aws.newFolder();
    const [origin, times, work] = ['origin.git', 'times', 'work'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const store = await storeFor('aws', 'pushed');
    await git(folder, aws.alice, 'clone', '--quiet', '--bare', repository, origin);
    await git(folder, aws.alice, 'clone', '--quiet', origin, work);
    for (const [name, value] of [
      ['user.name', 'Alice'],
      ['user.email', 'alice@example.com'],
    ] as const)
      await git(work, aws.alice, 'config', name, value);
    await writeFile(join(origin, 'hooks/post-receive'), hook(process.execPath, store.address), {
      mode: 0o755,
    });
    const ci = { CI_FOLDER: join(folder, 'checkout'), CI_ORIGIN: origin, CI_TIMES: times };
    const server = { ...job, ...store.environment, ...ci };
    const writer = { ...aws.alice, ...(await aws.machine('writer')) };

    const change = async (value: string): Promise<void> => {
      await succeed(clef(work, writer, ['set', 'database/production', 'DB_URL', '--yes'], value));
      await git(work, aws.alice, 'commit', '--quiet', '--all', '--message', 'A change');
    };
    const push = async (): Promise<number> => {
      const startedAt = Date.now();
      await git(work, server, 'push', '--quiet', 'origin', 'HEAD');
      return startedAt;
    };
    await change('value 0');
    await push();
    const role = await aws.roleFor('api-gateway', 'pushed-to');
    const agent = await aws.startAgent({
      source: store.address,
      variables: {
        ...pinned,
        ...(await aws.machine(role)),
        ...store.environment,
        CLEF_AGENT_POLL: `${pollSeconds}s`,
      },
    });
    await agent.child.waitForLine(/"event":"ready"/, 30);
    await installClient(folder);
    await writeFile(join(folder, 'app.mjs'), app);
    const running = await startChild({
      command: process.execPath,
      args: ['app.mjs'],
      cwd: folder,
      environment: {
        CLEF_AGENT_URL: `http://127.0.0.1:${agent.port}`,
        CLEF_AGENT_TOKEN_FILE: agent.tokenFile,
      },
    });
    const rows: number[][] = [];
    try {
      for (let count = 1; count <= pushes; count++) {
        await change(`value ${count}`);
        const pushedAt = await push();
        const seen = await eventually(
          () =>
            new RegExp(`^(\\d+) value ${count}$`, 'm').exec(Buffer.from(running.stdout()).toString())?.[1],
          (found) => found !== undefined,
        );
        const [began = 0, cloned = 0, packed = 0] = (await readFile(times, 'utf8')).split(' ').map(Number);
        const openedAt = aws.callsOf(role, 'aws.Decrypt').at(-1)?.at ?? 0;
        const steps = [pushedAt, began, cloned, packed, openedAt, Number(seen)];
        rows.push([
          ...steps.slice(1).map((at, index) => at - (steps[index] as number)),
          Number(seen) - pushedAt,
        ]);
      }
    } finally {
      running.kill('SIGKILL');
      await running.exited;
    }
    const names = [
      'push',
      'checkout',
      'pack and publish',
      'poll, fetch and unwrap',
      'swap and the app',
      'in all',
    ];
    const medians = names.map((_, column) => median(rows.map((row) => row[column] as number)));
    const words = names.map((name, column) => `${name} ${medians[column]?.toFixed(0)} ms`);
    process.stdout.write(
      `git push to app, medians of ${pushes}, poll ${pollSeconds} s: ${words.join(', ')}\n`,
    );
    expect(medians.at(-1)).toBeLessThan(10_000);
    expect(agent.refusals()).toEqual([]);
  });
});

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
