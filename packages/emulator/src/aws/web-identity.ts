// The tokens with which a pod on EKS becomes its role: made and read here alone. They have the shape of a JSON Web Token and
// are signed with a secret of this emulator, which real clusters do not share: no other issuer is trusted.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { parseJson, StrictError } from '@clef/strict';
import type { Cloud } from '../cloud.ts';
import { AwsRefusal } from './aws-refusal.ts';

export const audience = 'sts.amazonaws.com';
export const issuer = 'https://oidc.clef-emulator.invalid';

/** A projected service account token of Kubernetes lives for a day. */
const tokenSeconds = 24 * 3600;

/** A token for the pods of one role. */
export function issueWebIdentityToken(cloud: Cloud, role: string): string {
  const now = Math.floor(cloud.now() / 1000);
  const claims = { iss: issuer, sub: subjectOf(role), aud: [audience], iat: now, exp: now + tokenSeconds };
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${body}.${signatureOf(cloud, body)}`;
}

/** Throws `InvalidIdentityTokenException`, `ExpiredTokenException`; `AccessDeniedException` for the pods of another role. */
export function checkWebIdentityToken(cloud: Cloud, token: string, role: string): string {
  const [head = '', claims = '', signature = '', ...more] = token.split('.');
  const expected = Buffer.from(signatureOf(cloud, `${head}.${claims}`));
  const given = Buffer.from(signature);
  if (more.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new AwsRefusal('InvalidIdentityTokenException', 'The token is none of this emulator');
  const { sub, exp } = readClaims(claims);
  if (cloud.now() >= exp * 1000)
    throw new AwsRefusal('ExpiredTokenException', 'Token expired: current date/time must be before it');
  if (sub === subjectOf(role)) return sub;
  throw new AwsRefusal('AccessDeniedException', 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
}

function readClaims(claims: string): { readonly sub: string; readonly exp: number } {
  try {
    const value = parseJson(Buffer.from(claims, 'base64url'), { maxBytes: 4096, maxDepth: 4 });
    return value as unknown as { sub: string; exp: number };
  } catch (cause) {
    if (!(cause instanceof StrictError)) throw cause;
    throw new AwsRefusal('InvalidIdentityTokenException', 'The token has no claims');
  }
}

function subjectOf(role: string): string {
  return `system:serviceaccount:default:${role}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signatureOf({ tokenSecret }: Cloud, body: string): string {
  return createHmac('sha256', tokenSecret).update(body).digest('base64url');
}
