// A role of AWS that is taken on before a key is used, by the official client of STS. Only `clef sops` asks for it.
import { hostname } from 'node:os';
import type { STSClientConfig } from '@aws-sdk/client-sts';
import type { guardAwsClient } from './aws-access.ts';

type RoleCredentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration?: Date;
};

/** How STS is reached: with the credentials that may take the role on. */
type StsAccess = STSClientConfig & { readonly guard: (client: Parameters<typeof guardAwsClient>[0]) => void };

/** The credentials of a role, asked for when the first call needs them and again when they have expired. */
export function roleCredentials(
  role: string,
  { guard, ...access }: StsAccess,
): () => Promise<RoleCredentials> {
  return async () => {
    const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
    const client = new STSClient(access);
    guard(client);
    const command = new AssumeRoleCommand({ RoleArn: role, RoleSessionName: sessionName() });
    const { Credentials: found } = await client.send(command);
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = found ?? {};
    if (AccessKeyId === undefined || SecretAccessKey === undefined || SessionToken === undefined)
      throw new Error('STS gave no credentials');
    return {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
      ...(Expiration && { expiration: Expiration }),
    };
  };
}

/** As the real tool names its sessions, so that an audit log reads alike. */
function sessionName(): string {
  return `sops@${hostname().replace(/[^a-zA-Z0-9=,.@-]+/g, '')}`.slice(0, 64);
}
