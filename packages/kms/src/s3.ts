// A client of S3, opened as that of the KMS is: the same credentials, the same endpoints, and answers of bounded length.
import { guardAwsClient, readAwsAccess } from './aws-access.ts';
import type { KmsSettings } from './provider.ts';

type Sdk = typeof import('@aws-sdk/client-s3');

/** The SDK, loaded with its first client, and the client. */
export type S3 = { readonly sdk: Sdk; readonly client: InstanceType<Sdk['S3Client']> };

export type S3Settings = Pick<KmsSettings, 'environment' | 'notify'> & {
  /** Undefined leaves it to the SDK, which looks into the profile. */
  readonly region: string | undefined;
  /** How often the SDK asks. */
  readonly tries: number;
  readonly connectMilliseconds: number;
  readonly requestMilliseconds: number;
  /** What is thrown for an endpoint that is neither https nor on this machine, or an error document that is too long. */
  readonly refuse: (why: 'endpoint' | 'too_large') => Error;
};

/** Answers that are not the object: S3's error documents are short. */
const maxErrorBytes = 64 * 1024;

/**
 * Nothing is asked yet. The body of an answer with status 200 is the caller's to read, with a limit of its own.
 * @throws {KmsError} `bad_endpoint`.
 */
export async function openS3(settings: S3Settings): Promise<S3> {
  const sdk = await import('@aws-sdk/client-s3');
  const access = readAwsAccess('S3', settings);
  const client = new sdk.S3Client({
    maxAttempts: settings.tries,
    followRegionRedirects: false,
    // What another store than Amazon's understands: its buckets have no names in the DNS.
    forcePathStyle: access.endpoint !== undefined,
    // The signature of the artifact decides; a checksum of the transport would add nothing.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: settings.connectMilliseconds,
      requestTimeout: settings.requestMilliseconds,
      throwOnRequestTimeout: true,
    },
    ...(settings.region === undefined ? {} : { region: settings.region }),
    ...access,
  });
  guardAwsClient(client, (status) => (status === 200 ? undefined : maxErrorBytes), settings.refuse);
  return { sdk, client };
}
