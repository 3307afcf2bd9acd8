// Where a KMS is asked when a variable says so: https, or this machine; anything else is refused before a call
// (catalogue INV-111). A repository has no say in it.
import { type KmsCode, KmsError } from './kms-error.ts';

const loopbackHosts = new Set(['127.0.0.1', '[::1]', 'localhost']);

/**
 * The endpoint that the first set variable names; `undefined` where none is set.
 * @throws {KmsError} `bad_endpoint`.
 */
export function readEndpoint(
  environment: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
  notify: ((message: string) => void) | undefined,
): URL | undefined {
  const name = names.find((candidate) => (environment[candidate] ?? '') !== '');
  if (name === undefined) return undefined;
  const url = URL.canParse(environment[name] as string) ? new URL(environment[name] as string) : undefined;
  const isAllowed =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && loopbackHosts.has(url.hostname));
  if (url === undefined || !isAllowed || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new KmsError('bad_endpoint', `${name} is neither an https address nor one of this machine`);
  }
  notify?.(`${name} is set: KMS calls go to ${url.host}`);
  return url;
}

/** Errors of a connection as codes: what Node calls them, wherever in the chain of causes they are. */
export function connectionCode(error: unknown): KmsCode | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const code = 'code' in at ? String(at.code) : '';
    if (
      /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(
        code,
      )
    ) {
      return 'unavailable';
    }
    if (at.name === 'TimeoutError' || at.name === 'AbortError') return 'unavailable';
  }
  return undefined;
}
