// An artifact behind an https address, asked for with what the last answer said of it.
import { defaultHttpsLimits, fetchArtifact, type HttpsLimits } from './http-exchange.ts';
import type { Source, Validator } from './source.ts';

/** The artifact at `url`, which `config.ts` has checked. `now` reads the clock, for `Retry-After` dates. */
export function createHttpsSource(
  url: URL,
  now: () => number,
  limits: HttpsLimits = defaultHttpsLimits,
): Source {
  return {
    kind: 'https',
    fetch: (validator, signal) => {
      const headers = conditionsOf(validator);
      return fetchArtifact({ url, headers, isConditional: validator !== undefined, now, limits, signal });
    },
  };
}

function conditionsOf(validator: Validator | undefined): Record<string, string> {
  return {
    ...(validator?.etag === undefined ? {} : { 'if-none-match': validator.etag }),
    ...(validator?.lastModified === undefined ? {} : { 'if-modified-since': validator.lastModified }),
  };
}
