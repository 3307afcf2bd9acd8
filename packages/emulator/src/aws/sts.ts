// AWS STS: GetCallerIdentity, which tells whose credentials one holds, and AssumeRoleWithWebIdentity, with which a pod on EKS
// becomes its role. Query protocol, XML replies.
import type { LoopbackRequest } from '@clef/loopback';
import { formatTimestamp } from '@clef/strict';
import type { Cloud } from '../cloud.ts';
import { roleArn, sessionArn } from '../identifiers.ts';
import { issueAwsCredential } from '../sessions.ts';
import { callerArn } from './authorization.ts';
import { AwsRefusal, type AwsReply, escapeXml, xmlErrorReply, xmlReply } from './aws-refusal.ts';
import { verifySignature } from './signature.ts';
import { audience, checkWebIdentityToken, issuer } from './web-identity.ts';

type Answer = { readonly principal: string; readonly xml: string };

/** One row an operation. */
const operations: Readonly<
  Record<string, (cloud: Cloud, request: LoopbackRequest, form: URLSearchParams) => Answer>
> = {
  GetCallerIdentity: getCallerIdentity,
  AssumeRoleWithWebIdentity: assumeRoleWithWebIdentity,
};

/** Answers one request to STS. Nobody needs a permission for GetCallerIdentity; a revoked role gets its answer too. */
export function answerSts(cloud: Cloud, request: LoopbackRequest): AwsReply {
  const now = cloud.now();
  const form = formOf(request);
  const run = operationOf(form);
  const operation = stsOperationName(request);
  try {
    if (run === undefined) {
      const message = `Only ${Object.keys(operations).join(' and ')} (2011-06-15) are supported by this emulator`;
      throw new AwsRefusal('UnknownOperationException', message);
    }
    const { principal, xml } = run(cloud, request, form);
    cloud.record({ operation, principal, outcome: 'ok' });
    return xmlReply(200, xml, now, cloud.randomBytes);
  } catch (cause) {
    if (!(cause instanceof AwsRefusal)) throw cause;
    cloud.record({ operation, principal: 'nobody', outcome: cause.errorName });
    return xmlErrorReply(cause, now, cloud.randomBytes);
  }
}

/** The operation as it is recorded. */
export function stsOperationName(request: LoopbackRequest): string {
  const form = formOf(request);
  return operationOf(form) === undefined ? 'aws.unknown' : `aws.${form.get('Action')}`;
}

function formOf(request: LoopbackRequest): URLSearchParams {
  return new URLSearchParams(Buffer.from(request.body).toString('latin1'));
}

function operationOf(form: URLSearchParams) {
  const name = form.get('Action') ?? '';
  const isKnown = Object.hasOwn(operations, name) && form.get('Version') === '2011-06-15';
  return isKnown ? operations[name] : undefined;
}

function getCallerIdentity(cloud: Cloud, request: LoopbackRequest): Answer {
  const { state } = cloud;
  const { credential } = verifySignature(request, 'sts', state.awsCredentials, cloud.now());
  const arn = callerArn(state, credential.caller);
  const userId = arn.endsWith(':root') ? state.account : roleId(arn.slice(arn.lastIndexOf('/') + 1));
  const result = `<Arn>${arn}</Arn><UserId>${userId}</UserId><Account>${state.account}</Account>`;
  return { principal: arn, xml: responseOf('GetCallerIdentity', result) };
}

/** Unsigned: the token is the proof. What is not honoured (policies for the session) is refused, never ignored. */
function assumeRoleWithWebIdentity(cloud: Cloud, _: LoopbackRequest, form: URLSearchParams): Answer {
  const known = ['Action', 'Version', 'RoleArn', 'RoleSessionName', 'WebIdentityToken', 'DurationSeconds'];
  const other = [...form.keys()].find((name) => !known.includes(name));
  if (other !== undefined)
    throw new AwsRefusal('ValidationException', 'A parameter is not supported by this emulator');
  const session = form.get('RoleSessionName') ?? '';
  if (!/^[\w+=,.@-]{2,64}$/.test(session))
    throw new AwsRefusal('ValidationException', 'RoleSessionName must match [\\w+=,.@-]{2,64}');
  const role = roleOf(cloud, form.get('RoleArn') ?? '');
  const subject = checkWebIdentityToken(cloud, form.get('WebIdentityToken') ?? '', role);
  const credential = issueAwsCredential(cloud, { role, session });
  const arn = sessionArn(cloud.state.account, role, session);
  const result = [
    `<SubjectFromWebIdentityToken>${escapeXml(subject)}</SubjectFromWebIdentityToken>`,
    `<Audience>${audience}</Audience><Provider>${issuer}</Provider>`,
    `<AssumedRoleUser><Arn>${arn}</Arn><AssumedRoleId>${roleId(session)}</AssumedRoleId></AssumedRoleUser>`,
    `<Credentials><AccessKeyId>${credential.accessKeyId}</AccessKeyId>`,
    `<SecretAccessKey>${credential.secretAccessKey}</SecretAccessKey>`,
    `<SessionToken>${credential.sessionToken}</SessionToken>`,
    `<Expiration>${formatTimestamp(credential.expiresAtMs)}</Expiration></Credentials>`,
  ];
  return { principal: arn, xml: responseOf('AssumeRoleWithWebIdentity', result.join('')) };
}

/** A role that is not there, or whose pods these are not, looks the same. */
function roleOf({ state }: Cloud, arn: string): string {
  const role = arn.slice(arn.lastIndexOf('/') + 1);
  if (state.roles.has(role) && arn === roleArn(state.account, role)) return role;
  throw new AwsRefusal('AccessDeniedException', 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
}

function roleId(session: string): string {
  return `AROAEMULATED:${session}`;
}

function responseOf(operation: string, result: string): string {
  return `<${operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${operation}Result>${result}</${operation}Result><ResponseMetadata/></${operation}Response>`;
}
