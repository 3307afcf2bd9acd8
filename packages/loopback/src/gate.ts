// The gate: what a request must look like before anybody looks at what it asks for. It judges the raw header lines and
// the raw target, so that nothing it lets through can be read in two ways. Pure: a request in, a verdict out.
import { errorReply, prepareReply, type Reply } from './respond.ts';

export type RequestHead = {
  readonly method: string;
  readonly target: string;
  readonly httpVersionMajor: number;
  /** Name, value, name, value… as received. */
  readonly rawHeaders: readonly string[];
};

export type GatePolicy = {
  /** The exact values of Host that are us. */
  readonly hosts: ReadonlySet<string>;
  readonly methods: ReadonlySet<string>;
  /** Reached without a token, by exactly this path. */
  readonly publicPaths: ReadonlySet<string>;
  readonly allowQuery: boolean;
  readonly maxBodyBytes: number;
  readonly maxHeaders: number;
  readonly maxTargetBytes: number;
  /** Absent: no path needs a token. */
  readonly isAuthorized?: (authorization: string | undefined) => boolean;
};

export type Admission = {
  readonly path: string;
  readonly query: string | undefined;
  readonly hasBody: boolean;
  /** True when a token was asked for and found right. */
  readonly isAuthorized: boolean;
};

export type RefusalCode = keyof typeof refusalTable;

/** One row for each way to be turned away. The texts are fixed: nothing of the request comes back. */
export const refusalTable = {
  bad_request: [400, 'The request is not well-formed HTTP/1.1'],
  host_missing: [400, 'Send exactly one Host header'],
  host_not_allowed: [403, 'The Host header must be the literal address of this server'],
  cross_origin: [403, 'Requests from web pages are refused'],
  forwarded: [400, 'Forwarded requests are refused: connect directly'],
  method_not_allowed: [405, 'The method is not allowed'],
  upgrade: [400, 'Only HTTP/1.1 is spoken here'],
  expectation: [417, 'Expect is not supported: send the request whole'],
  target_form: [400, 'The request target must be a plain path'],
  query: [400, 'A query is not allowed'],
  target_too_long: [414, 'The request target is too long'],
  headers_too_large: [431, 'The request has too many or too large headers'],
  body_not_allowed: [400, 'A body is not allowed'],
  body_too_large: [413, 'The body is too large'],
  authorization_twice: [400, 'Send exactly one Authorization header'],
  unauthorized: [401, 'Send the token as "Authorization: Bearer TOKEN"'],
  user_not_allowed: [403, 'The user of this process may not ask'],
  too_many_streams: [429, 'Too many streams are open: close one or come back later'],
  not_found: [404, 'There is nothing at this path'],
  timeout: [408, 'The request took too long'],
  overloaded: [503, 'Too many requests are in progress'],
  internal: [500, 'The request failed because of a bug'],
} as const satisfies Record<string, readonly [status: number, message: string]>;

/** The reply to a refused request. `methods` fills `Allow` (RFC 9110 asks for it on 405). */
export function refusalReplies(methods: readonly string[]): ReadonlyMap<RefusalCode, Reply> {
  const extras: { readonly [code in RefusalCode]?: Record<string, string> } = {
    unauthorized: { 'WWW-Authenticate': 'Bearer' },
    method_not_allowed: { Allow: methods.join(', ') },
    too_many_streams: { 'Retry-After': '10' },
  };
  const rows = Object.entries(refusalTable) as [RefusalCode, readonly [number, string]][];
  return new Map(
    rows.map(([code, [status, message]]) => [
      code,
      prepareReply(errorReply(status, code, message, extras[code] ?? {})),
    ]),
  );
}

/** Judges a request: a refusal's code, or what was understood of it. The order of the checks is part of the contract. */
export function judgeRequest(head: RequestHead, policy: GatePolicy): RefusalCode | Admission {
  if (head.httpVersionMajor !== 1) return 'bad_request';
  if (head.rawHeaders.length > policy.maxHeaders * 2) return 'headers_too_large';
  if (head.target.length > policy.maxTargetBytes) return 'target_too_long';

  const headers = readHeaders(head.rawHeaders);
  if (typeof headers === 'string') return headers;
  if (headers.host === undefined) return 'host_missing';
  if (!policy.hosts.has(headers.host)) return 'host_not_allowed';
  if (!policy.methods.has(head.method)) return 'method_not_allowed';

  const body = judgeBody(head.method, headers, policy.maxBodyBytes);
  if (typeof body === 'string') return body;
  return judgeTarget(head.target, headers.authorization, body, policy);
}

