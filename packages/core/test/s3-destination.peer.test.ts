// Publishing to S3 as moto implements it: an independent server, which judges the conditions of a write by itself.
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Moto, startMoto } from '../../../test/moto.ts';
import { hasPeer } from '../../../test/peers.ts';
import type { Destination } from '../src/delivery/destinations/destination.ts';
import { openDestination } from '../src/delivery/destinations/open-destination.ts';
import { refusal, repositoryWith, withVariables } from './repository-with.ts';

const region = 'eu-central-1';
const Bucket = 'artifacts';

describe.runIf(hasPeer('moto_server'))('S3 through moto', () => {
  let moto: Moto;
  let admin: S3Client;
  let open: (key: string) => Promise<Destination>;

  beforeAll(async () => {
    moto = await startMoto();
    const credentials = { accessKeyId: 'testing', secretAccessKey: 'testing' };
    admin = new S3Client({ region, endpoint: moto.url, forcePathStyle: true, credentials });
    const LocationConstraint = region;
    await admin.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint } }));
    const repository = await repositoryWith();
    open = async (key) =>
      openDestination(
        await repository.open(withVariables(repository.world, moto.variables('S3'))),
        `s3://${Bucket}/${key}?region=${region}`,
      );
  }, 90_000);
  afterAll(async () => {
    admin?.destroy();
    await moto?.close();
  });

  it('INV-44: writes what was not there, and replaces what it read', async () => {
    const destination = await open('a.json');
    expect(await destination.read()).toBeUndefined();
    await destination.write(Buffer.from('first'), undefined);
    const stored = await destination.read();
    expect(Buffer.from(stored?.bytes ?? []).toString()).toBe('first');
    await destination.write(Buffer.from('second'), stored);
    const { Body } = await admin.send(new GetObjectCommand({ Bucket, Key: 'a.json' }));
    expect(await Body?.transformToString()).toBe('second');
  });

  it.each(['nothing', 'another'])(
    'INV-44: does not overwrite what came meanwhile, where there was %s',
    async (before) => {
      const key = `race-${before}.json`;
      const destination = await open(key);
      if (before === 'another') await destination.write(Buffer.from('first'), undefined);
      const stored = await destination.read();
      await admin.send(new PutObjectCommand({ Bucket, Key: key, Body: 'theirs' }));
      expect((await refusal(destination.write(Buffer.from('ours'), stored))).code).toBe('changed_meanwhile');
      const { Body } = await admin.send(new GetObjectCommand({ Bucket, Key: key }));
      expect(await Body?.transformToString()).toBe('theirs');
    },
  );

  it('a bucket that is not there', async () => {
    const repository = await repositoryWith();
    const destination = await openDestination(
      await repository.open(withVariables(repository.world, moto.variables('S3'))),
      `s3://no-such-bucket/x.json?region=${region}`,
    );
    expect((await refusal(destination.read())).code).toBe('destination');
    expect((await refusal(destination.write(Buffer.from('x'), undefined))).code).toBe('destination');
  });
});
