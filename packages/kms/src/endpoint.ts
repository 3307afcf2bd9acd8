// Where a KMS is asked when a variable says so: https, or this machine; anything else is refused before a call
// (catalogue INV-111). A repository has no say in it.
import { type KmsCode, KmsError } from './kms-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The blocks of RFC 1122 and RFC 4291, and the name that RFC 6761 keeps for them. */
const thisMachine = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/;

/**
 * The endpoint that the first set variable names; `undefined` where none is set.
 * @throws {KmsError} `bad_endpoint`.
 */
export function readEndpoint(
  environment: Environment,
  names: readonly string[],
  notify: ((message: string) => void) | undefined,
): URL | undefined {
  const name = names.find((candidate) => (environment[candidate] ?? '') !== '');
  if (name === undefined) return undefined;
  const url = checkEndpoint(environment, name);
  notify?.(`${name} is set: KMS calls go to ${url.host}`);
  return url;
}

/** @throws {KmsError} `bad_endpoint` unless every variable that is set is allowed. */
export function checkEndpoints(environment: Environment, names: readonly string[]): void {
  for (const name of names) if ((environment[name] ?? '') !== '') checkEndpoint(environment, name);
}

/** Whether the host of a URL is this machine. */
export function isThisMachine({ hostname }: Pick<URL, 'hostname'>): boolean {
  return thisMachine.test(hostname);
}

/** Whether secrets may be sent there: encrypted, or to this machine. `protocol` ends in a colon, as in a URL. */
export function isAllowedAddress(url: Pick<URL, 'protocol' | 'hostname'>): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isThisMachine(url));
}

function checkEndpoint(environment: Environment, name: string): URL {
  const text = environment[name] as string;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const hasExtras =
    url === undefined ||
    `${url.username}${url.password}${url.search}${url.hash}` !== '' ||
    url.hostname === '';
  if (hasExtras || !isAllowedAddress(url)) {
    throw new KmsError('bad_endpoint', `${name} is neither an https address nor one of this machine`);
  }
  return url;
}

const connectionErrors =
  /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOST|ENETUNREACH|EPIPE|EPROTO|HPE_|ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/;

/** Errors of a connection as codes: what Node calls them, wherever in the chain of causes they are. */
export function connectionCode(error: unknown): KmsCode | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (connectionErrors.test('code' in at ? String(at.code) : '')) return 'unavailable';
    if (at.name === 'TimeoutError' || at.name === 'AbortError') return 'unavailable';
  }
  return undefined;
}
