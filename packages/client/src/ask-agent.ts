// Talks to the agent: one GET of all values, kept with its ETag so that an unchanged revision costs a 304. Waits, within
// bounds, for an agent that is still starting; every other refusal stands.
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentAddress, ClefAgentError } from './config.ts';

export type Secrets = Readonly<Record<string, string>>;

/** One agent as one client sees it. */
export type Asker = {
  /** All values, asked for now. `isPatient`: an agent that is still starting is waited for. */
  all(isPatient: boolean, signal?: AbortSignal): Promise<Secrets>;
  /** What the last answer was; `undefined` before the first. */
  last(): Secrets | undefined;
  /** A request of another route with the token that counts now; the caller ends it and handles its `error`. */
  open(
    path: string,
    headers: Readonly<Record<string, string>>,
    options: RequestOptions,
  ): Promise<ClientRequest>;
  /** The next request reads the token again. */
  forgetToken(): void;
  /** Ends idle connections. */
  close(): void;
};

type Ask = (signal?: AbortSignal) => Promise<Secrets>;
type Reply = { readonly status: number; readonly etag: string | undefined; readonly body: string };

const maxReplyBytes = 8 * 1024 * 1024;
const visibleAscii = /^[!-~]{1,512}$/;
const firstDelayMilliseconds = 50;
const longestDelayMilliseconds = 1_000;
const answerTimeoutMilliseconds = 5_000;

export function createAsker(address: AgentAddress): Asker {
  // An own agent: Node's global one may be told by the environment to go through a proxy.
  const connections = new Agent({ keepAlive: true, maxSockets: 4 });
  let token: string | undefined;
  let last: { readonly etag: string | undefined; readonly values: Secrets } | undefined;
  const head = async (headers: Readonly<Record<string, string>>): Promise<RequestOptions> => {
    token ??= await readToken(address);
    const own = { host: address.hostHeader, authorization: `Bearer ${token}` };
    return { ...address.endpoint, headers: { ...headers, ...own } };
  };
  const ask: Ask = async (signal) => {
    const options = await head(last?.etag === undefined ? {} : { 'if-none-match': last.etag });
    const reply = await exchange(address, { ...options, agent: connections, ...(signal && { signal }) });
    if (reply.status === 304 && last !== undefined) return last.values;
    if (reply.status === 401) token = undefined;
    if (reply.status !== 200) throw refusal(reply, address);
    last = { etag: reply.etag, values: parseSecrets(reply.body) };
    return last.values;
  };
  return {
    all: (isPatient, signal) => withPatience(ask, address, isPatient ? address.waitSeconds : 0, signal),
    last: () => last?.values,
    open: async (path, headers, options) =>
      request({ ...(await head(headers)), path, agent: false, ...options }),
    forgetToken: () => {
      token = undefined;
    },
    close: () => connections.destroy(),
  };
}

/**
 * Asks again while the agent may still be starting, until the time is up, or when it has just written a new token; then the
 * last error stands.
 */
async function withPatience(
  ask: Ask,
  address: AgentAddress,
  waitSeconds: number,
  signal?: AbortSignal,
): Promise<Secrets> {
  const giveUpAt = performance.now() + waitSeconds * 1_000;
  let isTokenFresh = false;
  for (let delay = firstDelayMilliseconds; ; delay = Math.min(delay * 2, longestDelayMilliseconds)) {
    try {
      return await ask(signal);
    } catch (error) {
      if (signal?.aborted === true) throw closed();
      if (!(error instanceof ClefAgentError)) throw error;
      const isTokenRefused = error.code === 'denied' && 'file' in address.token && !isTokenFresh;
      isTokenFresh ||= error.code === 'denied';
      if (!isTokenRefused && !(isStarting(error) && performance.now() + delay < giveUpAt)) throw error;
    }
    await pause(delay, signal);
  }
}

/** Half to all of a delay, so that many clients of one agent do not come back at once. */
export function withJitter(milliseconds: number): number {
  return Math.ceil(milliseconds / 2) + randomInt(Math.floor(milliseconds / 2) + 1);
}

