// Talks to the agent: one GET of all values, kept with its ETag so that an unchanged revision costs a 304. Waits, within
// bounds, for an agent that is still starting.
import { readFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentAddress, ClefAgentError, type ClientOptions, resolveAddress } from './config.ts';

type Secrets = Readonly<Record<string, string>>;
type Reply = { readonly status: number; readonly etag: string | undefined; readonly body: string };

const maxReplyBytes = 8 * 1024 * 1024;
const visibleAscii = /^[!-~]{1,512}$/;

/** One question-asker per address and token, so that the last revision is remembered. */
const askers = new Map<string, () => Promise<Secrets>>();

/**
 * All values of the agent's service identity, as a frozen object without a prototype; the same object while the revision
 * stays. Asks the agent every time, so it is never older than the agent. Throws `ClefAgentError`.
 */
export async function secrets(options: ClientOptions = {}): Promise<Secrets> {
  const address = resolveAddress(options);
  const name = JSON.stringify(address);
  const ask = askers.get(name) ?? createAsker(address);
  askers.set(name, ask);
  return withPatience(ask, address);
}

/** One value, asked for as {@link secrets} does. Throws `ClefAgentError` `unknown_key` when there is none of that name. */
export async function get(key: string, options: ClientOptions = {}): Promise<string> {
  const value = (await secrets(options))[key];
  if (value !== undefined) return value;
  const message = `The agent has no key ${JSON.stringify(key.slice(0, 64))}. See what its service identity gets with: clef service show NAME`;
  throw new ClefAgentError('unknown_key', message);
}

function createAsker(address: AgentAddress): () => Promise<Secrets> {
  // An own agent: Node's global one may be told by the environment to go through a proxy.
  const connections = new Agent({ keepAlive: true, maxSockets: 4 });
  let token: string | undefined;
  let last: { readonly etag: string | undefined; readonly values: Secrets } | undefined;
  return async () => {
    token ??= await readToken(address);
    const reply = await exchange(address, connections, token, last?.etag);
    if (reply.status === 304 && last !== undefined) return last.values;
    if (reply.status === 401) token = undefined;
    if (reply.status !== 200) throw refusal(reply, address);
    last = { etag: reply.etag, values: parseSecrets(reply.body) };
    return last.values;
  };
}

/** Asks again while the agent may still be starting, or has just written a new token; then the last error stands. */
async function withPatience(ask: () => Promise<Secrets>, address: AgentAddress): Promise<Secrets> {
  let isTokenFresh = false;
  for (let waitedMs = 0, delayMs = 50; ; waitedMs += delayMs, delayMs = Math.min(delayMs * 2, 1_000)) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ClefAgentError)) throw error;
      const isTokenRefused = error.code === 'denied' && 'file' in address.token && !isTokenFresh;
      isTokenFresh ||= error.code === 'denied';
      if (!isTokenRefused && !(isStarting(error) && waitedMs < address.waitSeconds * 1_000)) throw error;
    }
    await sleep(delayMs);
  }
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

function exchange(address: AgentAddress, agent: Agent, token: string, etag?: string): Promise<Reply> {
  const headers: Record<string, string> = { host: address.hostHeader, authorization: `Bearer ${token}` };
  if (etag !== undefined) headers['if-none-match'] = etag;
  const signal = AbortSignal.timeout(5_000);
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => reject(absent(address, cause));
    request({ ...address.endpoint, path: '/v1/secrets', headers, agent, signal }, (response) => {
      readReply(response).then(resolve, fail);
    })
      .on('error', fail)
      .end();
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
