// How Google Cloud says no: the canonical status names with their HTTP codes, and the one JSON shape.
import { json, type Reply } from '@clef/loopback';

export type GcpStatus = keyof typeof codes;

/** google.rpc.Code, the rows used here. */
const codes = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
} as const;

/** Thrown by an operation; becomes the reply. */
export class GcpRefusal extends Error {
  readonly status: GcpStatus;

  constructor(status: GcpStatus, message: string) {
    super(message);
    this.name = 'GcpRefusal';
    this.status = status;
  }
}

export function gcpErrorReply(refusal: GcpRefusal): Reply {
  const { status, message } = refusal;
  const code = codes[status];
  const challenge =
    status === 'UNAUTHENTICATED' ? { 'WWW-Authenticate': 'Bearer realm="https://accounts.google.com/"' } : {};
  return json(code, { error: { code, message, status } }, challenge);
}
