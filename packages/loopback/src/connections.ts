// The open connections: how many requests each has made, which one has to go when there are too many, and which client
// has stopped reading. Kept without a listener or a timer for each request.
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

export type ConnectionLimits = {
  readonly maxConnections: number;
  readonly maxRequestsPerConnection: number;
  /** Requests sent before the reply to the previous one was out. */
  readonly maxPipelined: number;
  /** From the arrival of a request to the end of its reply; checked once a second. */
  readonly writeTimeoutSeconds: number;
  /** Connections with a stream; they are not counted among `maxConnections`, so that they leave room for requests. */
  readonly maxStreams: number;
};

type Connection = {
  /** The place of its last request, or of its opening when it made none, among all of them. */
  lastUse: number;
  requests: number;
  pipelined: number;
  reply: ServerResponse | undefined;
  sinceTick: number;
  isEnding: boolean;
  isStream: boolean;
};

export type Connections = ReturnType<typeof trackConnections>;

export function trackConnections(limits: ConnectionLimits) {
  const connections = new Map<Duplex, Connection>();
  let uses = 0;
  let tick = 0;
  let streams = 0;
  const timer = setInterval(() => {
    tick += 1;
    for (const [socket, connection] of connections) {
      if (
        !connection.isStream &&
        isBusy(connection) &&
        tick - connection.sinceTick > limits.writeTimeoutSeconds
      )
        socket.destroy();
    }
  }, 1000);
  timer.unref();

  return {
    /** Returns false when there is no room: every other connection has a request in progress. */
    open(socket: Duplex): boolean {
      if (connections.size - streams >= limits.maxConnections && !evictOldest(connections)) return false;
      connections.set(socket, newConnection(uses++));
      socket.once('close', () => {
        if (connections.get(socket)?.isStream === true) streams -= 1;
        connections.delete(socket);
      });
      return true;
    },

    /** Notes that the reply in progress is a stream. Returns false when there are too many. */
    beginStream(socket: Duplex): boolean {
      const connection = connections.get(socket);
      if (connection === undefined || streams >= limits.maxStreams) return false;
      connection.isStream = true;
      connection.isEnding = true;
      streams += 1;
      return true;
    },

    endStreams(): void {
      for (const { isStream, reply } of connections.values()) if (isStream) reply?.end();
    },

    count(): { readonly open: number; readonly streams: number } {
      return { open: connections.size, streams };
    },

    /** Notes that a whole request has arrived. `ignore`: its connection is ending; `last`: end it with this reply. */
    begin(socket: Duplex, reply: ServerResponse): 'ignore' | 'last' | 'more' {
      const connection = connections.get(socket);
      if (connection === undefined || connection.isEnding) return 'ignore';
      connection.pipelined = isBusy(connection) ? connection.pipelined + 1 : 0;
      connection.requests += 1;
      connection.lastUse = uses++;
      connection.reply = reply;
      connection.sinceTick = tick;
      const hasMore =
        connection.requests < limits.maxRequestsPerConnection && connection.pipelined < limits.maxPipelined;
      if (!hasMore) connection.isEnding = true;
      return hasMore ? 'more' : 'last';
    },

    /** From now on, whatever else comes in on this connection is not looked at. False when that was so already. */
    end(socket: Duplex): boolean {
      const connection = connections.get(socket);
      if (connection === undefined || connection.isEnding) return false;
      connection.isEnding = true;
      return true;
    },

    isBusy(socket: Duplex): boolean {
      const connection = connections.get(socket);
      return connection !== undefined && isBusy(connection);
    },

    /** `unused`: only those without a request for a second or two. */
    closeIdle(which: 'all' | 'unused'): void {
      for (const [socket, connection] of connections) {
        const isInUse = connection.requests > 0 && tick - connection.sinceTick <= 1;
        if (!isBusy(connection) && (which === 'all' || !isInUse)) socket.destroy();
      }
    },

    closeAll(): void {
      for (const socket of connections.keys()) socket.destroy();
    },

    stop(): void {
      clearInterval(timer);
    },
  };
}

function newConnection(lastUse: number): Connection {
  return {
    lastUse,
    requests: 0,
    pipelined: 0,
    reply: undefined,
    sinceTick: 0,
    isEnding: false,
    isStream: false,
  };
}

function isBusy(connection: Connection): boolean {
  return connection.reply !== undefined && !connection.reply.writableFinished;
}

/**
 * Slow and silent clients are always the oldest without a request. Refusing newcomers instead would let a few hundred
 * of them lock every honest client out.
 */
function evictOldest(connections: Map<Duplex, Connection>): boolean {
  let oldest: [Duplex, Connection] | undefined;
  for (const entry of connections) {
    if (!isBusy(entry[1]) && entry[1].lastUse < (oldest?.[1].lastUse ?? Number.POSITIVE_INFINITY))
      oldest = entry;
  }
  if (oldest === undefined) return false;
  connections.delete(oldest[0]);
  oldest[0].destroy();
  return true;
}
