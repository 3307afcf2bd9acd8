// A command line that does not fit its command: found by the face itself, before any operation runs.

/** Exit 2. `hint` says how to write it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** A person took the question back, with Ctrl-C or Escape: nothing was changed, exit 130. */
export class CancelledError extends UsageError {
  constructor() {
    super('Cancelled, and nothing was changed', 'run the command again');
  }
}
