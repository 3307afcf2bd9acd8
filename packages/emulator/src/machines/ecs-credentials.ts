// The credential endpoint of an ECS task or EKS pod: one URL, guarded by the token that the platform puts in the
// container's environment. Source: "Container credential provider", AWS SDKs and Tools Reference Guide.
import { createHash, timingSafeEqual } from 'node:crypto';
import { json, type LoopbackRequest, type Reply } from '@clef/loopback';
import { formatTimestamp } from '@clef/strict';
import type { Cloud } from '../cloud.ts';
import { roleArn } from '../identifiers.ts';
import { issueAwsCredential, reuseUntilHalfGone } from '../sessions.ts';

export type EcsTask = { readonly role: string; readonly taskId: string; readonly authorizationToken: string };

export const ecsCredentialsPath = '/v2/credentials';

/** Answers as the credential endpoint of one task. */
export function ecsCredentials(cloud: Cloud, task: EcsTask): (request: LoopbackRequest) => Reply {
  const caller = { role: task.role, session: task.taskId };
  const credential = reuseUntilHalfGone(cloud, () => issueAwsCredential(cloud, caller));
  const principal = roleArn(cloud.state.account, task.role);
  return (request) => {
    if (request.path !== ecsCredentialsPath || request.method !== 'GET') return refuse(404, 'NotFound');
    const isAuthorized = isSame(request.headers.get('authorization') ?? '', task.authorizationToken);
    cloud.record({ operation: 'ecs.credentials', principal, outcome: isAuthorized ? 'ok' : '401' });
    if (!isAuthorized) return refuse(401, 'AccessDenied');
    const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs } = credential();
    return json(200, {
      RoleArn: principal,
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      Token: sessionToken,
      Expiration: formatTimestamp(expiresAtMs),
    });
  };
}

function refuse(status: number, code: string): Reply {
  return json(status, { code, message: 'The credential endpoint refused the request' });
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Uint8Array => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
