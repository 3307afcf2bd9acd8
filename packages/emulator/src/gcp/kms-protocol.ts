// Google Cloud KMS over REST: finds the row by method and path, looks the token up, reads the body, runs the row.
import { json, type LoopbackRequest, type Reply } from '@clef/loopback';
import type { JsonValue } from '@clef/strict';
import type { Cloud } from '../cloud.ts';
import { parseBody, parseQuery } from './fields.ts';
import { GcpRefusal, gcpErrorReply } from './gcp-refusal.ts';
import { authenticate, callerEmail } from './iam.ts';
import { type GcpOperation, gcpOperations } from './kms-operations.ts';

type Match = { readonly operation: GcpOperation; readonly resource: string };

/** Answers one request below `/v1/`. Never throws for anything that a client can send. */
export async function answerGcpKms(cloud: Cloud, request: LoopbackRequest): Promise<Reply> {
  const { state, randomBytes } = cloud;
  const match = findOperation(request);
  const operation = gcpOperationName(request);
  let principal = 'nobody';
  try {
    const now = cloud.now();
    if (match === undefined)
      throw new GcpRefusal('NOT_FOUND', 'This method does not exist in this emulator.');
    const caller = authenticate(request.headers.get('authorization'), state.gcpCredentials, now);
    principal = callerEmail(state, caller);
    const query = parseQuery(request.query, match.operation.query ?? []);
    const fields = parseBody(request.body, [...(match.operation.fields ?? []), 'name']);
    checkName(fields['name'], match.resource);
    const call = { state, caller, now, randomBytes, resource: match.resource, query };
    const answer = await match.operation.run(call, fields);
    if (match.operation.isChange === true) await cloud.save();
    cloud.record({ operation, principal, outcome: 'ok' });
    return json(200, answer);
  } catch (cause) {
    if (!(cause instanceof GcpRefusal)) throw cause;
    cloud.record({ operation, principal, outcome: cause.status });
    return gcpErrorReply(cause);
  }
}

/** The operation as it is recorded. */
export function gcpOperationName(request: LoopbackRequest): string {
  return `gcp.${findOperation(request)?.operation.name ?? 'unknown'}`;
}

function findOperation(request: LoopbackRequest): Match | undefined {
  for (const operation of gcpOperations) {
    const resource = operation.path.exec(request.path)?.[1];
    if (resource !== undefined && operation.method === request.method) return { operation, resource };
  }
  return undefined;
}

/** Go's clients repeat the resource of the path in the body. */
function checkName(name: JsonValue | undefined, resource: string): void {
  if (name === undefined || name === resource) return;
  throw new GcpRefusal('INVALID_ARGUMENT', 'name must be the resource of the path');
}
