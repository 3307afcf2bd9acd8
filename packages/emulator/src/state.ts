// Everything the emulated clouds remember: keys, names, roles and policies (these go into the state file) and the
// credentials they have handed out (these do not: a restart ends every session).
import { randomUuid } from './identifiers.ts';
import type { Policy } from './policy.ts';
import type { RandomBytes } from './software-key.ts';

/** What a key is for: to wrap (AES-256), or to sign (ECDSA P-256). Its material has 32 bytes either way. */
export type KeyUse = 'wrap' | 'sign';

export type AwsKey = {
  readonly keyId: string;
  readonly use: KeyUse;
  readonly region: string;
  readonly arn: string;
  readonly material: Uint8Array;
  readonly createdAtMs: number;
  readonly description: string;
  policy: Policy;
  isEnabled: boolean;
};

export type AwsAlias = { readonly name: string; readonly region: string; readonly keyId: string };

export type GcpBinding = { readonly role: string; readonly members: readonly string[] };

export type GcpKey = {
  /** `projects/…/cryptoKeys/K` */
  readonly name: string;
  readonly use: KeyUse;
  readonly material: Uint8Array;
  readonly createdAtMs: number;
  bindings: readonly GcpBinding[];
};

/** One workload identity: an IAM role to AWS, a service account to GCP. */
export type RoleRecord = { readonly name: string; policy: Policy | undefined; isRevoked: boolean };

/** Who calls: the administrator, or a role through one of its sessions. */
export type Caller = { readonly role: string | undefined; readonly session: string };

export type AwsCredential = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  readonly expiresAtMs: number;
  readonly caller: Caller;
};

export type GcpCredential = { readonly token: string; readonly expiresAtMs: number; readonly caller: Caller };

export type Administrator = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly gcpToken: string;
};

export type State = {
  readonly account: string;
  readonly project: string;
  readonly administrator: Administrator;
  /** By ARN. */
  readonly awsKeys: Map<string, AwsKey>;
  /** By `region/alias/NAME`. */
  readonly awsAliases: Map<string, AwsAlias>;
  /** `projects/…/keyRings/R` → created at. */
  readonly gcpKeyRings: Map<string, number>;
  readonly gcpKeys: Map<string, GcpKey>;
  readonly roles: Map<string, RoleRecord>;
  /** By access key id. */
  readonly awsCredentials: Map<string, AwsCredential>;
  /** By token. */
  readonly gcpCredentials: Map<string, GcpCredential>;
};

/** The first administrator of a fresh account. */
export function makeAdministrator(randomBytes: RandomBytes): Administrator {
  return {
    accessKeyId: `AKIA${randomUuid(randomBytes).replaceAll('-', '').slice(0, 16).toUpperCase()}`,
    secretAccessKey: Buffer.from(randomBytes(30)).toString('base64'),
    gcpToken: `ya29.${Buffer.from(randomBytes(48)).toString('base64url')}`,
  };
}

/** An account without keys or roles. The administrator's own credentials are accepted from the start and never expire. */
export function emptyState(account: string, project: string, administrator: Administrator): State {
  const caller: Caller = { role: undefined, session: 'administrator' };
  const forEver = Number.POSITIVE_INFINITY;
  return {
    account,
    project,
    administrator,
    awsKeys: new Map(),
    awsAliases: new Map(),
    gcpKeyRings: new Map(),
    gcpKeys: new Map(),
    roles: new Map(),
    awsCredentials: new Map([
      [
        administrator.accessKeyId,
        {
          accessKeyId: administrator.accessKeyId,
          secretAccessKey: administrator.secretAccessKey,
          sessionToken: undefined,
          expiresAtMs: forEver,
          caller,
        },
      ],
    ]),
    gcpCredentials: new Map([
      [administrator.gcpToken, { token: administrator.gcpToken, expiresAtMs: forEver, caller }],
    ]),
  };
}
