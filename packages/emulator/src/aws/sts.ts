// AWS STS: GetCallerIdentity, which tells whose credentials one holds. Query protocol, XML replies.
import type { LoopbackRequest } from '@clef/loopback';
import type { Cloud } from '../cloud.ts';
import { callerArn } from './authorization.ts';
import { AwsRefusal, type AwsReply, xmlErrorReply, xmlReply } from './aws-refusal.ts';
import { verifySignature } from './signature.ts';

/** Answers one request to STS. Nobody needs a permission for GetCallerIdentity; a revoked role gets its answer too. */
export function answerSts(cloud: Cloud, request: LoopbackRequest): AwsReply {
  const now = cloud.now();
  const { state, randomBytes } = cloud;
  const form = new URLSearchParams(Buffer.from(request.body).toString('latin1'));
  const isKnown = form.get('Action') === 'GetCallerIdentity' && form.get('Version') === '2011-06-15';
  const operation = isKnown ? 'aws.GetCallerIdentity' : 'aws.unknown';
  try {
    if (!isKnown) {
      const message = 'Only GetCallerIdentity (2011-06-15) is supported by this emulator';
      throw new AwsRefusal('UnknownOperationException', message);
    }
    const { credential } = verifySignature(request, 'sts', state.awsCredentials, now);
    const arn = callerArn(state, credential.caller);
    cloud.record({ operation, principal: arn, outcome: 'ok' });
    return xmlReply(200, identityXml(arn, state.account), now, randomBytes);
  } catch (cause) {
    if (!(cause instanceof AwsRefusal)) throw cause;
    cloud.record({ operation, principal: 'nobody', outcome: cause.errorName });
    return xmlErrorReply(cause, now, randomBytes);
  }
}

function identityXml(arn: string, account: string): string {
  const userId = arn.endsWith(':root') ? account : `AROAEMULATED:${arn.slice(arn.lastIndexOf('/') + 1)}`;
  const result = `<Arn>${arn}</Arn><UserId>${userId}</UserId><Account>${account}</Account>`;
  return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>${result}</GetCallerIdentityResult><ResponseMetadata/></GetCallerIdentityResponse>`;
}
