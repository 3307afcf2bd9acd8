// Where the agent is and where its token is: from options, else from the environment. Only this machine's own address
// is accepted, so that the token can never be sent elsewhere. Errors say what to do and hold neither token nor value.

/** Where to find the agent. What is left out comes from `CLEF_AGENT_URL`, `_TOKEN_FILE` and `_TOKEN`. */
export type ClientOptions = {
  /** `http://127.0.0.1:PORT` (the default: port 7779), or `unix:/path/to/socket`. */
  readonly url?: string;
  /** A Unix socket of the agent instead of a port. */
  readonly socketPath?: string;
  readonly token?: string;
  /** A file whose first line is the token. Read when needed, and again when the agent refuses the token. */
  readonly tokenFile?: string;
  /** How long to wait for an agent that is still starting; default 10, at most 300. */
  readonly waitSeconds?: number;
};

/**
 * Why a value could not be had: `config` the options or variables are wrong; `absent` nothing answers at the address;
 * `token` no token can be read; `denied` the agent refuses the token; `not_ready` the agent serves no secrets now;
 * `unknown_key` this service identity has no such key; `protocol` what answers does not speak like a Clef agent; `closed` the
 * client was closed.
 */
export type AgentFault =
  | 'config'
  | 'absent'
  | 'token'
  | 'denied'
  | 'not_ready'
  | 'unknown_key'
  | 'protocol'
  | 'closed';

/** What every function of this package throws. */
export class ClefAgentError extends Error {
  override readonly name = 'ClefAgentError';
  readonly code: AgentFault;
  /** With `not_ready`: the agent's own word (`not_loaded`, `expired`, `revoked`, `stale`, `denied`). */
  readonly reason: string | undefined;

  constructor(code: AgentFault, message: string, reason?: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export type AgentAddress = {
  readonly endpoint: { readonly host: string; readonly port: number } | { readonly socketPath: string };
  readonly hostHeader: string;
  readonly shown: string;
  readonly token: { readonly value: string } | { readonly file: string };
  readonly waitSeconds: number;
};

/** The address and the token's place. Throws `ClefAgentError` `config` or `token`. */
export function resolveAddress(options: ClientOptions, environment = process.env): AgentAddress {
  const socketUrl = options.socketPath === undefined ? undefined : `unix:${options.socketPath}`;
  const url = socketUrl ?? options.url ?? (environment['CLEF_AGENT_URL'] || 'http://127.0.0.1:7779');
  const place = readUrl(url);
  const token = findToken(options, environment, 'port' in place.endpoint ? place.endpoint.port : undefined);
  const { waitSeconds = 10 } = options;
  if (!(waitSeconds >= 0)) throw new ClefAgentError('config', 'waitSeconds is not a number of seconds');
  return { ...place, token, waitSeconds: Math.min(waitSeconds, 300) };
}

function readUrl(url: string): Pick<AgentAddress, 'endpoint' | 'hostHeader' | 'shown'> {
  if (url.startsWith('unix:/')) {
    return { endpoint: { socketPath: url.slice('unix:'.length) }, hostHeader: 'localhost', shown: url };
  }
  const port = Number(/^http:\/\/127\.0\.0\.1:([1-9][0-9]{0,4})\/?$/.exec(url)?.[1]);
  if (port <= 65535) {
    const host = '127.0.0.1';
    return { endpoint: { host, port }, hostHeader: `${host}:${port}`, shown: `http://${host}:${port}` };
  }
  const message =
    'The agent address is neither http://127.0.0.1:PORT nor unix:/path/to/socket. The token is sent to this machine only: correct CLEF_AGENT_URL or the option url';
  throw new ClefAgentError('config', message);
}

function findToken(
  options: ClientOptions,
  environment: NodeJS.ProcessEnv,
  port?: number,
): AgentAddress['token'] {
  if (options.token !== undefined) return { value: options.token };
  const file = options.tokenFile ?? environment['CLEF_AGENT_TOKEN_FILE'];
  if (file) return { file };
  if (environment['CLEF_AGENT_TOKEN']) return { value: environment['CLEF_AGENT_TOKEN'] };
  const runtime = environment['XDG_RUNTIME_DIR'];
  if (runtime?.startsWith('/') && port !== undefined) return { file: `${runtime}/clef-agent/${port}.token` };
  const message =
    'No agent token is configured. Set CLEF_AGENT_TOKEN_FILE here to the same file as for the agent itself';
  throw new ClefAgentError('token', message);
}
