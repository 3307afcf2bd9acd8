// `clef demo`: the whole story on real parts, offline, in a folder that is gone afterwards.
import { mkdir } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { type Emulator, emulatorVariables, startEmulator } from '@clef/emulator';
import type { CommandContext, CommandInput } from '../command.ts';
import { type Environment, Stage } from '../demo/stage.ts';

const agentPort = 7779;

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal } = context;
  const stage = await Stage.open(terminal, context.program);
  const emulator = await startEmulator({ now: world.now, randomBytes: world.randomBytes });
  const startedAt = world.now();
  try {
    await play(stage, emulator, world.environment);
    await stage.tell('');
    await stage.tell(
      `Done in ${((world.now() - startedAt) / 1000).toFixed(1)} s, offline; ${input.has('--keep') ? `the folder is ${stage.folder}` : 'nothing is left behind'}.`,
    );
  } finally {
    await stage.close(input.has('--keep'));
    await emulator.stop();
  }
  return 0;
}

async function play(stage: Stage, emulator: Emulator, outer: Environment): Promise<void> {
  await mkdir(stage.path('app'));
  await mkdir(stage.path('home'));
  const alice: Environment = {
    PATH: outer['PATH'],
    HOME: stage.path('home'),
    CLEF_KEYCHAIN: 'off',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Alice',
    GIT_AUTHOR_EMAIL: 'alice@example.com',
    GIT_COMMITTER_NAME: 'Alice',
    GIT_COMMITTER_EMAIL: 'alice@example.com',
  };
  await develop(stage, alice);
  const sealingKey = await moveProductionToKms(stage, emulator, alice);
  await packInCi(stage, emulator, alice, sealingKey);
  await serveInProduction(stage, emulator, alice, sealingKey);
}

async function develop(stage: Stage, alice: Environment): Promise<void> {
  await stage.chapter('A developer starts: a git repository, a secret, a program');
  await stage.run(['git', 'init', '--quiet', '.'], { environment: alice });
  await stage.run(['git', 'config', 'user.name', 'Alice'], { environment: alice, quiet: true });
  await stage.write('server.js', "console.log('connecting to', process.env.DB_URL);\n");
  await stage.run(['clef', 'init'], { environment: alice });
  await stage.run(['clef', 'set', 'database/development', 'DB_URL', 'postgres://localhost:5432/myapp'], {
    environment: alice,
  });
  await stage.run(['clef', 'exec', 'database/development', '--', 'node', 'server.js'], {
    environment: alice,
  });
  await stage.tell('In git, the name is readable and the value is not:');
  const cell = await stage.read('secrets/database/development.enc.yaml');
  await stage.show([`${cell.split('\n')[0]?.slice(0, 96)}…`]);
}

/** Production is encrypted to KMS and to nobody's age key. Returns the key that artifacts are sealed to. */
async function moveProductionToKms(stage: Stage, emulator: Emulator, alice: Environment): Promise<string> {
  await stage.chapter('Production moves to a KMS key (here an emulated one, over the real AWS protocol)');
  const sealing = await emulator.createKey();
  await stage.tell('In clef.yaml, production gets encrypt_to, and the rule for people stops before it:');
  const manifest = await stage.read('clef.yaml');
  const changed = manifest
    .replace(
      '    protected: true # writing asks first',
      `    protected: true # writing asks first\n    encrypt_to: ${emulator.awsKey.reference}`,
    )
    .replace('environments: ["*"]', 'environments: [development, staging]');
  await stage.write('clef.yaml', changed);
  await stage.show(
    changed.split('\n').filter((line) => line.includes('encrypt_to') || line.includes('environments: [')),
  );
  await stage.run(['clef', 'set', 'database/production', 'DB_URL', '--yes'], {
    environment: { ...alice, ...emulatorVariables(emulator) },
    input: 'postgres://db.internal:5432/myapp',
    shown: "printf 'postgres://db.internal:5432/myapp' | clef set database/production DB_URL --yes",
  });
  await stage.tell('Without a role that the KMS key allows, her own key opens nothing there:');
  await stage.run(['clef', 'get', 'database/production', 'DB_URL'], {
    environment: { ...alice, ...noCloud(emulator) },
    expected: 10,
  });
  return sealing.reference;
}

