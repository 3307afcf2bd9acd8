// A whole company on one machine: a repository whose production is on KMS keys, emulated clouds with a role for each part,
// CI that packs, machines that serve. Every step is the `clef` command as it is installed, in a process of its own with
// exactly the environment that is given; everything lies in one folder and ends with `close`.
import { randomBytes, randomInt } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEd25519Signer, generateEd25519KeyPair, type Signer } from '@clef/artifact';
import {
  type Emulator,
  emulatorVariables,
  type InstanceKind,
  type RecordedCall,
  startEmulator,
} from '@clef/emulator';
import { type ChildHandle, runChild, startChild } from '@clef/host';
import { build as bundle } from 'esbuild';

export type Environment = Readonly<Record<string, string | undefined>>;
export type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };
export type CloudName = 'aws' | 'gcp';

/** The installed command. */
const clefScript = fileURLToPath(new URL('../packages/cli/bin/clef.js', import.meta.url));
/** The value of DB_URL in production. */
export const productionUrl = 'postgres://db.internal:5432/canary-of-production';
/** What a person's shell has. No cloud credential, no key. */
const path = process.env['PATH'];

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks again, for half a minute, until what is wanted has come. */
export async function eventually<T>(look: () => Promise<T> | T, isWanted: (found: T) => boolean): Promise<T> {
  const giveUpAt = performance.now() + 20_000;
  for (;;) {
    const found = await look();
    if (isWanted(found)) return found;
    if (performance.now() > giveUpAt) throw new Error(`gave up; the last was ${JSON.stringify(found)}`);
    await pause(25);
  }
}

/** A free port below those that the system gives to outgoing connections, which could take it again at once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_240, 32_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}

/** Runs a program with exactly this environment, to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly environment: Environment; readonly input?: string },
): Promise<Ran> {
  const { cwd, environment, input } = options;
  const result = await runChild({
    command,
    args,
    cwd,
    environment,
    stdio: 'capture',
    ...(input !== undefined && { input: new TextEncoder().encode(input) }),
    timeoutSeconds: 90,
  });
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  return { exitCode: result.exitCode, stdout: text(result.stdout), stderr: text(result.stderr) };
}

/** `clef` with exactly this environment, in this folder. */
export function clef(
  cwd: string,
  environment: Environment,
  args: readonly string[],
  input?: string,
): Promise<Ran> {
  return run(process.execPath, [clefScript, ...args], {
    cwd,
    environment,
    ...(input !== undefined && { input }),
  });
}

/** Starts `clef` and ends it by force, or finds it at its end already. */
export async function clefKilledAfter(
  milliseconds: number,
  cwd: string,
  environment: Environment,
  args: readonly string[],
): Promise<void> {
  const child = await startChild({
    command: process.execPath,
    args: [clefScript, ...args],
    environment,
    cwd,
  });
  await Promise.race([pause(milliseconds), child.exited]);
  child.kill('SIGKILL');
  await child.exited;
}

/** A command that has to succeed; returns what it printed. */
export async function succeed(ran: Promise<Ran>): Promise<string> {
  const { exitCode, stdout, stderr } = await ran;
  if (exitCode !== 0) throw new Error(`ended with ${exitCode}: ${stderr}${stdout}`);
  return stdout;
}

/** Puts bytes where they are read, in one step, as a deployment does. */
export async function deploy(file: string, bytes: Uint8Array | string): Promise<void> {
  await writeFile(`${file}.new`, bytes);
  await rename(`${file}.new`, file);
}

export type Agent = {
  readonly child: ChildHandle;
  readonly folder: string;
  readonly port: number;
  /** The file that is its source, unless that was changed. */
  readonly source: string;
  readonly tokenFile: string;
  /** Its log so far, line by line. */
  log(): readonly { readonly event: string; readonly reason?: string; readonly revision?: number }[];
  /** The reason of each `refused` line so far, but for a metadata service that a busy machine made too slow. */
  refusals(): readonly string[];
  ask(path: string): Promise<{ readonly status: number; readonly text: string; readonly code?: string }>;
  /** SIGTERM, or another signal, and the end. */
  end(signal?: NodeJS.Signals): Promise<number>;
};

