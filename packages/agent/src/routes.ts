// What each path answers. No decryption, no file and no network here: every answer was made when its revision came.
import {
  errorReply,
  json,
  type LoopbackRequest,
  prepareReply,
  type Reply,
  type StreamSink,
} from '@clef/loopback';
import type { Absence, CurrentSecrets } from './current-secrets.ts';
import type { Metrics } from './metrics.ts';
import type { Status } from './refresh.ts';
import { absenceMessages, type Operation, routeTable } from './route-table.ts';
import type { Watchers } from './watchers.ts';

/** Reached without a token. */
export const publicPaths: readonly string[] = routeTable
  .filter(({ isPublic }) => isPublic)
  .map(({ path }) => path);

export type RouteState = {
  readonly current: CurrentSecrets;
  readonly status: () => Status;
  readonly watchers: Watchers;
  readonly metrics: Metrics;
  readonly formatMetrics: () => string;
  /** What must be waited for before values are given: the KMS, where its last word is too old. */
  readonly authorization: () => Promise<void> | undefined;
};

type Route = (request: LoopbackRequest) => Reply | Promise<Reply>;

/** The function that answers requests which passed the gate. */
export function createRoutes(state: RouteState): Route {
  const routes = routesOf(state);
  const exact = new Map<string, Route>();
  let oneSecret: Route = () => notFound;
  for (const { path, operation } of routeTable) {
    const route = counted(routes[operation], state.metrics, path);
    if (path === '/v1/secrets/{key}') oneSecret = route;
    else exact.set(path, route);
  }
  const unknown = counted(() => notFound, state.metrics, 'none');
  return (request) => {
    const { path } = request;
    const route = exact.get(path) ?? (path.startsWith('/v1/secrets/') ? oneSecret : unknown);
    return route(request);
  };
}

function routesOf(state: RouteState): Record<Operation, Route> {
  const secrets = guarded(state, (request) => respondWithSecrets(state.current, request));
  return {
    secrets,
    secret: secrets,
    keys: secrets,
    watch: guarded(state, (request) => state.watchers.open(request.header('last-event-id'))),
    health: () => alive,
    ready: () => readiness(state.status()),
    metrics: () => ({ status: 200, headers: prometheusText, body: state.formatMetrics() }),
  };
}

function guarded({ authorization }: RouteState, route: (request: LoopbackRequest) => Reply): Route {
  return (request) => {
    const asked = authorization();
    return asked === undefined ? route(request) : asked.then(() => route(request));
  };
}

function counted(route: Route, metrics: Metrics, path: string): Route {
  const counter = metrics.requestsOf(path);
  const note = (reply: Reply, request: LoopbackRequest): Reply => {
    const { status, body } = reply;
    if (typeof body === 'function' && request.method !== 'HEAD')
      return { ...reply, body: noted(body, () => counter.count(status)) };
    counter.count(status);
    return reply;
  };
  return (request) => {
    const reply = route(request);
    return reply instanceof Promise ? reply.then((late) => note(late, request)) : note(reply, request);
  };
}

/** A stream counts once it begins: the server may have too many of them, and then answers something else. */
function noted(start: (sink: StreamSink) => void, note: () => void): (sink: StreamSink) => void {
  return (sink) => {
    note();
    start(sink);
  };
}

function respondWithSecrets(current: CurrentSecrets, request: LoopbackRequest): Reply {
  const { revision } = current;
  if (revision === undefined) return unavailable[current.absence];
  const reply = revision.replies.get(request.path);
  if (reply === undefined) return notFound;
  const condition = request.header('if-none-match');
  return condition !== undefined && matches(condition, revision.etag) ? revision.unchanged : reply;
}

/** RFC 9110, section 13.1.2: a list of tags compared weakly, or any. */
function matches(condition: string, etag: string): boolean {
  if (condition === etag || condition === '*') return true;
  return condition.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

function readiness(status: Status): Reply {
  const { absence, ...facts } = status;
  if (absence === undefined) return json(200, { ready: true, ...facts });
  return json(503, { ready: false, error: { code: absence, message: absenceMessages[absence] }, ...facts });
}

const prometheusText = { 'Content-Type': 'text/plain; version=0.0.4' };
const alive = prepareReply(json(200, { alive: true }));
const notFound = prepareReply(errorReply(404, 'not_found', 'There is nothing at this path'));

const unavailable = Object.fromEntries(
  Object.entries(absenceMessages).map(([code, message]) => [
    code,
    prepareReply(errorReply(503, code, message)),
  ]),
) as Record<Absence, Reply>;
