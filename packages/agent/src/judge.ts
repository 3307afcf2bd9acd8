// What the refresh loop needs to know of artifacts: whether these bytes are what this machine is to serve, and if not,
// what kind of no it is.
import type { Floor } from './sealed-cache.ts';

/** An artifact that passed every check. */
export type Judged = Floor & {
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly secrets: ReadonlyMap<string, string>;
};

export type Judge = {
  /** Throws {@link Refusal}. Asks the KMS, and only when everything that can be checked before is right. */
  open(bytes: Uint8Array, floor: Floor | undefined): Promise<Judged>;
  /** Hex SHA-256 of the payload; undefined where no trusted key signed it, in the envelope it is in. Costs no KMS call. */
  payloadDigest(bytes: Uint8Array): string | undefined;
};

/**
 * `denied`: the KMS says no. `outage`: the KMS could not be asked. `wrong`: it opened the artifact to something wrong.
 * `expired`, `revoked`: what they say. `forged`: somebody may be trying. `other`: anything else.
 */
export type RefusalKind = 'denied' | 'outage' | 'wrong' | 'expired' | 'revoked' | 'forged' | 'other';

/** Why an artifact is not served. `reason` is a code, fit for a log. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly kind: RefusalKind;
  readonly reason: string;
  /** With `revoked`: what the revocation raises the floor to. */
  readonly floor: Floor | undefined;

  constructor(kind: RefusalKind, reason: string, floor?: Floor) {
    super(reason);
    this.kind = kind;
    this.reason = reason;
    this.floor = floor;
  }
}
