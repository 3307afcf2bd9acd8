// An object in S3 as destination, through the official SDK and its credential chain. The write is conditional: If-Match, or
// If-None-Match for the first one.
import { connectionCode, KmsError, openS3, type S3 } from '@clef/kms';
import { readLimited } from '@clef/strict';
import type { World } from '../../world.ts';
import {
  type Destination,
  maxStoredBytes,
  type Stored,
  unusableDestination,
  writtenMeanwhile,
} from './destination.ts';

export type S3Place = {
  readonly bucket: string;
  readonly key: string;
  /** Undefined leaves it to the SDK. */
  readonly region: string | undefined;
};

const tries = 3;
const connectMilliseconds = 5_000;
const requestMilliseconds = 30_000;

/** Nothing is loaded or asked before the first call. */
export function s3Destination(world: World, name: string, place: S3Place): Destination {
  let opening: Promise<S3> | undefined;
  const open = (): Promise<S3> => {
    opening ??= openS3({
      environment: world.environment,
      notify: (message) => world.notify({ level: 'warning', message }),
      region: place.region,
      tries,
      connectMilliseconds,
      requestMilliseconds,
      refuse: refusedByGuard,
    });
    return opening;
  };
  const { bucket: Bucket, key: Key } = place;
  return {
    name,
    read: async () => {
      try {
        const { sdk, client } = await open();
        const { Body: body, ETag: version } = await client.send(new sdk.GetObjectCommand({ Bucket, Key }));
        return { bytes: await readBody(body as AsyncIterable<Uint8Array> | undefined), version };
      } catch (error) {
        if (nameOf(error) === 'NoSuchKey') return undefined;
        throw explain(name, error);
      }
    },
    write: async (artifact, previous) => {
      try {
        const { sdk, client } = await open();
        await client.send(
          new sdk.PutObjectCommand({
            Bucket,
            Key,
            Body: artifact,
            ContentType: 'application/json',
            CacheControl: 'no-cache',
            ...conditionOf(previous),
          }),
        );
      } catch (error) {
        throw explain(name, error);
      }
    },
  };
}

function conditionOf(previous: Stored | undefined): {
  readonly IfMatch?: string;
  readonly IfNoneMatch?: string;
} {
  if (previous === undefined) return { IfNoneMatch: '*' };
  return previous.version === undefined ? {} : { IfMatch: previous.version };
}

class GuardFailure extends Error {
  override readonly name = 'GuardFailure';
}

function refusedByGuard(why: 'endpoint' | 'too_large'): Error {
  return new GuardFailure(
    why === 'endpoint' ? 'the endpoint is neither https nor on this machine' : 'the answer is too long',
  );
}

async function readBody(body: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array> {
  const bytes = body === undefined ? new Uint8Array() : await readLimited(body, maxStoredBytes);
  if (bytes === undefined) throw new GuardFailure('what is there is larger than an artifact can be');
  return bytes;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

const conflicts = new Set(['PreconditionFailed', 'ConditionalRequestConflict']);
const refusals: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  NoSuchBucket: ['there is no such bucket', 'check the name of the bucket'],
  AccessDenied: [
    'S3 refuses it',
    'allow s3:GetObject and s3:PutObject on the object, and s3:ListBucket on the bucket, for the role that packs',
  ],
  PermanentRedirect: ['the bucket is in another region', 'name it: s3://BUCKET/KEY?region=REGION'],
  CredentialsProviderError: ['there are no credentials for AWS', 'sign in, or give the job its role'],
};

/** In our own words: those of the SDK may hold what it was given. */
function explain(name: string, error: unknown): Error {
  if (conflicts.has(nameOf(error))) return writtenMeanwhile(name);
  if (error instanceof GuardFailure || error instanceof KmsError)
    return unusableDestination(name, error.message, 'check AWS_ENDPOINT_URL and the object');
  const [why, hint] = refusals[nameOf(error)] ?? [];
  if (why !== undefined && hint !== undefined) return unusableDestination(name, why, hint, error);
  if (connectionCode(error) !== undefined)
    return unusableDestination(name, 'S3 cannot be reached', 'check the network, and try again', error);
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  if (status === undefined) return error instanceof Error ? error : new Error('S3 failed', { cause: error });
  return unusableDestination(
    name,
    `S3 answers with status ${status}`,
    'try again, or look at the bucket',
    error,
  );
}
