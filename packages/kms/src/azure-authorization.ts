// Who asks Azure: the credentials of @azure/identity that are the machine's own, from the environment that was given. A
// program is run for one only where the user says so, since a hidden child process has no place in an agent.
import type { TokenCredential } from '@azure/identity';
import type { KmsSettings } from './provider.ts';

const scope = 'https://vault.azure.net/.default';

export type AzureAuthorization = {
  /** Throws whatever @azure/identity throws; its text must go no further. */
  headers(): Promise<Readonly<Record<string, string>>>;
};

/**
 * A client secret or certificate (`AZURE_CLIENT_SECRET`, `AZURE_CLIENT_CERTIFICATE_PATH`), else a workload identity
 * (`AZURE_FEDERATED_TOKEN_FILE`), else the managed identity of the machine; where `AZURE_TOKEN_CREDENTIALS` is `dev` or
 * `AzureCliCredential`, the login of `az` instead. The library is loaded with the first call.
 */
export function openAzureAuthorization({
  environment,
}: Pick<KmsSettings, 'environment'>): AzureAuthorization {
  let credential: TokenCredential | undefined;
  return {
    async headers() {
      credential ??= credentialOf(await import('@azure/identity'), environment);
      const found = await credential.getToken(scope);
      if (found === null || !/^[\x21-\x7e]+$/.test(found.token)) throw new Error('This is no token');
      return { authorization: `Bearer ${found.token}` };
    },
  };
}

function credentialOf(
  library: typeof import('@azure/identity'),
  environment: KmsSettings['environment'],
): TokenCredential {
  const read = (name: string): string => environment[`AZURE_${name}`] ?? '';
  if (/^(dev|azureclicredential)$/i.test(read('TOKEN_CREDENTIALS'))) return new library.AzureCliCredential();
  const [tenant, client] = [read('TENANT_ID'), read('CLIENT_ID')];
  const authorityHost = read('AUTHORITY_HOST');
  const options = authorityHost === '' ? {} : { authorityHost };
  const isNamed = tenant !== '' && client !== '';
  if (isNamed && read('CLIENT_SECRET') !== '') {
    return new library.ClientSecretCredential(tenant, client, read('CLIENT_SECRET'), options);
  }
  const certificatePath = read('CLIENT_CERTIFICATE_PATH');
  if (isNamed && certificatePath !== '') {
    return new library.ClientCertificateCredential(tenant, client, { certificatePath }, options);
  }
  const tokenFilePath = read('FEDERATED_TOKEN_FILE');
  if (isNamed && tokenFilePath !== '') {
    return new library.WorkloadIdentityCredential({
      tenantId: tenant,
      clientId: client,
      tokenFilePath,
      ...options,
    });
  }
  return client === ''
    ? new library.ManagedIdentityCredential()
    : new library.ManagedIdentityCredential(client);
}
