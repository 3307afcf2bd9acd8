// Object stores with the clouds' own programs on the other side: what `clef pack --to` publishes is read by `gcloud storage`
// and `aws s3`, what they upload is accepted by the agent, and either side sees what the other wrote.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, sandboxWith } from '../packages/cli/test/run-clef.ts';
import { fakeStore } from './fakes/object-stores.ts';
import { repositoryRoot } from './import-graph.ts';
import { type Moto, startMoto } from './moto.ts';
import { hasPeer, type PeerRun, runPeer } from './peers.ts';

type Environment = Readonly<Record<string, string>>;

/** A place, and how its cloud's program is run. */
type Place = {
  readonly address: string;
  readonly environment: Environment;
  readonly upload: (file: string, ...conditions: readonly string[]) => Promise<PeerRun>;
  /** To a file. */
  readonly download: (file: string) => Promise<PeerRun>;
};

const canary = 'postgres://canary-value';
const agent = join(repositoryRoot, 'packages/agent/bin/clef-agent.js');
let box: Sandbox;
let settings: Environment;
beforeAll(async () => {
  box = await sandboxWith({ DB_URL: canary });
  const identity = await generateIdentity();
  writeFileSync(join(box.folder, 'key.txt'), `${identity}\n`, { mode: 0o600 });
  const recipient = await identityToRecipient(identity);
  const made = ['service', 'create', 'api', '--namespaces', 'database', '--seal', `development=${recipient}`];
  expect((await box.clef(made)).exitCode).toBe(0);
  const { stdout } = await box.clef(['service', 'show', 'api', 'development', '--agent-env']);
  const lines = stdout
    .trim()
    .split('\n')
    .filter((line) => line.startsWith('CLEF_AGENT_'));
  settings = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
});

const pack = (place: Place): ReturnType<Sandbox['clef']> =>
  box.clef(['pack', 'api', 'development', '--to', place.address], { environment: place.environment });

/** The verdict of an agent that has the place as its source. */
async function check(place: Place): Promise<object> {
  const environment = {
    ...settings,
    ...place.environment,
    CLEF_AGENT_SOURCE: place.address,
    CLEF_AGENT_AGE_KEY_FILE: join(box.folder, 'key.txt'),
    CLEF_AGENT_TOKEN_FILE: join(box.folder, 'token'),
    CLEF_AGENT_STATE_DIR: 'none',
  };
  const { stdout, stderr } = await runPeer('node', [agent, '--check'], { cwd: box.folder, environment });
  expect(`${stdout}${stderr}`).not.toMatch(/canary|web\/production/);
  return JSON.parse(stdout) as object;
}

/** Both directions. The bytes are the same ones on either side. */
async function exchange(place: Place): Promise<void> {
  expect(await pack(place)).toMatchObject({ exitCode: 0 });
  expect(await place.download('downloaded.json')).toMatchObject({ exitCode: 0 });
  const verified = await box.clef([
    'artifact',
    'verify',
    'downloaded.json',
    '--service',
    'api',
    '--environment',
    'development',
  ]);
  expect(verified.stdout).toMatch(/^good: api\/development, revision \d+/);
  expect(await check(place)).toMatchObject({ ok: true, keys: 1 });

  box.write('page.json', '{"somebody":"else"}');
  expect(await place.upload('page.json')).toMatchObject({ exitCode: 0 });
  expect(await check(place)).toMatchObject({ ok: false, reason: 'format' });
  expect((await pack(place)).exitCode, 'what is no artifact is not replaced').toBe(9);
  expect(await place.upload('downloaded.json')).toMatchObject({ exitCode: 0 });
  expect(await check(place)).toMatchObject({ ok: true, keys: 1 });
  expect(await pack(place), 'replaces what the program uploaded').toMatchObject({ exitCode: 0 });
}

describe.runIf(hasPeer('gcloud'))('gcloud storage', () => {
  it('INV-44: reads what is packed to gs://, and writes what pack and agent read; generations are one order', async () => {
    const store = await fakeStore('gs');
    box.write('gcloud-token', 'test-token');
    const environment = {
      CLOUDSDK_CONFIG: join(box.folder, 'gcloud'),
      CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
      CLOUDSDK_CORE_PROJECT: 'example',
      CLOUDSDK_STORAGE_CHECK_HASHES: 'always',
      CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(box.folder, 'gcloud-token'),
      CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${store.url}/`,
    };
    const gcloud = (...args: readonly string[]): Promise<PeerRun> =>
      runPeer('gcloud', ['storage', ...args], { cwd: box.folder, environment });
    const { address } = store;
    const place: Place = {
      address,
      environment: store.environment,
      upload: (file, ...conditions) => gcloud('cp', ...conditions, file, address),
      download: (file) => gcloud('cp', address, file),
    };
    await exchange(place);
    const late = await place.upload('downloaded.json', '--if-generation-match=1');
    expect([late.exitCode, late.stderr]).toEqual([1, expect.stringMatching(/412|condition/i)]);
  });
});

describe.runIf(hasPeer('moto_server') && hasPeer('aws'))('aws s3', () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
    const credentials = { accessKeyId: 'testing', secretAccessKey: 'testing' };
    const admin = new S3Client({
      region: 'eu-west-1',
      endpoint: moto.url,
      forcePathStyle: true,
      credentials,
    });
    const CreateBucketConfiguration = { LocationConstraint: 'eu-west-1' } as const;
    await admin.send(new CreateBucketCommand({ Bucket: 'artifacts', CreateBucketConfiguration }));
    admin.destroy();
  });
  afterAll(() => moto?.close());

  it('INV-44: reads what is packed to s3://, and writes what pack and agent read', async () => {
    const address = 's3://artifacts/web/production.json';
    const variables = moto.variables('S3');
    const environment = { ...variables, AWS_REGION: 'eu-west-1', AWS_CONFIG_FILE: join(box.folder, 'aws') };
    const aws = (...args: readonly string[]): Promise<PeerRun> =>
      runPeer('aws', ['s3', 'cp', ...args], { cwd: box.folder, environment });
    await exchange({
      address: `${address}?region=eu-west-1`,
      environment: variables,
      upload: (file) => aws(file, address),
      download: (file) => aws(address, file),
    });
  });
});
