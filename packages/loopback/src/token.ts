// Bearer tokens: one exact spelling of the header, compared in constant time at equal length (the length is no secret).
import { timingSafeEqual } from 'node:crypto';

const scheme = 'Bearer ';

/**
 * Returns a check of the value of an Authorization header against the tokens that are accepted at that moment. The
 * scheme is "Bearer", so spelled, and one space. Every accepted token is compared, whichever matches. No tokens, or
 * empty ones, accept nothing.
 */
export function bearerCheck(
  acceptedTokens: () => readonly Uint8Array[],
): (authorization: string | undefined) => boolean {
  // One scratch buffer for each length in use, so that a request allocates nothing.
  const scratch = new Map<number, Buffer>();
  return (authorization) => {
    if (authorization === undefined || !authorization.startsWith(scheme)) return false;
    const presented = authorization.slice(scheme.length);
    let isAccepted = false;
    for (const token of acceptedTokens()) {
      if (token.length === 0 || token.length !== presented.length) continue;
      const buffer = scratch.get(token.length) ?? Buffer.alloc(token.length);
      scratch.set(token.length, buffer);
      buffer.write(presented, 'utf8');
      isAccepted = timingSafeEqual(buffer, token) || isAccepted;
      buffer.fill(0);
    }
    return isAccepted;
  };
}
