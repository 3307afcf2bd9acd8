// Replies: plain data, sent in one place with the headers that every answer of a loopback server carries.
import type { ServerResponse } from 'node:http';

/**
 * What to answer. `Cache-Control: no-store`, `X-Content-Type-Options: nosniff` and the length are added on sending.
 * A body that is a function is a stream: it is called once, when the headers are out, and its connection ends with it.
 */
export type Reply = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | StreamBody;
};

export type StreamBody = (sink: StreamSink) => void;

/** One client's end of a stream. */
export type StreamSink = {
  /** A client that does not keep up with what is written is cut off. The bytes must not change. */
  write(bytes: Uint8Array): void;
  end(): void;
  /** Calls `task` once, when the connection is gone, whoever ended it. */
  onClose(task: () => void): void;
};

/** What a client may leave unread before it is cut off: thousands of events, and little memory. */
const maxUnreadStreamBytes = 64 * 1024;

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
  if (typeof reply.body === 'function') startStream(response, reply.body);
  else response.end(reply.body);
}

function startStream(response: ServerResponse, body: StreamBody): void {
  if (response.req.method === 'HEAD') return void response.end();
  response.flushHeaders();
  const { socket } = response;
  body({
    write: (bytes) => {
      if (response.writableLength > maxUnreadStreamBytes) socket?.destroy();
      else if (!response.writableEnded) response.write(bytes);
    },
    end: () => void response.end(),
    onClose: (task) => void response.once('close', task),
  });
}

/** The same reply as the bytes of an HTTP/1.1 message, for a socket that has no request to answer. */
export function formatReply(reply: Reply): string {
  const lines = [`HTTP/1.1 ${reply.status} ${reasons.get(reply.status) ?? 'Refused'}`];
  const headers = [...listHeaders(reply), 'Connection', 'close'];
  for (let at = 0; at < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n${typeof reply.body === 'string' ? reply.body : ''}`;
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
  const { status, body } = reply;
  if (status !== 204 && status !== 304 && typeof body !== 'function')
    list.push('Content-Length', String(lengthOf(body)));
  return list;
}

function lengthOf(body: Uint8Array | string | undefined): number {
  return body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
}