async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(withJitter(milliseconds), undefined, signal === undefined ? {} : { signal });
  } catch {
    throw closed(); // the signal is all that can break a sleep
  }
}

export function closed(): ClefAgentError {
  return new ClefAgentError('closed', 'This client of the Clef agent was closed');
}

export function unknownKey(key: string): ClefAgentError {
  const message = `The agent has no key ${JSON.stringify(key.slice(0, 64))}. See what its service identity gets with: clef service show NAME`;
  return new ClefAgentError('unknown_key', message);
}

function isStarting(error: ClefAgentError): boolean {
  return error.code === 'absent' || error.code === 'token' || error.reason === 'not_loaded';
}

async function readToken(address: AgentAddress): Promise<string> {
  const { token } = address;
  const text = 'value' in token ? token.value : await readTokenFile(token.file);
  const line = text.split('\n', 1)[0] as string;
  if (visibleAscii.test(line)) return line;
  throw new ClefAgentError('token', 'The agent token is empty or has characters that a token cannot have');
}

async function readTokenFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    const next =
      why === 'EACCES'
        ? 'run this process as the user of the agent, or give the agent CLEF_AGENT_TOKEN_GROUP'
        : 'start the agent (it writes the file once it listens), or set CLEF_AGENT_TOKEN_FILE to its token file';
    throw new ClefAgentError('token', `Cannot read the agent token file "${path}" (${why}): ${next}`);
  }
}

function exchange(address: AgentAddress, options: RequestOptions): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...options, path: '/v1/secrets' }, (response) => {
      readReply(response)
        .then(resolve, fail)
        .finally(() => clearTimeout(timer));
    });
    const fail = (cause: Error): void => reject(absent(address, cause));
    const timer = setTimeout(() => asked.destroy(new Error('no answer in time')), answerTimeoutMilliseconds);
    asked.on('error', (cause) => {
      clearTimeout(timer);
      fail(cause);
    });
    asked.end();
  });
}

async function readReply(response: IncomingMessage): Promise<Reply> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxReplyBytes) throw new Error('too large');
    chunks.push(chunk);
  }
  return {
    status: response.statusCode ?? 0,
    etag: response.headers.etag,
    body: Buffer.concat(chunks).toString(),
  };
}

function absent(address: AgentAddress, cause: Error): ClefAgentError {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.name;
  const message = `No Clef agent answers at ${address.shown} (${why}). Start one with: clef agent; or set CLEF_AGENT_URL to where it listens`;
  return new ClefAgentError('absent', message);
}

function refusal(reply: Reply, address: AgentAddress): ClefAgentError {
  if (reply.status === 401) {
    return new ClefAgentError('denied', 'The agent refuses the token. Give both sides one token file');
  }
  const reason = /"code"\s*:\s*"([a-z_]{1,40})"/.exec(reply.body)?.[1];
  if (reply.status !== 503 || reason === undefined) return unlikeAnAgent(`status ${reply.status}`);
  const message = `The agent at ${address.shown} serves no secrets now (${reason}). Its log says why; /v1/ready shows its state`;
  return new ClefAgentError('not_ready', message, reason);
}

function parseSecrets(body: string): Secrets {
  const values: Record<string, string> = Object.create(null);
  for (const [key, value] of Object.entries(parseJson(body))) {
    if (typeof value !== 'string') throw unlikeAnAgent('a value that is not text');
    values[key] = value;
  }
  return Object.freeze(values);
}

function parseJson(body: string): object {
  try {
    return Object(JSON.parse(body));
  } catch {
    throw unlikeAnAgent('no JSON'); // the parser's own message would quote the body
  }
}

function unlikeAnAgent(what: string): ClefAgentError {
  const message = `What answers is not a Clef agent, or not one of this version (${what}). Check CLEF_AGENT_URL`;
  return new ClefAgentError('protocol', message);
}
