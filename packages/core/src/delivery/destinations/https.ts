// Any store that takes an HTTPS PUT: conditional by ETag where the store gives one. A token comes from the environment of
// the job (CLEF_PUBLISH_TOKEN), never from an address, which would end in a log.
import type { World } from '../../world.ts';
import { type Destination, type Stored, unusableDestination, writtenMeanwhile } from './destination.ts';
import { type Answer, exchange } from './http-exchange.ts';

/** @param url - Already judged: https, or http to this machine, and no user name in it. */
export function httpsDestination(world: World, name: string, url: URL): Destination {
  const authorization = authorizationOf(world, name);
  return {
    name,
    read: async () => {
      const answer = await exchange({ name, method: 'GET', url, headers: authorization });
      if (answer.status === 404 || answer.status === 410) return undefined;
      if (answer.status !== 200) throw refused(name, answer);
      const version = answer.header('etag');
      if (version === undefined || version.startsWith('W/'))
        world.notify({
          level: 'warning',
          message: `"${name}" names no strong ETag: of two packs at once the later one would win unseen`,
        });
      return { bytes: answer.body, version: version?.startsWith('W/') ? undefined : version };
    },
    write: async (artifact, previous) => {
      const headers = { ...authorization, ...conditionOf(previous) };
      const answer = await exchange({ name, method: 'PUT', url, headers, body: artifact });
      if (answer.status === 412 || answer.status === 409) throw writtenMeanwhile(name);
      if (![200, 201, 202, 204].includes(answer.status)) throw refused(name, answer);
    },
  };
}

function authorizationOf({ environment }: World, name: string): Readonly<Record<string, string>> {
  const token = environment['CLEF_PUBLISH_TOKEN'];
  if (token === undefined || token === '') return {};
  if (/^[\x21-\x7e]{1,8192}$/.test(token)) return { authorization: `Bearer ${token}` };
  throw unusableDestination(
    name,
    'CLEF_PUBLISH_TOKEN is no token',
    'set it to the token alone, without blanks',
  );
}

function conditionOf(previous: Stored | undefined): Readonly<Record<string, string>> {
  if (previous === undefined) return { 'if-none-match': '*' };
  return previous.version === undefined ? {} : { 'if-match': previous.version };
}

function refused(name: string, { status }: Answer): Error {
  if (status === 401 || status === 403)
    return unusableDestination(
      name,
      'the store refuses it',
      'set CLEF_PUBLISH_TOKEN to a token that may read and write there',
    );
  if (status >= 300 && status < 400)
    return unusableDestination(
      name,
      'the store redirects, which is not followed',
      'name the address it leads to',
    );
  return unusableDestination(
    name,
    `the store answers with status ${status}`,
    'check the address, and try again',
  );
}
