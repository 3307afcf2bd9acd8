// The server: binds to this machine only, passes every request through the gate, and hands what is left to its owner.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionLimits, type Connections, trackConnections } from './connections.ts';
import {
  type Admission,
  type GatePolicy,
  judgeRequest,
  type RefusalCode,
  type RequestHead,
  refusalReplies,
} from './gate.ts';
import { bindServer, type ListenAddress } from './listen.ts';
import { type PeerCheck, peerCheck } from './peer-uid.ts';
import { formatReply, type Reply, sendReply } from './respond.ts';
import { bearerCheck } from './token.ts';

export type LoopbackRequest = {
  readonly method: string;
  /** Exactly as sent: no escapes, no dot or empty segments. */
  readonly path: string;
  /** What follows the "?", as sent; undefined without one. */
  readonly query: string | undefined;
  /** Lower-case names; the values of a repeated header are joined with ", ". */
  readonly headers: ReadonlyMap<string, string>;
  /** The first header of that lower-case name. Cheaper than `headers` for one that is mostly absent. */
  header(name: string): string | undefined;
  readonly body: Uint8Array;
  /** How the caller proved itself; absent where no proof is asked for. */
  readonly principal?: 'bearer';
};

export type LoopbackLimits = ConnectionLimits & {
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  readonly maxTargetBytes: number;
  /** From opening, or from the first byte of a further request, to the end of the headers. */
  readonly headersTimeoutSeconds: number;
  /** To the end of the body. */
  readonly requestTimeoutSeconds: number;
  /** A connection without a request is kept this long. */
  readonly idleTimeoutSeconds: number;
};

export type LoopbackOptions = {
  readonly listen: ListenAddress;
  /** Every other method is 405. */
  readonly methods: readonly string[];
  /** 0: no request may have a body. */
  readonly maxBodyBytes: number;
  /** Reached without a token, by exactly these paths. */
  readonly publicPaths: readonly string[];
  /** The tokens that are accepted now; asked at every request. Absent: no path needs one. */
  readonly token?: () => readonly Uint8Array[];
  /** Where paths need a token: the users whose processes may show it. Linux, and a port; not for a Unix socket. */
  readonly allowUids?: ReadonlySet<number>;
  /** Accepted in Host besides `127.0.0.1:PORT`: a literal with its port, or a bare name, which gets ours. */
  readonly hosts?: readonly string[];
  /** Lets a target have a query. Default: 400. */
  readonly allowQuery?: boolean;
  /** Answers what came through the gate. Called once a request; answering at once is faster than a promise. */
  readonly respond: (request: LoopbackRequest) => Reply | Promise<Reply>;
  /** Told of every refusal, so that the owner can count and log. */
  readonly onRefusal?: (code: RefusalCode) => void;
  /** Told what `respond` threw; the client only sees 500. */
  readonly onFault?: (cause: unknown) => void;
  readonly limits?: Partial<LoopbackLimits>;
};

export type LoopbackServer = {
  /** 0 on a Unix socket. */
  readonly port: number;
  /** `http://127.0.0.1:PORT`, or `unix:PATH`. */
  readonly url: string;
  connections(): { readonly open: number; readonly streams: number };
  /** Ends every stream: who still may will come back. */
  endStreams(): void;
  /**
   * Stops accepting; answers what was on its way, each answer the last of its connection; closes idle connections, those
   * that were just in use after a quarter of a second, and after `graceSeconds` all that are left. Returns when everything is closed.
   */
  close(graceSeconds: number): Promise<void>;
};

const defaultLimits: LoopbackLimits = {
  maxConnections: 512,
  maxRequestsPerConnection: 1_000,
  maxPipelined: 64,
  maxHeaderBytes: 16_384,
  maxHeaders: 64,
  maxTargetBytes: 4_096,
  headersTimeoutSeconds: 4,
  requestTimeoutSeconds: 10,
  idleTimeoutSeconds: 30,
  writeTimeoutSeconds: 10,
  maxStreams: 64,
};

/**
 * Starts a server on 127.0.0.1 or a Unix socket; there is no way to name another address. A refused request is
 * answered with a fixed JSON error, never reaches `respond`, and ends its connection.
 * Throws `LoopbackError`: `port_in_use`, `address`, `permission`.
 */
