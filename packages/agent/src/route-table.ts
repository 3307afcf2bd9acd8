// Every route of the agent: its path, who may ask, and each answer it can give. The server dispatches by this table and
// docs/openapi.yaml is made from it, so neither can know a route that the other does not.
import type { Absence } from './current-secrets.ts';

export type Operation = 'secrets' | 'secret' | 'keys' | 'watch' | 'health' | 'ready' | 'metrics';

export type AnswerRow = {
  readonly description: string;
  readonly contentType?: 'application/json' | 'text/event-stream' | 'text/plain; version=0.0.4';
  /** JSON Schema of the body, where it is JSON. */
  readonly schema?: object;
  readonly headers?: readonly HeaderName[];
};

export type HeaderName = 'ETag' | 'Clef-Revision';

export type RouteRow = {
  /** As OpenAPI writes it. `{key}` is the rest of the path. */
  readonly path: string;
  readonly operation: Operation;
  readonly isPublic: boolean;
  readonly summary: string;
  readonly details?: string;
  /** Request headers that change the answer. */
  readonly conditions?: readonly ('If-None-Match' | 'Last-Event-ID')[];
  /** Besides what the gate answers before any route is reached. */
  readonly answers: Readonly<Record<number, AnswerRow>>;
};

/** What `error.code` says when nothing is served. */
export const absenceMessages = {
  not_loaded: 'No artifact has been loaded yet',
  expired: 'The artifact has expired and no newer one has come',
  revoked: 'The artifact was revoked',
  stale: 'The artifact could not be confirmed for too long',
  denied: 'This machine may no longer open the artifact',
} satisfies Record<Absence, string>;

const absenceCodes = Object.keys(absenceMessages);

function errorSchema(codes: readonly string[]): object {
  return {
    type: 'object',
    required: ['error'],
    additionalProperties: false,
    properties: {
      error: {
        type: 'object',
        required: ['code', 'message'],
        additionalProperties: false,
        properties: { code: { enum: codes }, message: { type: 'string' } },
      },
    },
  };
}

const statusProperties = {
  revision: { type: 'integer', description: 'What is served' },
  source: { enum: ['remote', 'disk'], description: 'Where it came from' },
  floor: {
    enum: ['durable', 'volatile'],
    description: 'Whether the newest revision is remembered across restarts',
  },
  ageSeconds: { type: 'integer', minimum: 0, description: 'Since the source last gave or confirmed it' },
  problem: { type: 'string', description: 'The reason of the last failure, while it lasts' },
};

const unchanged: AnswerRow = {
  description: 'The revision is the one named in If-None-Match',
  headers: ['ETag', 'Clef-Revision'],
};
const unavailable: AnswerRow = {
  description: 'Nothing is served now; the code says why',
  contentType: 'application/json',
  schema: errorSchema([...absenceCodes, 'overloaded']),
};
const versioned = { contentType: 'application/json', headers: ['ETag', 'Clef-Revision'] } as const;
const conditional = { isPublic: false, conditions: ['If-None-Match'] } as const;

export const routeTable: readonly RouteRow[] = [
  {
    ...conditional,
    path: '/v1/secrets',
    operation: 'secrets',
    summary: 'All values',
    answers: {
      200: {
        ...versioned,
        description: 'Every key with its value, all of one revision',
        schema: { type: 'object', additionalProperties: { type: 'string' } },
      },
      304: unchanged,
      503: unavailable,
    },
  },
  {
    ...conditional,
    path: '/v1/secrets/{key}',
    operation: 'secret',
    summary: 'One value',
    answers: {
      200: {
        ...versioned,
        description: 'The value',
        schema: {
          type: 'object',
          required: ['value'],
          additionalProperties: false,
          properties: { value: { type: 'string' } },
        },
      },
      304: unchanged,
      404: {
        description: 'There is no such key',
        contentType: 'application/json',
        schema: errorSchema(['not_found']),
      },
      503: unavailable,
    },
  },
  {
    ...conditional,
    path: '/v1/keys',
    operation: 'keys',
    summary: 'The names of all keys',
    answers: {
      200: {
        ...versioned,
        description: 'In the order of the artifact',
        schema: { type: 'array', items: { type: 'string' } },
      },
      304: unchanged,
      503: unavailable,
    },
  },
  {
    path: '/v1/watch',
    operation: 'watch',
    isPublic: false,
    conditions: ['Last-Event-ID'],
    summary: 'Changes as they happen, as server-sent events',
    details:
      'Event `revision`, id the revision, data `{"revision":N,"changed":["KEY",…]}`: the names of the keys that are new, gone or of another value, never a value. ' +
      'It comes first unless Last-Event-ID names the revision that is served. Event `unavailable`, data `{"code":"…"}`: nothing is served any more. A comment every 15 s keeps the connection.',
    answers: {
      200: { description: 'A stream that goes on until one side ends it', contentType: 'text/event-stream' },
      429: {
        description: 'Too many watchers',
        contentType: 'application/json',
        schema: errorSchema(['too_many_streams']),
      },
    },
  },
  {
    path: '/v1/health',
    operation: 'health',
    isPublic: true,
    summary: 'Whether the process lives',
    answers: {
      200: {
        description: 'It does',
        contentType: 'application/json',
        schema: {
          type: 'object',
          required: ['alive'],
          additionalProperties: false,
          properties: { alive: { const: true } },
        },
      },
    },
  },
  {
    path: '/v1/ready',
    operation: 'ready',
    isPublic: true,
    summary: 'Whether there is anything to serve',
    answers: {
      200: {
        description: 'Loaded, verified, not expired and fresh enough',
        contentType: 'application/json',
        schema: {
          type: 'object',
          required: ['ready', 'revision', 'source', 'floor', 'ageSeconds'],
          additionalProperties: false,
          properties: { ready: { const: true }, ...statusProperties },
        },
      },
      503: {
        description: 'Not so; the code says why',
        contentType: 'application/json',
        schema: {
          type: 'object',
          required: ['ready', 'error', 'floor'],
          additionalProperties: false,
          properties: {
            ready: { const: false },
            error: {
              type: 'object',
              required: ['code', 'message'],
              additionalProperties: false,
              properties: { code: { enum: absenceCodes }, message: { type: 'string' } },
            },
            ...statusProperties,
          },
        },
      },
    },
  },
  {
    path: '/metrics',
    operation: 'metrics',
    isPublic: false,
    summary: 'What the agent counts, for Prometheus',
    answers: { 200: { description: 'Text format 0.0.4', contentType: 'text/plain; version=0.0.4' } },
  },
];
