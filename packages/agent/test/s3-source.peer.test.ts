// An artifact in S3 as moto implements it: an independent server. It must be installed: pip install 'moto[server]'.
// (A child process is started here directly, as a server has to be stopped again; only tests may.)
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import { createS3Source } from '../src/sources/s3.ts';
import { maxArtifactBytes, type Source, type Validator } from '../src/sources/source.ts';
import { type Stage, setStage } from './stage.ts';

const region = 'eu-central-1';
const Bucket = 'artifacts';
const Key = 'web/production.json';

describe.runIf(hasPeer('moto_server'))('moto', () => {
  let moto: ChildProcess;
  let admin: S3Client;
  let variables: Record<string, string>;

  beforeAll(async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    moto = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
    await untilReady(url);
    variables = {
      AWS_ENDPOINT_URL_S3: url,
      AWS_ACCESS_KEY_ID: 'testing',
      AWS_SECRET_ACCESS_KEY: 'testing',
    };
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    admin = new S3Client({ region, endpoint: url, forcePathStyle: true });
    const LocationConstraint = region;
    await admin.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint } }));
  }, 60_000);
  afterAll(() => {
    vi.unstubAllEnvs();
    admin.destroy();
    moto.kill();
  });

  const put = (Body: Uint8Array | string) => admin.send(new PutObjectCommand({ Bucket, Key, Body }));
  const source = (key = Key): Source =>
    createS3Source({ bucket: Bucket, key, region }, variables, () => Date.now());
  const fetchFrom = (from: Source, validator?: Validator) =>
    from.fetch(validator, new AbortController().signal);

  test('F63: the object, unchanged, and changed', async () => {
    await put('{"a":1}');
    const s3 = source();
    const first = await fetchFrom(s3);
    expect(first).toMatchObject({ kind: 'artifact', bytes: new TextEncoder().encode('{"a":1}') });
    const { validator } = first as { validator: Validator };
    expect(await fetchFrom(s3, validator)).toEqual({ kind: 'unchanged' });
    await put('{"a":2}');
    expect(await fetchFrom(s3, validator)).toMatchObject({ bytes: new TextEncoder().encode('{"a":2}') });
  });

  test('F44, K06: what is not there, and what was deleted in a bucket with versions, is not found', async () => {
    await expect(fetchFrom(source('none'))).rejects.toMatchObject({ code: 'not_found' });
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await admin.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    await put('{"a":3}');
    await admin.send(new DeleteObjectCommand({ Bucket, Key }));
    await expect(fetchFrom(source())).rejects.toMatchObject({ code: 'not_found' });
  });

  test('INV-57: more than 1 MiB is refused', async () => {
    await put(new Uint8Array(maxArtifactBytes + 1).fill(0x20));
    await expect(fetchFrom(source())).rejects.toMatchObject({ code: 'too_large' });
  });

  test('an agent with nothing but an address follows the bucket', async () => {
    const stage: Stage = await setStage();
    try {
      const sealed = (value: string) => stage.pack({ seal: stage.ageRecipient, secrets: { A: value } });
      await put(await sealed('one'));
      const agent = await stage.spawn({
        ...variables,
        CLEF_AGENT_SOURCE: `s3://${Bucket}/${Key}?region=${region}`,
        CLEF_AGENT_KMS_KEY: undefined,
        CLEF_AGENT_AGE_KEY_FILE: `${stage.folder}/key.txt`,
      });
      await agent.waitForLine(/"event":"ready"/, 30);
      expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"one"}');
      await put(await sealed('two'));
      await stage.until('/v1/secrets', ({ text }) => text === '{"A":"two"}');
      expect(new TextDecoder().decode(agent.stderr())).not.toMatch(/artifacts|web\/production|testing/);
    } finally {
      await stage.close();
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilReady(url: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const isUp = await fetch(`${url}/moto-api/`).then(
      () => true,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('moto_server does not answer');
}