export async function startLoopbackServer(options: LoopbackOptions): Promise<LoopbackServer> {
  const limits = { ...defaultLimits, ...options.limits };
  const connections = trackConnections(limits);
  const server = createServer({
    insecureHTTPParser: false, // also when NODE_OPTIONS asks for it
    requireHostHeader: false, // the gate answers, in its own shape
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutSeconds * 1000,
    requestTimeout: Math.max(limits.requestTimeoutSeconds, limits.headersTimeoutSeconds) * 1000,
    keepAliveTimeout: limits.idleTimeoutSeconds * 1000,
    connectionsCheckingInterval: 500,
  });
  server.maxHeadersCount = 0; // beyond its count Node drops headers silently; the gate counts and refuses
  try {
    const bound = await bindServer(server, options.listen);
    const hosts = hostLiterals(bound.hosts, bound.port, options.hosts ?? []);
    const refusals = refusalReplies(options.methods);
    const { allowUids } = options;
    const peers = allowUids === undefined ? undefined : peerCheck(allowUids);
    attach({ server, connections, policy: policyOf(options, limits, hosts), options, refusals, peers });
    return {
      port: bound.port,
      url: bound.url,
      connections: () => connections.count(),
      endStreams: () => connections.endStreams(),
      close: (graceSeconds) => closeServer(server, connections, graceSeconds),
    };
  } catch (cause) {
    connections.stop();
    server.close();
    throw cause;
  }
}

function policyOf(options: LoopbackOptions, limits: LoopbackLimits, hosts: ReadonlySet<string>): GatePolicy {
  return {
    hosts,
    methods: new Set(options.methods),
    publicPaths: new Set(options.publicPaths),
    allowQuery: options.allowQuery ?? false,
    maxBodyBytes: options.maxBodyBytes,
    maxHeaders: limits.maxHeaders,
    maxTargetBytes: limits.maxTargetBytes,
    ...(options.token === undefined ? {} : { isAuthorized: bearerCheck(options.token) }),
  };
}

function hostLiterals(own: readonly string[], port: number, further: readonly string[]): ReadonlySet<string> {
  return new Set([...own, ...further.map((host) => (host.includes(':') ? host : `${host}:${port}`))]);
}

/** One server's parts, so that each step of a request is a function of its own. */
type Desk = {
  readonly server: Server;
  readonly connections: Connections;
  readonly policy: GatePolicy;
  readonly options: LoopbackOptions;
  readonly refusals: ReadonlyMap<RefusalCode, Reply>;
  readonly peers: PeerCheck | undefined;
  /**
   * Kept for its shape. V8 forgets that of a kind of object when none is left at a full collection, as in every pause, and
   * requests that have to teach it anew may cost a fifth more from then on.
   */
  latest?: ServerResponse;
};

function attach(desk: Desk): void {
  const { server, connections } = desk;
  const onRequest = (message: IncomingMessage, response: ServerResponse): void =>
    receive(desk, message, response);
  server.on('request', onRequest);
  // Node would answer these two by itself; the gate refuses them by their header.
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('connect', (_message, socket) => refuseSocket(desk, socket, 'method_not_allowed'));
  server.on('connection', (socket) => {
    if (!connections.open(socket)) refuseSocket(desk, socket, 'overloaded');
  });
  server.on('clientError', (cause: NodeJS.ErrnoException, socket) => {
    // In the middle of a reply nothing else may be written: the client would take it for a part of that.
    if (connections.isBusy(socket) || !connections.end(socket)) socket.destroy();
    else refuseSocket(desk, socket, refusalOf(cause.code ?? ''));
  });
}

function receive(desk: Desk, message: IncomingMessage, response: ServerResponse): void {
  const head: RequestHead = {
    method: message.method ?? '',
    target: message.url ?? '',
    httpVersionMajor: message.httpVersionMajor,
    rawHeaders: message.rawHeaders,
  };
  desk.latest = response;
  const verdict = judgeRequest(head, desk.policy);
  if (typeof verdict === 'string') refuse(desk, message, response, verdict);
  else if (verdict.hasBody) receiveBody(desk, message, response, verdict);
  else answer(desk, message, response, verdict, noBytes);
}

function receiveBody(
  desk: Desk,
  message: IncomingMessage,
  response: ServerResponse,
  admission: Admission,
): void {
  const chunks: Uint8Array[] = [];
  let length = 0;
  message.on('data', (chunk: Uint8Array) => {
    length += chunk.length;
    if (length <= desk.policy.maxBodyBytes) chunks.push(chunk);
    else refuse(desk, message, response, 'body_too_large');
  });
  message.on('end', () => {
    if (length <= desk.policy.maxBodyBytes) answer(desk, message, response, admission, Buffer.concat(chunks));
  });
}

function answer(
  desk: Desk,
  message: IncomingMessage,
  response: ServerResponse,
  admission: Admission,
  body: Uint8Array,
): void {
  const turn = desk.connections.begin(message.socket, response);
  if (turn === 'ignore') return;
  try {
    const reply = judgePeer(desk, message, admission) ?? respond(desk, message, admission, body);
    if (reply instanceof Promise) {
      reply
        .then((early) => early ?? respond(desk, message, admission, body))
        .then((late) => deliver(desk, message, response, late, turn))
        .catch((cause: unknown) => fail(desk, message, response, cause, turn));
    } else deliver(desk, message, response, reply, turn);
  } catch (cause) {
    fail(desk, message, response, cause, turn);
  }
}

