// An artifact in S3 as moto implements it: an independent server. It must be installed: pip install 'moto[server]'.
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Moto, startMoto } from '../../../test/moto.ts';
import { hasPeer } from '../../../test/peers.ts';
import { createS3Source } from '../src/sources/s3.ts';
import { maxArtifactBytes, type Source, type Validator } from '../src/sources/source.ts';
import { type Stage, setStage } from './stage.ts';

const region = 'eu-central-1';
const Bucket = 'artifacts';
const Key = 'web/production.json';

describe.runIf(hasPeer('moto_server'))('moto', () => {
  let moto: Moto;
  let admin: S3Client;
  let variables: Readonly<Record<string, string>>;

  beforeAll(async () => {
    moto = await startMoto();
    variables = moto.variables('S3');
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    admin = new S3Client({ region, endpoint: moto.url, forcePathStyle: true });
    const LocationConstraint = region;
    await admin.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint } }));
  }, 60_000);
  afterAll(async () => {
    vi.unstubAllEnvs();
    admin?.destroy();
    await moto?.close();
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