export type AgentRequest = {
  readonly source: string;
  /** Of the machine, and whatever else is to differ. */
  readonly variables: Environment;
  /** The folder for token and state; a new one by default. */
  readonly folder?: string;
};

export type TimedCall = RecordedCall & { readonly at: number };

export type Scene = {
  readonly cloud: CloudName;
  readonly folder: string;
  readonly emulator: Emulator;
  /** Every call to the emulated clouds, in the order in which they ended; `at` is the machine's clock in milliseconds. */
  readonly calls: readonly TimedCall[];
  /** The repository, committed and clean. */
  readonly repository: string;
  /** What CLEF_AGENT_* `clef service show api-gateway production --agent-env` prints. */
  readonly pinned: Environment;
  readonly cellKey: string;
  /** api-gateway's, and on AWS sister's as well. */
  readonly sealingKey: string;
  readonly signer: Signer;
  readonly signingKeyFile: string;
  /** A developer: a home with an age key, no cloud. */
  readonly alice: Environment;
  /** CI: a home with nothing in it, a signing key, no cloud. */
  readonly ci: Environment;
  newFolder(): Promise<string>;
  /** A machine's whole environment; each call is another machine. */
  machine(role: string, kind?: InstanceKind): Promise<Environment>;
  /** A new role that may open what is sealed for this identity. */
  roleFor(identity: 'api-gateway' | 'sister', name: string): Promise<string>;
  /** The calls of one role. */
  callsOf(role: string, operation: string): readonly TimedCall[];
  /** Packs with the role of CI and returns the artifact. */
  pack(service: string, ...options: readonly string[]): Promise<Uint8Array>;
  copyOfRepository(): Promise<string>;
  startAgent(request: AgentRequest): Promise<Agent>;
  close(): Promise<void>;
};

/** The kind of machine of each cloud that most of the tests run on. */
const usualMachine = { aws: 'ec2', gcp: 'gce' } as const;

