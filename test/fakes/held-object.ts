// The one object of a fake store, as the kinds of stores see it.
import type { IncomingMessage, ServerResponse } from 'node:http';

export const storedIn = { bucket: 'artifacts', name: 'web/production.json' } as const;

export type Held = {
  /** Undefined: there is none. */
  bytes: Uint8Array | undefined;
  generation: number;
  /** Called after a read and before its answer is sent. */
  readonly onRead: () => void;
  readonly write: (bytes: Uint8Array | undefined) => void;
};

export type Call = {
  readonly request: IncomingMessage;
  readonly body: Buffer;
  readonly response: ServerResponse;
  readonly held: Held;
};
