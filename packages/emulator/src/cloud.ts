// What every protocol of the emulator works on: the remembered state, the clock, chance, and where calls are counted.
import type { Issuer } from './sessions.ts';

/** One call over the wire, as it ended. Holds names only, never a value or a credential. */
export type RecordedCall = {
  /** `aws.Decrypt`, `gcp.encrypt`, `ec2.credentials`; `aws.unknown` for whatever is not offered. */
  readonly operation: string;
  /** The ARN or e-mail address of the caller; "nobody" when it could not be told. */
  readonly principal: string;
  /** `ok`, or the error's name as the client saw it. */
  readonly outcome: string;
};

export type Cloud = Issuer & {
  /** Signs the tokens of pods; new with each start. */
  readonly tokenSecret: Uint8Array;
  /** Writes the state file, if there is one; returns when it is on disk. */
  readonly save: () => Promise<void>;
  readonly record: (call: RecordedCall) => void;
};