/** Sets the scene in one cloud: production written by a role, two services, everything committed. */
export async function setScene(cloud: CloudName): Promise<Scene> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'clef-main-job-')));
  const calls: TimedCall[] = [];
  const emulator = await startEmulator({
    now: Date.now,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    onCall: (call) => void calls.push({ ...call, at: Date.now() }),
  });
  try {
    return await build(cloud, { folder, emulator, calls });
  } catch (error) {
    await emulator.stop();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** A scene in each cloud. */
export async function setScenes(): Promise<{ readonly aws: Scene; readonly gcp: Scene }> {
  const [aws, gcp] = await Promise.allSettled([setScene('aws'), setScene('gcp')]);
  if (aws.status === 'fulfilled' && gcp.status === 'fulfilled') return { aws: aws.value, gcp: gcp.value };
  for (const one of [aws, gcp]) if (one.status === 'fulfilled') await one.value.close();
  throw [aws, gcp].find((one) => one.status === 'rejected')?.reason;
}

async function build(cloud: CloudName, ground: Pick<Scene, 'folder' | 'emulator' | 'calls'>): Promise<Scene> {
  const { folder, emulator, calls } = ground;
  const children: ChildHandle[] = [];
  let folders = 0;
  const newFolder = async (): Promise<string> => {
    const made = join(folder, `room-${folders++}`);
    await mkdir(made);
    return made;
  };
  const keys = await makeKeys(cloud, emulator);
  const places = await furnish(folder);
  const { repository, alice, ci } = places;
  const sealed = cloud === 'aws' ? [keys.seal, keys.seal] : [keys.seal, keys.sisterSeal];

  const machine = async (role: string, kind: InstanceKind = usualMachine[cloud]): Promise<Environment> =>
    (await emulator.instance(role, kind)).variables;
  const roleFor = async (identity: 'api-gateway' | 'sister', name: string): Promise<string> => {
    await emulator.createRole(name);
    const key = (identity === 'sister' ? sealed[1] : sealed[0]) as string;
    const context = { 'clef:identity': identity, 'clef:environment': 'production' };
    const grant = { role: name, key: bare(key), may: 'decrypt' } as const;
    await emulator.allowRole(cloud === 'aws' ? { ...grant, context } : grant);
    return name;
  };

  await emulator.createRole('writer');
  await emulator.allowRole({ role: 'writer', key: bare(keys.cell), may: 'both' });
  await emulator.createRole('ci-runner');
  await emulator.allowRole({ role: 'ci-runner', key: bare(keys.cell), may: 'decrypt' });
  for (const key of new Set(sealed))
    await emulator.allowRole({ role: 'ci-runner', key: bare(key as string), may: 'encrypt' });
  await roleFor('api-gateway', 'api-gateway');
  await roleFor('sister', 'sister-service');

  await startRepository(places, keys.cell);
  const writer = { ...places.nobody, ...(await machine('writer')) };
  await succeed(clef(repository, writer, ['set', 'database/production', 'DB_URL', '--yes'], productionUrl));
  await succeed(clef(repository, writer, ['set', 'mail/production', 'SMTP_KEY', '--yes'], 'of the sister'));
  await createServices(places, sealed as [string, string]);
  // Nobody works in this one, so that it can be copied at any moment.
  const pristine = join(folder, 'pristine');
  await cp(repository, pristine, { recursive: true });
  const shown = clef(repository, alice, ['service', 'show', 'api-gateway', 'production', '--agent-env']);
  const pinned = variablesOf(await succeed(shown));
  const job = { ...ci, ...(await machine('ci-runner')) };

  return {
    cloud,
    ...ground,
    repository,
    pinned,
    cellKey: keys.cell,
    sealingKey: keys.seal,
    signer: places.signer,
    signingKeyFile: places.signingKeyFile,
    alice,
    ci,
    newFolder,
    machine,
    roleFor,
    callsOf: (role, operation) =>
      calls.filter(
        ({ principal, operation: found }) =>
          found === operation && (principal.includes(`/${role}/`) || principal.startsWith(`${role}@`)),
      ),
    pack: async (service, ...options) => {
      const file = join(await newFolder(), 'artifact.json');
      await succeed(clef(repository, job, ['pack', service, 'production', '--to', file, ...options]));
      return new Uint8Array(await readFile(file));
    },
    copyOfRepository: async () => {
      const copy = join(await newFolder(), 'repository');
      await cp(pristine, copy, { recursive: true });
      return copy;
    },
    startAgent: async (wanted) => {
      const agent = await startAgent(wanted.folder ?? (await newFolder()), pinned, wanted);
      children.push(agent.child);
      return agent;
    },
    close: async () => {
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(children.map((child) => child.exited));
      await emulator.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** An ARN or resource name out of a key reference. */
export function bare(reference: string): string {
  return reference.replace(/^awskms:\/\/\/|^gcpkms:\/\//, '');
}

async function makeKeys(cloud: CloudName, emulator: Emulator) {
  if (cloud === 'aws') {
    const { reference } = await emulator.createKey();
    return { cell: emulator.awsKey.reference, seal: reference, sisterSeal: reference };
  }
  const named = async (name: string): Promise<string> => {
    const ring = `projects/${emulator.project}/locations/global/keyRings/clef`;
    return (await emulator.createGcpKey(`${ring}/cryptoKeys/${name}`)).reference;
  };
  const [seal, sisterSeal] = [await named('api-gateway-production'), await named('sister-production')];
  return { cell: emulator.gcpKey.reference, seal, sisterSeal };
}

type Places = {
  readonly repository: string;
  readonly alice: Environment;
  readonly ci: Environment;
  /** A home with nothing in it at all. */
  readonly nobody: Environment;
  readonly signer: Signer;
  readonly signingKeyFile: string;
};

async function furnish(folder: string): Promise<Places> {
  const home = async (name: string): Promise<Environment> => {
    await mkdir(join(folder, 'homes', name), { recursive: true });
    return { PATH: path, HOME: join(folder, 'homes', name), CLEF_KEYCHAIN: 'off', GIT_CONFIG_NOSYSTEM: '1' };
  };
  const repository = join(folder, 'repository');
  await mkdir(repository);
  const pair = generateEd25519KeyPair();
  const signingKeyFile = join(folder, 'signing-key.pem');
  await writeFile(signingKeyFile, pair.privateKeyPem, { mode: 0o600 });
  return {
    repository,
    alice: await home('alice'),
    ci: { ...(await home('ci')), CLEF_SIGNING_KEY_FILE: signingKeyFile },
    nobody: await home('nobody'),
    signer: createEd25519Signer(pair.privateKeyPem),
    signingKeyFile,
  };
}

/** `clef init` by a developer; then production goes to a KMS key, and the rule for people stops before it. */
async function startRepository({ repository, alice }: Places, cellKey: string): Promise<void> {
  await git(repository, alice, 'init', '--quiet', '.');
  for (const [name, value] of [
    ['user.name', 'Alice'],
    ['user.email', 'alice@example.com'],
  ] as const)
    await git(repository, alice, 'config', name, value);
  await succeed(clef(repository, alice, ['init']));
  const file = join(repository, 'clef.yaml');
  const manifest = (await readFile(file, 'utf8'))
    .replace('    protected: true', `    encrypt_to: ${cellKey}\n    protected: true`)
    .replace('environments: ["*"]', 'environments: [development, staging]');
  await writeFile(file, manifest);
}

async function createServices(places: Places, seal: readonly [string, string]): Promise<void> {
  const { repository, alice, signer } = places;
  const create = (name: string, namespace: string, key: string): Promise<string> =>
    succeed(
      clef(repository, alice, [
        ...['service', 'create', name, '--namespaces', namespace],
        ...['--seal', `production=${key}`, '--verify', `production=${signer.verifyKey.text}`],
      ]),
    );
  await create('api-gateway', 'database', seal[0]);
  await create('sister', 'mail', seal[1]);
  await git(repository, alice, 'add', '--all');
  await git(repository, alice, 'commit', '--quiet', '--message', 'Secrets');
}

export async function git(cwd: string, environment: Environment, ...args: readonly string[]): Promise<void> {
  await succeed(run('git', args, { cwd, environment }));
}

/** NAME=VALUE lines, as `--agent-env` prints them. */
export function variablesOf(text: string): Environment {
  const lines = text.split('\n').filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** The agent with an otherwise empty environment: no PATH, no HOME. */
async function startAgent(folder: string, pinned: Environment, wanted: AgentRequest): Promise<Agent> {
  const port = await freePort();
  const tokenFile = join(folder, 'token');
  const environment = {
    ...pinned,
    CLEF_AGENT_SOURCE: wanted.source,
    CLEF_AGENT_LISTEN: `127.0.0.1:${port}`,
    CLEF_AGENT_TOKEN_FILE: tokenFile,
    CLEF_AGENT_STATE_DIR: join(folder, 'state'),
    CLEF_AGENT_POLL: '1s',
    ...wanted.variables,
  };
  const child = await startChild({
    command: process.execPath,
    args: [clefScript, 'agent'],
    environment,
    cwd: folder,
  });
  const log: Agent['log'] = () => {
    const lines = Buffer.from(child.stderr()).toString().split('\n');
    return lines.filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line));
  };
  return {
    child,
    folder,
    port,
    source: wanted.source,
    tokenFile,
    log,
    refusals: () =>
      log()
        .filter(({ event, reason }) => event === 'refused' && reason !== 'kms_no_credentials')
        .map(({ reason }) => reason ?? ''),
    ask: async (target) => ask(port, target, (await readFile(tokenFile, 'utf8')).trim()),
    end: async (signal = 'SIGTERM') => {
      child.kill(signal);
      return (await child.exited).exitCode;
    },
  };
}

/** Installs @clef/client beside a program, as its published form: one JavaScript file. */
export async function installClient(folder: string): Promise<void> {
  const place = join(folder, 'node_modules/@clef/client');
  await mkdir(place, { recursive: true });
  await writeFile(join(place, 'package.json'), '{ "type": "module", "exports": "./index.js" }');
  await bundle({
    absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
    entryPoints: ['packages/client/src/index.ts'],
    outfile: join(place, 'index.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  });
}

/** The administrator of the emulated clouds. */
export function administrator(scene: Scene): Environment {
  return emulatorVariables(scene.emulator);
}

function ask(port: number, target: string, token: string): ReturnType<Agent['ask']> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    request({ host: '127.0.0.1', port, path: target, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const code = /"code":"([a-z_]+)"/.exec(text)?.[1];
        resolve({ status: response.statusCode ?? 0, text, ...(code !== undefined && { code }) });
      });
    })
      .on('error', reject)
      .end();
  });
}
