// Who asks: a token from GOOGLE_OAUTH_ACCESS_TOKEN, as sops takes it, else the machine's or the person's own login. Tokens
// are kept by google-auth-library, never by us.
import type { KmsSettings } from './provider.ts';

const cloudKmsScope = 'https://www.googleapis.com/auth/cloudkms';
/** Goes nowhere, as a key names its own project; without it the library runs gcloud, or asks Google, to learn one. */
const projectId = 'unused';

export type GcpAuthorization = {
  /** The headers for one request. Throws whatever google-auth-library throws; its text must go no further. */
  headers(url: URL): Promise<Readonly<Record<string, string>>>;
  /** Drops what was found, so that the next call looks again. */
  forget(): void;
};

/** `scope` is what the machine's own token must be good for; by default Cloud KMS. */
export function openGcpAuthorization(
  { environment }: Pick<KmsSettings, 'environment'>,
  scope = cloudKmsScope,
): GcpAuthorization {
  const given = environment['GOOGLE_OAUTH_ACCESS_TOKEN'];
  if (given !== undefined && given !== '') return fromToken(given);
  return fromLibrary(scope);
}

function fromToken(token: string): GcpAuthorization {
  return {
    headers: async () => {
      if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('This is no token');
      return { authorization: `Bearer ${token}` };
    },
    forget: () => undefined,
  };
}

type Library = typeof import('google-auth-library');
type Login = { readonly sdk: Library; readonly auth: InstanceType<Library['GoogleAuth']> };

function fromLibrary(scope: string): GcpAuthorization {
  let login: Login | undefined;
  const forget = (): void => {
    // It remembers for ever that there was no metadata server, which may only have been slow to start.
    login?.sdk.gcpMetadata.resetIsAvailableCache();
    login = undefined;
  };
  return {
    headers: async (url) => {
      const sdk = login?.sdk ?? (await import('google-auth-library'));
      login ??= { sdk, auth: new sdk.GoogleAuth({ scopes: [scope], projectId }) };
      try {
        return pick(await login.auth.getRequestHeaders(url));
      } catch (error) {
        forget();
        throw error;
      }
    },
    forget,
  };
}

function pick(found: Headers): Readonly<Record<string, string>> {
  const authorization = found.get('authorization') ?? '';
  if (!/^Bearer [\x21-\x7e]+$/.test(authorization)) throw new Error('This is no token');
  // A person's own login is billed to a project, without which Google refuses it.
  const project = found.get('x-goog-user-project');
  return { authorization, ...(project === null ? {} : { 'x-goog-user-project': project }) };
}
