// Why a loopback server could not be started.

/** `port_in_use`: somebody listens there already. `address`: no port or path to listen on. `permission`: not allowed to. */
export type LoopbackCode = 'port_in_use' | 'address' | 'permission';

/** Why the server could not listen. */
export class LoopbackError extends Error {
  readonly code: LoopbackCode;

  constructor(code: LoopbackCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.name = 'LoopbackError';
    this.code = code;
  }
}