/** The few headers that decide something here. */
type Headers = {
  host: string | undefined;
  authorization: string | undefined;
  contentLength: string | undefined;
  transferEncoding: string | undefined;
};

/** Headers whose presence alone is a refusal. */
const refusedHeaders: ReadonlyMap<string, RefusalCode> = new Map<string, RefusalCode>([
  ['origin', 'cross_origin'],
  ['forwarded', 'forwarded'],
  ['via', 'forwarded'],
  ['x-real-ip', 'forwarded'],
  ['upgrade', 'upgrade'],
  ['expect', 'expectation'],
  ['te', 'bad_request'],
  ['trailer', 'bad_request'],
]);

/** Anything but visible ASCII, space and tab. Node lets 0x80 to 0xFF through. */
const foreign = /[^\t\x20-\x7e]/;

function readHeaders(raw: readonly string[]): Headers | RefusalCode {
  const headers: Headers = {
    host: undefined,
    authorization: undefined,
    contentLength: undefined,
    transferEncoding: undefined,
  };
  for (let at = 0; at < raw.length; at += 2) {
    const refusal = readHeader(headers, raw[at]?.toLowerCase() ?? '', raw[at + 1] ?? '');
    if (refusal !== undefined) return refusal;
  }
  return headers;
}

function readHeader(headers: Headers, name: string, value: string): RefusalCode | undefined {
  if (foreign.test(value)) return 'bad_request';
  switch (name) {
    case 'host':
      if (headers.host !== undefined) return 'host_missing';
      headers.host = value;
      return undefined;
    case 'authorization':
      if (headers.authorization !== undefined) return 'authorization_twice';
      headers.authorization = value;
      return undefined;
    case 'content-length':
      if (headers.contentLength !== undefined) return 'bad_request';
      headers.contentLength = value;
      return undefined;
    case 'transfer-encoding':
      if (headers.transferEncoding !== undefined) return 'bad_request';
      headers.transferEncoding = value;
      return undefined;
    case 'sec-fetch-site':
      // "none" is a person who typed the address; every page, ours included, says something else.
      return value === 'none' ? undefined : 'cross_origin';
    default:
      if (name.startsWith('x-forwarded-')) return 'forwarded';
      if (name.startsWith('access-control-request-')) return 'cross_origin';
      return refusedHeaders.get(name);
  }
}

function judgeBody(method: string, headers: Headers, maxBodyBytes: number): boolean | RefusalCode {
  const { contentLength, transferEncoding } = headers;
  if (transferEncoding === undefined && (contentLength === undefined || contentLength === '0')) return false;
  // "xchunked" and "chunked, identity" are where two readers of one connection begin to disagree.
  if (transferEncoding !== undefined && (transferEncoding !== 'chunked' || contentLength !== undefined))
    return 'bad_request';
  if (contentLength !== undefined && !/^[0-9]{1,15}$/.test(contentLength)) return 'bad_request';
  if (maxBodyBytes === 0 || method === 'GET' || method === 'HEAD') return 'body_not_allowed';
  return Number(contentLength ?? 0) > maxBodyBytes ? 'body_too_large' : true;
}

function judgeTarget(
  target: string,
  authorization: string | undefined,
  hasBody: boolean,
  policy: GatePolicy,
): RefusalCode | Admission {
  if (!target.startsWith('/') && target !== '*') return 'target_form';
  const mark = target.indexOf('?');
  if (mark !== -1 && !policy.allowQuery) return 'query';
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? undefined : target.slice(mark + 1);

  const needsToken = policy.isAuthorized !== undefined && !policy.publicPaths.has(path);
  // Before the path is looked at: without the token, every path looks the same from outside.
  if (needsToken && policy.isAuthorized?.(authorization) !== true) return 'unauthorized';
  if (!isCanonicalPath(path)) return 'not_found';
  return { path, query, hasBody, isAuthorized: needsToken };
}

/** No escapes, parameters, empty or dot segments, fragments or foreign characters: one path, one spelling. */
function isCanonicalPath(path: string): boolean {
  return canonicalPath.test(path);
}

const canonicalPath = /^\/(?:(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+(?:\/|$))*$/;
