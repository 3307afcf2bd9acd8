// docs/openapi.yaml: the agent's route table and the refusals of its gate, as OpenAPI 3.1. A test compares it with an agent
// that runs.
import { stringify } from 'yaml';
import {
  type AnswerRow,
  type HeaderName,
  type RouteRow,
  routeTable,
} from '../packages/agent/src/route-table.ts';
import { version } from '../packages/agent/src/version.ts';
import { refusalTable } from '../packages/loopback/src/gate.ts';

/** What the gate cannot say to a client of the agent, or what belongs to single routes. */
const notForEveryRoute = new Set([
  'body_too_large', // no request may have a body: that is 400
  'not_found',
  'too_many_streams',
  'overloaded',
  'internal',
  'unauthorized',
  'user_not_allowed',
]);
const withToken = new Set(['unauthorized', 'user_not_allowed']);

const headers: Record<HeaderName, { readonly description: string; readonly pattern: string }> = {
  ETag: { description: 'Strong; changes with every revision', pattern: '^"[0-9a-f]{32}"$' },
  'Clef-Revision': { description: 'The revision that the answer is of', pattern: '^[0-9]+$' },
};

const requestHeaders = {
  'If-None-Match': 'The ETag of an earlier answer: 304 when nothing changed',
  'Last-Event-ID': 'The id of the last event that was seen',
} as const;

/** The whole document. */
export function openApiDocument(): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Clef agent',
      version,
      description:
        'Values of one service identity, on this machine only. Every GET may be a HEAD. Every answer has `Cache-Control: no-store` and `X-Content-Type-Options: nosniff`. ' +
        'The Host header must be the literal address; requests from web pages and through proxies are refused. A refused request ends its connection.',
    },
    servers: [{ url: 'http://127.0.0.1:7779' }],
    security: [{ token: [] }],
    paths: Object.fromEntries(routeTable.map((row) => [row.path, { get: operationOf(row) }])),
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A line of the token file' },
      },
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, { description, pattern }]) => [
          name,
          { description, required: true, schema: { type: 'string', pattern } },
        ]),
      ),
      responses: Object.fromEntries([...refusalsByStatus(notPublic), ...refusalsByStatus(everywhere)]),
    },
  };
}

export function openApiPage(): string {
  const note = '# Generated from the code by `npm run docs`; do not edit.\n';
  return note + stringify(openApiDocument(), { lineWidth: 120, aliasDuplicateObjects: false });
}

function operationOf(row: RouteRow): object {
  const refusals = refusalsByStatus(row.isPublic ? everywhere : notPublic);
  const own = Object.entries(row.answers).map(([status, answer]) => [status, answerOf(answer)] as const);
  const shared = refusals.map(
    ([name]) => [name.slice(-3), { $ref: `#/components/responses/${name}` }] as const,
  );
  return {
    operationId: row.operation,
    summary: row.summary,
    ...(row.details === undefined ? {} : { description: row.details }),
    ...(row.isPublic ? { security: [] } : {}),
    ...parametersOf(row),
    // What a route says itself under a status goes before what the gate says for all.
    responses: Object.fromEntries([...shared, ...own].sort(([a], [b]) => Number(a) - Number(b))),
  };
}

function parametersOf({ path, conditions = [] }: RouteRow): object {
  const key = {
    name: 'key',
    in: 'path',
    required: true,
    schema: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
  };
  const parameters = [
    ...(path.includes('{key}') ? [key] : []),
    ...conditions.map((name) => ({
      name,
      in: 'header',
      description: requestHeaders[name],
      schema: { type: 'string' },
    })),
  ];
  return parameters.length === 0 ? {} : { parameters };
}

function answerOf({ description, contentType, schema, headers: named }: AnswerRow): object {
  return {
    description,
    ...(named === undefined
      ? {}
      : {
          headers: Object.fromEntries(named.map((name) => [name, { $ref: `#/components/headers/${name}` }])),
        }),
    ...(contentType === undefined
      ? {}
      : { content: { [contentType]: schema === undefined ? {} : { schema } } }),
  };
}

function everywhere(code: string): boolean {
  return !notForEveryRoute.has(code);
}

function notPublic(code: string): boolean {
  return withToken.has(code) || everywhere(code);
}

/** One response a status, with every code that it may have. Those of routes with a token are named apart. */
function refusalsByStatus(isWanted: (code: string) => boolean): [name: string, response: object][] {
  const byStatus = new Map<number, [code: string, message: string][]>();
  for (const [code, [status, message]] of Object.entries(refusalTable)) {
    if (isWanted(code)) byStatus.set(status, [...(byStatus.get(status) ?? []), [code, message]]);
  }
  const prefix = isWanted === notPublic ? 'Refused' : 'RefusedPublic';
  return [...byStatus].map(([status, rows]) => [`${prefix}${status}`, refusalResponse(rows)]);
}

function refusalResponse(rows: readonly (readonly [code: string, message: string])[]): object {
  const error = {
    type: 'object',
    required: ['code', 'message'],
    additionalProperties: false,
    properties: { code: { enum: rows.map(([code]) => code) }, message: { type: 'string' } },
  };
  return {
    description: rows.map(([code, message]) => `\`${code}\`: ${message}`).join('. '),
    content: {
      'application/json': {
        schema: { type: 'object', required: ['error'], additionalProperties: false, properties: { error } },
      },
    },
  };
}
