// How any service of AWS is reached: endpoints that are https or on this machine (catalogue INV-111), the official
// credential chain, and no line on anybody's terminal. KMS uses it here, S3 elsewhere.
import { readLimited } from '@clef/strict';
import { checkEndpoints, isAllowedAddress, readEndpoint } from './endpoint.ts';
import type { KmsSettings } from './provider.ts';

/** Where the credential chain sends tokens. The SDK reads these itself. */
const credentialEndpoints = [
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_STS',
  'AWS_ENDPOINT_URL_SSO',
  'AWS_ENDPOINT_URL_SSO_OIDC',
  'AWS_ENDPOINT_URL_SIGNIN',
];

type StaticCredentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string };

/** What every client of the SDK is made with, whatever the service. */
export type AwsAccess = {
  readonly logger: Readonly<Record<'debug' | 'info' | 'warn' | 'error', () => void>>;
  /** Set where a variable names one. */
  readonly endpoint?: string;
  readonly credentials?: StaticCredentials;
  readonly profile?: string;
  /** For the credential chain, which else reads its files once in a process, and misses that they were renewed. */
  readonly ignoreCache?: true;
};

/**
 * The settings of a client for `service`, as it is spelled in `AWS_ENDPOINT_URL_…`. Credentials are those of the environment
 * that was given, else the SDK's own default chain. To be used with {@link guardAwsClient}.
 * @throws {KmsError} `bad_endpoint` where an endpoint override is neither https nor on this machine.
 */
export function readAwsAccess(
  service: 'KMS' | 'S3' | 'STS',
  { environment, notify, aws }: Pick<KmsSettings, 'environment' | 'notify' | 'aws'>,
): AwsAccess {
  const endpoint = readAwsEndpoint(service, environment, notify);
  const profile = aws?.profile;
  const credentials = profile === undefined ? staticCredentials(environment) : undefined;
  const silent = (): void => undefined;
  return {
    // It would write to the terminal, or into the middle of an agent's log.
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
    ...(credentials === undefined ? { ignoreCache: true } : { credentials }),
    ...(profile === undefined ? {} : { profile }),
  };
}

function readAwsEndpoint(
  service: string,
  environment: KmsSettings['environment'],
  notify: KmsSettings['notify'],
): URL | undefined {
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS']?.toLowerCase() === 'true') return undefined;
  checkEndpoints(environment, credentialEndpoints);
  return readEndpoint(environment, [`AWS_ENDPOINT_URL_${service}`, 'AWS_ENDPOINT_URL'], notify);
}

/** The first link of the default chain, but of the environment that was given; every other link is the SDK's. */
function staticCredentials(environment: KmsSettings['environment']): StaticCredentials | undefined {
  const named = (name: string): string => environment[name] ?? '';
  const accessKeyId = named('AWS_ACCESS_KEY_ID');
  const secretAccessKey = named('AWS_SECRET_ACCESS_KEY');
  const sessionToken = named('AWS_SESSION_TOKEN');
  if (named('AWS_PROFILE') !== '' || accessKeyId === '' || secretAccessKey === '') return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken === '' ? {} : { sessionToken }) };
}

/** The one part of a client of the SDK that is used here; its own types differ from service to service. */
type Guardable = {
  readonly middlewareStack: {
    // biome-ignore lint/suspicious/noExplicitAny: the SDK's middleware types name the commands of one service
    add(middleware: any, options: any): void;
  };
};

type Answer = { response: { statusCode?: number; body?: unknown } };

/**
 * The last word before the wire and the first after it: the SDK takes endpoints from its own configuration files too
 * (catalogue INV-111), and reads answers of any length. `limitOf` says how many bytes an answer of that status may have,
 * or undefined for one that the caller reads by itself. What `refuse` makes is thrown.
 */
export function guardAwsClient(
  client: Guardable,
  limitOf: (status: number) => number | undefined,
  refuse: (why: 'endpoint' | 'too_large') => Error,
): void {
  client.middlewareStack.add(
    (next: (args: unknown) => Promise<Answer>) => async (args: { request: unknown }) => {
      if (!isAllowedAddress(args.request as URL)) throw refuse('endpoint');
      const result = await next(args);
      const { response } = result;
      const limit = limitOf(response.statusCode ?? 0);
      if (limit === undefined) return result;
      const body = await readLimited(response.body as AsyncIterable<Uint8Array>, limit);
      if (body === undefined) throw refuse('too_large');
      response.body = body;
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'clefGuard' },
  );
}