/** A person who is logged in to no cloud: the endpoint is known, no credential is to be found. */
function noCloud(emulator: Emulator): Environment {
  return {
    AWS_ENDPOINT_URL_KMS: emulator.url,
    AWS_REGION: emulator.region,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

async function packInCi(
  stage: Stage,
  emulator: Emulator,
  alice: Environment,
  sealingKey: string,
): Promise<void> {
  await stage.chapter('A service identity, and CI packs for it with its own role');
  await stage.run(
    [
      'clef',
      'service',
      'create',
      'api-gateway',
      '--namespaces',
      'database',
      '--seal',
      `production=${sealingKey}`,
    ],
    {
      environment: alice,
    },
  );
  await stage.run(['git', 'add', '--all'], { environment: alice });
  await stage.run(['git', 'commit', '--quiet', '--message', 'Secrets of the database'], {
    environment: alice,
  });
  await emulator.createRole('ci-runner');
  await emulator.allowRole({ role: 'ci-runner', key: emulator.awsKey.arn, may: 'decrypt' });
  await emulator.allowRole({ role: 'ci-runner', key: sealingKey.replace('awskms:///', ''), may: 'encrypt' });
  const job = await emulator.instance('ci-runner', 'ecs');
  await stage.tell('The job has no stored credential: the platform gives it the role "ci-runner".');
  await stage.run(['clef', 'pack', 'api-gateway', 'production', '--to', '../api-gateway.json'], {
    environment: { ...alice, ...job.variables },
  });
}

async function serveInProduction(
  stage: Stage,
  emulator: Emulator,
  alice: Environment,
  sealingKey: string,
): Promise<void> {
  await stage.chapter('Production: an agent with nothing but the role of its machine');
  await emulator.createRole('api-gateway');
  await emulator.allowRole({
    role: 'api-gateway',
    key: sealingKey.replace('awskms:///', ''),
    may: 'decrypt',
    context: { 'clef:identity': 'api-gateway', 'clef:environment': 'production' },
  });
  const machine = await emulator.instance('api-gateway', 'ec2');
  const pinned = await stage.run(['clef', 'service', 'show', 'api-gateway', 'production', '--agent-env'], {
    environment: alice,
  });
  const port = await firstFreePort(agentPort);
  const tokenFile = stage.path('token');
  await stage.tell(
    'The agent gets an empty environment but for these, where its artifact is, and where its machine is:',
  );
  const agent = await stage.start(
    ['agent'],
    {
      ...machine.variables,
      ...variablesOf(pinned),
      CLEF_AGENT_SOURCE: stage.path('api-gateway.json'),
      CLEF_AGENT_TOKEN_FILE: tokenFile,
      CLEF_AGENT_STATE_DIR: stage.path('state'),
      CLEF_AGENT_LISTEN: `127.0.0.1:${port}`,
      CLEF_AGENT_REAUTHORIZE: '2s',
    },
    'env -i … clef agent',
  );
  await stage.show([await agent.waitForLine(/"event":"ready"/, 20)]);
  await stage.write('app.mjs', appSource(port, tokenFile));
  await stage.tell('And the program beside it, as in the article:');
  await stage.show(appSource(port, 'TOKEN_FILE').split('\n').slice(1));
  const app = { environment: { PATH: alice['PATH'] } };
  await stage.run(['node', 'app.mjs'], app);

  await stage.chapter('The role is revoked: the next unwrap is refused');
  await emulator.revokeRole('api-gateway');
  await stage.show([await agent.waitForLine(/"event":"denied"/, 20)]);
  await stage.tell('The agent asked KMS again, was denied, and forgot what it had:');
  await stage.run(['node', 'app.mjs'], app);
}

/** NAME=VALUE lines, as `--agent-env` prints them. */
function variablesOf(text: string): Environment {
  const lines = text.split('\n').filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

function appSource(port: number, tokenFile: string): string {
  return `import { readFile } from 'node:fs/promises';
const token = (await readFile('${tokenFile}', 'utf8')).trim();
const response = await fetch('http://127.0.0.1:${port}/v1/secrets', {
  headers: { Authorization: \`Bearer \${token}\` },
});
console.log(response.status, await response.json());
`;
}

/** The port of the article, or any other where it is taken. */
async function firstFreePort(wanted: number): Promise<number> {
  return (await canListen(wanted)) ?? (await canListen(0)) ?? wanted;
}

function canListen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const { port: bound } = server.address() as AddressInfo;
      server.close(() => resolve(bound));
    });
  });
}
