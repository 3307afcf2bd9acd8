// What each path answers. No decryption, no file and no network here: every answer was made when its revision came.
import { errorReply, json, type LoopbackRequest, prepareReply, type Reply } from '@clef/loopback';
import type { Absence, CurrentSecrets } from './current-secrets.ts';
import type { Status } from './refresh.ts';

export const publicPaths = ['/v1/health', '/v1/ready'] as const;

type RouteState = {
  readonly current: CurrentSecrets;
  readonly status: () => Status;
  /** Asks the KMS before each answer, where that is configured. */
  readonly authorize: (() => Promise<void>) | undefined;
};

type Route = (request: LoopbackRequest) => Reply | Promise<Reply>;

/** The function that answers requests which passed the gate. */
export function createRoutes(state: RouteState): Route {
  const secrets: Route = (request) => respondWithSecrets(state.current, request);
  const { authorize } = state;
  const guarded: Route =
    authorize === undefined
      ? secrets
      : async (request) => {
          await authorize();
          return secrets(request);
        };
  const table = new Map<string, Route>([
    ['/v1/health', () => alive],
    ['/v1/ready', () => readiness(state.status())],
    ['/v1/secrets', guarded],
    ['/v1/keys', guarded],
  ]);
  return (request) => {
    const route = table.get(request.path) ?? (request.path.startsWith('/v1/secrets/') ? guarded : undefined);
    return route === undefined ? notFound : route(request);
  };
}

function respondWithSecrets(current: CurrentSecrets, request: LoopbackRequest): Reply {
  const { revision } = current;
  if (revision === undefined) return unavailable[current.absence];
  const reply = revision.replies.get(request.path);
  if (reply === undefined) return notFound;
  const condition = request.headers.get('if-none-match');
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

const absenceMessages = {
  not_loaded: 'No artifact has been loaded yet',
  expired: 'The artifact has expired and no newer one has come',
  revoked: 'The artifact was revoked',
  stale: 'The artifact could not be confirmed for too long',
  denied: 'This machine may no longer open the artifact',
} satisfies Record<Absence, string>;

const alive = prepareReply(json(200, { alive: true }));
const notFound = prepareReply(errorReply(404, 'not_found', 'There is nothing at this path'));

const unavailable = Object.fromEntries(
  Object.entries(absenceMessages).map(([code, message]) => [
    code,
    prepareReply(errorReply(503, code, message)),
  ]),
) as Record<Absence, Reply>;
