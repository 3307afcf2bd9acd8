// The one error of this package towards its own program; what callers over the wire get are the clouds' own errors.

/**
 * `argument`: an option or an argument of the handle is wrong. `state`: the state file cannot be used.
 * `port_in_use`: another program listens there.
 * `not_found`: no such key or role. `exists`: the name is taken. `stopped`: the emulator has been stopped.
 */
export type EmulatorCode = 'argument' | 'state' | 'port_in_use' | 'not_found' | 'exists' | 'stopped';

/** Thrown by `startEmulator` and the methods of its handle. */
export class EmulatorError extends Error {
  readonly code: EmulatorCode;

  constructor(code: EmulatorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.name = 'EmulatorError';
    this.code = code;
  }
}
