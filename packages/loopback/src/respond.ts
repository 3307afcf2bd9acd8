// Replies: plain data, sent in one place with the headers that every answer of a loopback server carries.
import type { ServerResponse } from 'node:http';

/**
 * What to answer. `Cache-Control: no-store`, `X-Content-Type-Options: nosniff` and the length are added on sending.
 * `body` is complete today; a stream of events will be one more kind of `body`, sent by the same {@link sendReply}.
 */
export type Reply = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
};

type PreparedReply = Reply & { readonly [headerList]: readonly string[] };

const headerList = Symbol('headers ready to be sent');

/** A JSON answer. */
export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(value) };
}

/** The one shape of an error: `{ "error": { "code", "message" } }`. Both are fixed texts, never made from input. */
export function errorReply(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return json(status, { error: { code, message } }, headers);
}

/** Returns an equal reply that costs less to send; for one that is sent many times. Its body must not change. */
export function prepareReply(reply: Reply): Reply {
  const prepared: PreparedReply = { ...reply, [headerList]: listHeaders(reply) };
  return prepared;
}

/** Sends a whole reply, and says that the connection ends with it if `isLast`. */
export function sendReply(response: ServerResponse, reply: Reply, isLast: boolean): void {
  const headers = headerList in reply ? (reply as PreparedReply)[headerList] : listHeaders(reply);
  // A flat list goes out as it is, without Node's header map.
  response.writeHead(reply.status, (isLast ? [...headers, 'Connection', 'close'] : headers) as string[]);
  response.end(reply.body);
}

/** The same reply as the bytes of an HTTP/1.1 message, for a socket that has no request to answer. */
export function formatReply(reply: Reply): string {
  const lines = [`HTTP/1.1 ${reply.status} ${reasons.get(reply.status) ?? 'Refused'}`];
  const headers = [...listHeaders(reply), 'Connection', 'close'];
  for (let at = 0; at < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n${reply.body ?? ''}`;
}

const reasons = new Map([
  [400, 'Bad Request'],
  [405, 'Method Not Allowed'],
  [408, 'Request Timeout'],
  [413, 'Payload Too Large'],
  [431, 'Request Header Fields Too Large'],
  [503, 'Service Unavailable'],
]);

function listHeaders(reply: Reply): string[] {
  const list = ['Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff'];
  for (const [name, value] of Object.entries(reply.headers ?? {})) list.push(name, value);
  // RFC 9110, 8.6: no length on 204, and on 304 only that of the 200 it stands for.
  if (reply.status !== 204 && reply.status !== 304) list.push('Content-Length', String(lengthOf(reply.body)));
  return list;
}

function lengthOf(body: Uint8Array | string | undefined): number {
  return body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
}
