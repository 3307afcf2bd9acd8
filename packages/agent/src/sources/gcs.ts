// An artifact in Google Cloud Storage: the machine's own token, one GET of the JSON API, and the generation of the object to
// tell whether it changed.
import {
  connectionCode,
  type GcpAuthorization,
  KmsError,
  openGcpAuthorization,
  readEndpoint,
} from '@clef/kms';
import { defaultHttpsLimits, fetchArtifact, type HttpsLimits } from './http-exchange.ts';
import { type Fetched, type Source, SourceError, type Validator } from './source.ts';

const scope = 'https://www.googleapis.com/auth/devstorage.read_only';
const publicEndpoint = new URL('https://storage.googleapis.com/');

export type GcsObject = { readonly bucket: string; readonly object: string };
type Environment = Readonly<Record<string, string | undefined>>;

/** The object, read with the default credentials of Google's libraries. */
export function createGcsSource(
  place: GcsObject,
  environment: Environment,
  now: () => number,
  limits: HttpsLimits = defaultHttpsLimits,
): Source {
  const authorization = openGcpAuthorization({ environment }, scope);
  return {
    kind: 'gs',
    fetch: async (validator, signal) => {
      const url = addressOf(place, environment, validator);
      const headers = await authorize(authorization, url, limits, signal);
      const attempt = {
        url,
        headers,
        isConditional: validator?.generation !== undefined,
        now,
        limits,
        signal,
      };
      try {
        return requireGeneration(await fetchArtifact(attempt));
      } catch (error) {
        // Another token may do: the next fetch looks for one.
        if (error instanceof SourceError && error.code === 'refused') authorization.forget();
        throw error;
      }
    },
  };
}

function addressOf(place: GcsObject, environment: Environment, validator: Validator | undefined): URL {
  const bucket = encodeURIComponent(place.bucket);
  const url = new URL(
    `storage/v1/b/${bucket}/o/${encodeURIComponent(place.object)}`,
    readGcsEndpoint(environment),
  );
  url.searchParams.set('alt', 'media');
  if (validator?.generation !== undefined) url.searchParams.set('ifGenerationNotMatch', validator.generation);
  return url;
}

function readGcsEndpoint(environment: Environment): URL {
  try {
    return readEndpoint(environment, ['CLEF_GCS_ENDPOINT'], undefined) ?? publicEndpoint;
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    throw new SourceError(
      'settings',
      'CLEF_GCS_ENDPOINT is neither an https address nor one of this machine',
    );
  }
}

async function authorize(
  authorization: GcpAuthorization,
  url: URL,
  limits: HttpsLimits,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const overdue = new SourceError('timeout', 'No credentials came in time');
  let stop = (): void => undefined;
  const isOver = new Promise<never>((_, reject) => {
    const end = (): void => reject(overdue);
    const timer = setTimeout(end, limits.totalMilliseconds);
    signal.addEventListener('abort', end);
    stop = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    };
  });
  try {
    return await Promise.race([authorization.headers(url), isOver]);
  } catch (error) {
    if (error === overdue) throw error;
    if (connectionCode(error) !== undefined)
      throw new SourceError('unavailable', 'Credentials cannot be asked for');
    throw new SourceError('no_credentials', 'There are no credentials for Cloud Storage');
  } finally {
    stop();
  }
}

/** Cloud Storage names the generation with every object; what does not is something else. */
function requireGeneration(fetched: Fetched): Fetched {
  if (fetched.kind === 'unchanged' || fetched.validator?.generation !== undefined) return fetched;
  throw new SourceError('bad_response', 'The answer is not one of Cloud Storage');
}