function fail(
  desk: Desk,
  message: IncomingMessage,
  response: ServerResponse,
  cause: unknown,
  turn: 'last' | 'more',
): void {
  desk.options.onFault?.(cause);
  if (response.headersSent) message.socket.destroy();
  else deliver(desk, message, response, replyTo(desk, 'internal'), turn);
}

function respond(
  desk: Desk,
  message: IncomingMessage,
  admission: Admission,
  body: Uint8Array,
): Reply | Promise<Reply> {
  return desk.options.respond(new AdmittedRequest(message, admission, body));
}

/** A refusal, a promise of one or of nothing where the user must be looked up first, or nothing. */
function judgePeer(
  desk: Desk,
  message: IncomingMessage,
  admission: Admission,
): Reply | Promise<Reply | undefined> | undefined {
  if (desk.peers === undefined || !admission.isAuthorized) return undefined;
  const refuseUnless = (isAllowed: boolean): Reply | undefined =>
    isAllowed ? undefined : replyTo(desk, 'user_not_allowed');
  const verdict = desk.peers(message.socket);
  return typeof verdict === 'boolean' ? refuseUnless(verdict) : verdict.then(refuseUnless);
}

function deliver(
  desk: Desk,
  message: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  turn: 'last' | 'more',
): void {
  const isStream = typeof reply.body === 'function' && message.method !== 'HEAD';
  const isRefused = isStream && !desk.connections.beginStream(message.socket);
  const sent = isRefused ? replyTo(desk, 'too_many_streams') : reply;
  sendReply(response, sent, isStream || turn === 'last' || !desk.server.listening);
  if (isStream && !desk.server.listening) response.end();
}

function refuse(desk: Desk, message: IncomingMessage, response: ServerResponse, code: RefusalCode): void {
  if (desk.connections.begin(message.socket, response) === 'ignore') return;
  desk.connections.end(message.socket);
  sendReply(response, replyTo(desk, code), true);
}

/** For what never became a request. */
function refuseSocket(desk: Desk, socket: Duplex, code: RefusalCode): void {
  if (socket.writable) socket.end(formatReply(replyTo(desk, code)), () => socket.destroy());
  else socket.destroy();
}

function replyTo(desk: Desk, code: RefusalCode): Reply {
  desk.options.onRefusal?.(code);
  return desk.refusals.get(code) ?? { status: 500 };
}

function refusalOf(errno: string): RefusalCode {
  switch (errno) {
    case 'HPE_HEADER_OVERFLOW':
      return 'headers_too_large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'timeout';
    default:
      return 'bad_request';
  }
}

const noBytes = new Uint8Array(0);

/** A class for its lazy header map: most requests are answered without looking at one. */
class AdmittedRequest implements LoopbackRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string | undefined;
  readonly body: Uint8Array;
  declare readonly principal?: 'bearer';
  readonly #rawHeaders: readonly string[];
  #headers: Map<string, string> | undefined;

  constructor(message: IncomingMessage, admission: Admission, body: Uint8Array) {
    this.method = message.method ?? '';
    this.path = admission.path;
    this.query = admission.query;
    this.body = body;
    if (admission.isAuthorized) this.principal = 'bearer';
    this.#rawHeaders = message.rawHeaders;
  }

  header(name: string): string | undefined {
    const raw = this.#rawHeaders;
    for (let at = 0; at < raw.length; at += 2) {
      const given = raw[at] as string;
      if (given.length === name.length && given.toLowerCase() === name) return raw[at + 1];
    }
    return undefined;
  }

  get headers(): ReadonlyMap<string, string> {
    if (this.#headers !== undefined) return this.#headers;
    const map = new Map<string, string>();
    for (let at = 0; at < this.#rawHeaders.length; at += 2) {
      const name = this.#rawHeaders[at]?.toLowerCase() ?? '';
      const value = this.#rawHeaders[at + 1] ?? '';
      const earlier = map.get(name);
      map.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
    }
    this.#headers = map;
    return map;
  }
}

/** A client in the middle of its work may have sent a further request when we begin to close; it is awaited for so long. */
const lastRequestMilliseconds = 250;
const sweepMilliseconds = 20;

async function closeServer(server: Server, connections: Connections, graceSeconds: number): Promise<void> {
  if (!server.listening) return;
  // Not the close of an HTTP server: that destroys connections whose next request has arrived and is not yet read.
  const closed = new Promise<void>((settle) => TcpServer.prototype.close.call(server, () => settle()));
  connections.endStreams();
  // Again and again: a connection becomes idle when its reply is out, and that may have been announced as keep-alive.
  let which: 'all' | 'unused' = 'unused';
  const sweep = setInterval(() => connections.closeIdle(which), sweepMilliseconds);
  const wait = setTimeout(() => {
    which = 'all';
  }, lastRequestMilliseconds);
  const cut = setTimeout(() => connections.closeAll(), graceSeconds * 1000);
  await closed;
  clearInterval(sweep);
  clearTimeout(wait);
  clearTimeout(cut);
  connections.stop();
  server.close(); // what is left of it: the timer that looks for slow requests
}
