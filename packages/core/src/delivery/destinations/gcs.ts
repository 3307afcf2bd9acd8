// An object in Google Cloud Storage as destination: the job's own token and the JSON API. The write is conditional on the
// generation that was read; 0 stands for "there is none".
import { KmsError, openGcpAuthorization, readEndpoint } from '@clef/kms';
import type { World } from '../../world.ts';
import { type Destination, unusableDestination, writtenMeanwhile } from './destination.ts';
import { type Answer, exchange } from './http-exchange.ts';

const scope = 'https://www.googleapis.com/auth/devstorage.read_write';
const publicEndpoint = new URL('https://storage.googleapis.com/');

export type GcsPlace = { readonly bucket: string; readonly object: string };

/** Nothing is asked before the first call. */
export function gcsDestination(world: World, name: string, { bucket, object }: GcsPlace): Destination {
  const authorization = openGcpAuthorization(world, scope);
  const objectPath = `storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(object)}`;
  const headersFor = async (url: URL): Promise<Readonly<Record<string, string>>> => {
    try {
      return await authorization.headers(url);
    } catch (error) {
      const hint = 'sign in with "gcloud auth application-default login", or give the job its identity';
      throw unusableDestination(name, 'there are no credentials for Google Cloud', hint, error);
    }
  };
  return {
    name,
    read: async () => {
      const url = new URL(`${objectPath}?alt=media`, endpointOf(world, name));
      const answer = await exchange({ name, method: 'GET', url, headers: await headersFor(url) });
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw refused(name, answer);
      return { bytes: answer.body, version: answer.header('x-goog-generation') };
    },
    write: async (artifact, previous) => {
      const url = new URL(`upload/storage/v1/b/${encodeURIComponent(bucket)}/o`, endpointOf(world, name));
      url.searchParams.set('uploadType', 'media');
      url.searchParams.set('name', object);
      const generation = previous === undefined ? '0' : previous.version;
      if (generation !== undefined) url.searchParams.set('ifGenerationMatch', generation);
      const headers = await headersFor(url);
      const answer = await exchange({ name, method: 'POST', url, headers, body: artifact });
      if (answer.status === 412) throw writtenMeanwhile(name);
      if (answer.status !== 200) throw refused(name, answer);
    },
  };
}

function endpointOf({ environment, notify }: World, name: string): URL {
  try {
    const warn = (message: string): void => notify({ level: 'warning', message });
    return readEndpoint(environment, ['CLEF_GCS_ENDPOINT'], warn) ?? publicEndpoint;
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    throw unusableDestination(name, error.message, 'unset CLEF_GCS_ENDPOINT');
  }
}

function refused(name: string, { status }: Answer): Error {
  if (status === 401 || status === 403)
    return unusableDestination(
      name,
      'Cloud Storage refuses it',
      'allow storage.objects.get, .create and .delete on the bucket for the identity that packs',
    );
  if (status === 404)
    return unusableDestination(name, 'there is no such bucket', 'check the name of the bucket');
  return unusableDestination(
    name,
    `Cloud Storage answers with status ${status}`,
    'try again, or look at the bucket',
  );
}
