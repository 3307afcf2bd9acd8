// The JSON API of Cloud Storage for one object: media and metadata, list, upload in one or two parts, generations and their
// conditions, checksums. What `gcloud storage` asks of it, too.
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Call, type Held, storedIn } from './held-object.ts';

const api = `/storage/v1/b/${storedIn.bucket}`;
const objectPath = `${api}/o/${encodeURIComponent(storedIn.name)}`;

export function answerCloudStorage(call: Call): void {
  const url = new URL(call.request.url ?? '', 'http://x');
  const route = `${call.request.method} ${url.pathname.replace(/^\/download/, '')}`;
  const found = routes[route];
  if (found === undefined) return void gcsError(404, 'notFound')(call.response);
  found(call, url.searchParams);
}

const routes: Readonly<Record<string, (call: Call, query: URLSearchParams) => void>> = {
  [`GET ${api}`]: ({ response }) => answerJson(response, { kind: 'storage#bucket', name: storedIn.bucket }),
  [`GET ${api}/o`]: ({ request, response, held }, query) => {
    const isListed = held.bytes !== undefined && storedIn.name.startsWith(query.get('prefix') ?? '');
    answerJson(response, { kind: 'storage#objects', ...(isListed && { items: [metadata(held, request)] }) });
  },
  [`GET ${objectPath}`]: read,
  [`POST /upload${api}/o`]: write,
  [`DELETE ${objectPath}`]: ({ response, held }, query) => {
    if (!isOfGeneration(held, query)) return void gcsError(412, 'conditionNotMet')(response);
    held.write(undefined);
    response.writeHead(204).end();
  },
};

function read({ request, response, held }: Call, query: URLSearchParams): void {
  const { bytes } = held;
  const generation = String(held.generation);
  const headers = { 'x-goog-generation': generation, etag: `C${generation}` };
  if (bytes === undefined) gcsError(404, 'notFound')(response);
  else if (query.get('ifGenerationNotMatch') === generation) response.writeHead(304, headers).end();
  else if (query.get('alt') === 'media') {
    const hash = `crc32c=${crc32c(bytes)},md5=${md5(bytes)}`;
    response
      .writeHead(200, { ...headers, 'x-goog-hash': hash, 'content-type': 'application/json' })
      .end(bytes);
  } else answerJson(response, metadata(held, request));
  held.onRead();
}

function write({ request, body, response, held }: Call, query: URLSearchParams): void {
  const parts =
    query.get('uploadType') === 'multipart' ? twoParts(request.headers['content-type'], body) : undefined;
  const name = parts?.name ?? query.get('name');
  const bytes = parts?.content ?? body;
  if (name !== storedIn.name) return void gcsError(404, 'notFound')(response);
  if (!isOfGeneration(held, query)) return void gcsError(412, 'conditionNotMet')(response);
  // What the sender says of its content is held against it, as Cloud Storage does.
  if (parts?.md5Hash !== undefined && parts.md5Hash !== md5(bytes))
    return void gcsError(400, 'invalid')(response);
  held.write(bytes);
  answerJson(response, metadata(held, request));
}

/** 0 stands for "there is none". */
function isOfGeneration({ bytes, generation }: Held, query: URLSearchParams): boolean {
  const wanted = query.get('ifGenerationMatch');
  return wanted === null || Number(wanted) === (bytes === undefined ? 0 : generation);
}

type TwoParts = { readonly name: string; readonly md5Hash?: string; readonly content: Buffer };

/** `multipart/related`: the metadata as JSON, then the content. */
function twoParts(type = '', body: Buffer): TwoParts {
  const boundary = /boundary=["']?([^"';]+)/.exec(type)?.[1] ?? '';
  const [, first = '', second = ''] = body.toString('latin1').split(`--${boundary}`);
  const contentOf = (part: string): Buffer =>
    Buffer.from(part.replace(/^\r?\n?[\s\S]*?\r?\n\r?\n/, '').replace(/\r?\n$/, ''), 'latin1');
  return { ...(JSON.parse(contentOf(first).toString()) as { name: string }), content: contentOf(second) };
}

function metadata({ bytes = new Uint8Array(), generation }: Held, { headers }: IncomingMessage): object {
  return {
    kind: 'storage#object',
    id: `${storedIn.bucket}/${storedIn.name}/${generation}`,
    ...storedIn,
    generation: String(generation),
    metageneration: '1',
    contentType: 'application/json',
    storageClass: 'STANDARD',
    size: String(bytes.length),
    md5Hash: md5(bytes),
    crc32c: crc32c(bytes),
    etag: `C${generation}`,
    timeCreated: '2026-01-31T12:00:00.000Z',
    updated: '2026-01-31T12:00:00.000Z',
    mediaLink: `http://${headers.host}/download${objectPath}?generation=${generation}&alt=media`,
  };
}

function answerJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** An error of Google's JSON APIs. */
export function gcsError(status: number, reason: string, headers: Readonly<Record<string, string>> = {}) {
  return (response: ServerResponse): void => {
    const message = 'UPSTREAM-TEXT of canary words';
    const error = { code: status, message, errors: [{ reason, message }] };
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify({ error }));
  };
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}

/** Castagnoli's polynomial, bit by bit: base64 of the big-endian word. */
function crc32c(bytes: Uint8Array): string {
  let word = 0xffff_ffff;
  for (const byte of bytes) {
    word ^= byte;
    for (let bit = 0; bit < 8; bit += 1) word = (word >>> 1) ^ (0x82f6_3b78 & -(word & 1));
  }
  const answer = Buffer.alloc(4);
  answer.writeUInt32BE((word ^ 0xffff_ffff) >>> 0);
  return answer.toString('base64');
}
