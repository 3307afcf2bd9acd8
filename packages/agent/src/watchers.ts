// Who follows `/v1/watch`: each change of what is served goes to every one of them once and in order, as the names of the
// keys that changed. Values never come here.
import { prepareReply, type Reply, type StreamSink } from '@clef/loopback';
import type { Change, CurrentSecrets } from './current-secrets.ts';
import type { AgentWorld } from './world.ts';

const heartbeatMilliseconds = 15_000;
/** How many changes back a watcher that returns is told exactly what it missed. */
const keptChanges = 64;

type Missed = { readonly from: string; readonly changed: readonly string[] };

/** The watchers of one agent. */
export type Watchers = {
  /**
   * The answer to a watcher: a stream that begins with where things stand, unless `lastEventId` says that it knows.
   * @param lastEventId - The id of the last event that it saw, which is a revision.
   */
  open(lastEventId: string | undefined): Reply;
  count(): number;
  /** Stops the heartbeat. The streams are the server's to end. */
  stop(): void;
};

export function followChanges(current: CurrentSecrets, world: Pick<AgentWorld, 'after'>): Watchers {
  const sinks = new Set<StreamSink>();
  const missed: Missed[] = [];
  let lastId: string | undefined;
  let cancel = (): void => undefined;

  const tell = (bytes: Uint8Array): void => {
    for (const sink of sinks) sink.write(bytes);
  };
  const forget = current.onChange((change) => {
    if (change.kind === 'revision') {
      if (lastId !== undefined) missed.push({ from: lastId, changed: change.changed });
      if (missed.length > keptChanges) missed.shift();
      lastId = String(change.revision);
    }
    tell(formatEvent(change));
  });
  const beat = (): void => {
    tell(heartbeat);
    if (sinks.size > 0) cancel = world.after(heartbeatMilliseconds, beat);
  };
  const add = (sink: StreamSink, lastEventId: string | undefined): void => {
    sink.onClose(() => sinks.delete(sink));
    sink.write(greeting);
    const news = newsFor(current, missed, lastEventId);
    if (news !== undefined) sink.write(formatEvent(news));
    sinks.add(sink);
    if (sinks.size === 1) {
      cancel();
      cancel = world.after(heartbeatMilliseconds, beat);
    }
  };
  return {
    open: (lastEventId) => ({ ...eventStream, body: (sink) => add(sink, lastEventId) }),
    count: () => sinks.size,
    stop: () => {
      forget();
      cancel();
    },
  };
}

const encoder = new TextEncoder();
const heartbeat = encoder.encode(': still here\n\n');
/** Come back after a second when the connection breaks. */
const greeting = encoder.encode('retry: 1000\n\n');
const eventStream = prepareReply({
  status: 200,
  headers: { 'Content-Type': 'text/event-stream' },
  body: noStream,
});

function noStream(): void {
  throw new Error('every watcher gets a stream of its own');
}

/** What a watcher must be told at once: nothing when it has what is served. */
function newsFor(
  current: CurrentSecrets,
  missed: readonly Missed[],
  lastEventId: string | undefined,
): Change | undefined {
  const { revision } = current;
  if (revision === undefined) return { kind: 'absence', absence: current.absence };
  if (lastEventId === String(revision.revision)) return undefined;
  const since = lastEventId === undefined ? -1 : missed.findLastIndex(({ from }) => from === lastEventId);
  const changed = since < 0 ? revision.keys : missed.slice(since).flatMap((change) => change.changed);
  return { kind: 'revision', revision: revision.revision, changed: [...new Set(changed)].sort() };
}

/** HTML, section 9.2.6: fields by line, an empty line at the end. JSON holds no line ends. */
function formatEvent(change: Change): Uint8Array {
  if (change.kind === 'absence')
    return encoder.encode(`event: unavailable\ndata: ${JSON.stringify({ code: change.absence })}\n\n`);
  const { revision, changed } = change;
  return encoder.encode(
    `event: revision\nid: ${revision}\ndata: ${JSON.stringify({ revision, changed })}\n\n`,
  );
}
