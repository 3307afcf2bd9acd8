// Credentials that belong to a role: issued by the metadata endpoints, remembered, and gone after their time.
import { randomUuid } from './identifiers.ts';
import type { RandomBytes } from './software-key.ts';
import type { AwsCredential, Caller, GcpCredential, State } from './state.ts';

/** What issuing needs from outside. */
export type Issuer = {
  readonly state: State;
  readonly now: () => number;
  readonly randomBytes: RandomBytes;
  readonly sessionSeconds: number;
};

/** Expired credentials are remembered, so that they can be told from unknown ones, up to this many. */
const maxRemembered = 10_000;

/** A temporary AWS credential, as STS would issue it: an access key, its secret and a session token. */
export function issueAwsCredential(issuer: Issuer, caller: Caller): AwsCredential & { sessionToken: string } {
  const { randomBytes } = issuer;
  const credential = {
    accessKeyId: `ASIA${randomUuid(randomBytes).replaceAll('-', '').slice(0, 16).toUpperCase()}`,
    secretAccessKey: Buffer.from(randomBytes(30)).toString('base64'),
    sessionToken: Buffer.from(randomBytes(96)).toString('base64'),
    expiresAtMs: expiry(issuer),
    caller,
  };
  remember(issuer.state.awsCredentials, credential.accessKeyId, credential);
  return credential;
}

/** An OAuth access token of a service account. */
export function issueGcpCredential(issuer: Issuer, caller: Caller): GcpCredential {
  const token = `ya29.c.${Buffer.from(issuer.randomBytes(96)).toString('base64url')}`;
  const credential = { token, expiresAtMs: expiry(issuer), caller };
  remember(issuer.state.gcpCredentials, token, credential);
  return credential;
}

/**
 * Hands out the same credential until half of its time is gone, as the metadata services do, so that clients which ask
 * often do not fill the memory.
 */
export function reuseUntilHalfGone<T extends { readonly expiresAtMs: number }>(
  issuer: Issuer,
  issue: () => T,
): () => T {
  let current: T | undefined;
  return () => {
    const remainingMs = (current?.expiresAtMs ?? 0) - issuer.now();
    if (current === undefined || remainingMs < issuer.sessionSeconds * 500) current = issue();
    return current;
  };
}

/** Whole seconds, because that is how the metadata services write it. */
function expiry(issuer: Issuer): number {
  return Math.floor(issuer.now() / 1000 + issuer.sessionSeconds) * 1000;
}

function remember<T extends { readonly expiresAtMs: number }>(
  credentials: Map<string, T>,
  id: string,
  credential: T,
): void {
  credentials.set(id, credential);
  if (credentials.size <= maxRemembered) return;
  for (const [oldest, { expiresAtMs }] of credentials) {
    if (expiresAtMs === Number.POSITIVE_INFINITY) continue;
    credentials.delete(oldest);
    return;
  }
}
