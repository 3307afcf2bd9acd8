// AWS KMS over HTTP (protocol x-amz-json-1.1): names the operation, checks the signature, reads the body, runs the row.
import type { LoopbackRequest } from '@clef/loopback';
import type { Cloud } from '../cloud.ts';
import { callerArn } from './authorization.ts';
import { AwsRefusal, type AwsReply, jsonErrorReply, jsonReply } from './aws-refusal.ts';
import { parseParameters } from './fields.ts';
import { type KmsOperation, kmsOperations } from './kms-operations.ts';
import { verifySignature } from './signature.ts';

const targetPrefix = 'TrentService.';

/** Answers one request to KMS. Never throws for anything that a client can send. */
export async function answerKms(cloud: Cloud, request: LoopbackRequest): Promise<AwsReply> {
  const now = cloud.now();
  const name = operationName(request);
  let principal = 'nobody';
  try {
    const operation = findOperation(request, name);
    const { credential, region } = verifySignature(request, 'kms', cloud.state.awsCredentials, now);
    principal = callerArn(cloud.state, credential.caller);
    const fields = parseParameters(request.body, operation.parameters);
    const { state, randomBytes } = cloud;
    const reply = await operation.run({ state, caller: credential.caller, region, now, randomBytes }, fields);
    if (operation.isChange === true) await cloud.save();
    cloud.record({ operation: `aws.${name}`, principal, outcome: 'ok' });
    return jsonReply(200, reply, now, randomBytes);
  } catch (cause) {
    if (!(cause instanceof AwsRefusal)) throw cause;
    cloud.record({ operation: `aws.${name}`, principal, outcome: cause.errorName });
    return jsonErrorReply(cause, now, cloud.randomBytes);
  }
}

/** For the record; whatever is not in the table is one operation, "unknown". */
function operationName(request: LoopbackRequest): string {
  const target = request.headers.get('x-amz-target') ?? '';
  const name = target.startsWith(targetPrefix) ? target.slice(targetPrefix.length) : '';
  return Object.hasOwn(kmsOperations, name) ? name : 'unknown';
}

/** The operation as it is recorded. */
export function kmsOperationName(request: LoopbackRequest): string {
  return `aws.${operationName(request)}`;
}

function findOperation(request: LoopbackRequest, name: string): KmsOperation {
  const operation = Object.hasOwn(kmsOperations, name) ? kmsOperations[name] : undefined;
  const isJson = request.headers.get('content-type') === 'application/x-amz-json-1.1';
  if (operation === undefined || !isJson || request.method !== 'POST' || request.query !== undefined) {
    throw new AwsRefusal(
      'UnknownOperationException',
      'The requested operation is not supported by this emulator',
    );
  }
  return operation;
}
