// The EC2 instance metadata service, version 2: a token first (PUT), then the role's credentials. Version 1, which asks
// for no token, is refused with 401. Source: "Use the Instance Metadata Service", EC2 User Guide.
import { json, type LoopbackRequest, type Reply } from '@clef/loopback';
import { encodeHex, formatTimestamp, parseInteger, StrictError } from '@clef/strict';
import type { Cloud } from '../cloud.ts';
import { roleArn } from '../identifiers.ts';
import { issueAwsCredential, reuseUntilHalfGone } from '../sessions.ts';

export type Ec2Machine = { readonly role: string; readonly region: string; readonly instanceId: string };

const maxTokenSeconds = 21_600;
const maxTokens = 1_000;

/** Answers as the metadata service of one machine: its credentials are its role's. */
export function ec2Metadata(cloud: Cloud, machine: Ec2Machine): (request: LoopbackRequest) => Reply {
  const tokens = new Map<string, number>();
  const caller = { role: machine.role, session: machine.instanceId };
  const credential = reuseUntilHalfGone(cloud, () => issueAwsCredential(cloud, caller));
  const record = (operation: string, outcome: string): void =>
    cloud.record({ operation, principal: roleArn(cloud.state.account, machine.role), outcome });

  const putToken = (request: LoopbackRequest): Reply => {
    const seconds = tokenSeconds(request.headers.get('x-aws-ec2-metadata-token-ttl-seconds'));
    record('ec2.token', seconds === undefined ? '400' : 'ok');
    if (seconds === undefined) return text(400, 'Bad Request');
    const token = Buffer.from(cloud.randomBytes(42)).toString('base64url');
    tokens.set(token, cloud.now() + seconds * 1000);
    if (tokens.size > maxTokens) tokens.delete(tokens.keys().next().value ?? '');
    return text(200, token, { 'X-aws-ec2-metadata-token-ttl-seconds': String(seconds) });
  };

  const documents: Readonly<Record<string, () => Reply>> = {
    '/latest/meta-data/iam/security-credentials': () => text(200, machine.role),
    [`/latest/meta-data/iam/security-credentials/${machine.role}`]: () => {
      record('ec2.credentials', 'ok');
      return json(200, formatCredential(cloud, credential()));
    },
    '/latest/meta-data/instance-id': () => text(200, machine.instanceId),
    '/latest/meta-data/placement/region': () => text(200, machine.region),
    '/latest/meta-data/placement/availability-zone': () => text(200, `${machine.region}a`),
    '/latest/dynamic/instance-identity/document': () =>
      json(200, { accountId: cloud.state.account, instanceId: machine.instanceId, region: machine.region }),
  };

  return (request) => {
    if (request.path === '/latest/api/token' && request.method === 'PUT') return putToken(request);
    if (request.method !== 'GET') return text(405, 'Method Not Allowed');
    const until = tokens.get(request.headers.get('x-aws-ec2-metadata-token') ?? '');
    if (until === undefined || cloud.now() >= until) {
      record('ec2.document', '401');
      return text(401, 'Unauthorized');
    }
    const path = request.path.replace(/\/$/, '');
    const document = Object.hasOwn(documents, path) ? documents[path] : undefined;
    return document?.() ?? text(404, 'Not Found');
  };
}

/** An id in the form that EC2 gives. */
export function makeInstanceId(cloud: Cloud): string {
  return `i-0${encodeHex(cloud.randomBytes(8))}`;
}

function formatCredential(cloud: Cloud, credential: ReturnType<typeof issueAwsCredential>) {
  return {
    Code: 'Success',
    LastUpdated: formatTimestamp(cloud.now()),
    Type: 'AWS-HMAC',
    AccessKeyId: credential.accessKeyId,
    SecretAccessKey: credential.secretAccessKey,
    Token: credential.sessionToken,
    Expiration: formatTimestamp(credential.expiresAtMs),
  };
}

function tokenSeconds(header: string | undefined): number | undefined {
  try {
    return parseInteger(header ?? '', { min: 1, max: maxTokenSeconds });
  } catch (cause) {
    if (cause instanceof StrictError) return undefined;
    throw cause;
  }
}

function text(status: number, body: string, headers: Record<string, string> = {}): Reply {
  return { status, headers: { 'Content-Type': 'text/plain', ...headers }, body };
}
