// Why a start ended before it began: an exit code, a word for the log and a message. What the steps of a start throw becomes
// one of these in one place.
import { LoopbackError } from '@clef/loopback';
import { KeyFileError } from './pinned-judge.ts';
import { TokenFileError } from './token-file.ts';

/** `remote`: source or KMS; `integrity`, `decrypt`: the artifact. */
export const exitCodes = {
  ok: 0,
  usage: 2,
  config: 3,
  decrypt: 5,
  integrity: 6,
  policy: 7,
  machine: 8,
  remote: 10,
} as const;

/** Ends the start with an exit code, after its message has been logged. */
export class StartFailure extends Error {
  readonly exitCode: number;
  readonly event: string;

  constructor(exitCode: number, event: string, message: string) {
    super(message);
    this.exitCode = exitCode;
    this.event = event;
  }
}

/** Turns what a start step throws into its exit code. */
export async function setUp<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof KeyFileError) {
      throw new StartFailure(exitCodes.config, 'config', `CLEF_AGENT_AGE_KEY_FILE ${error.message}`);
    }
    if (error instanceof TokenFileError)
      throw new StartFailure(tokenExitCode(error), 'token_file', `CLEF_AGENT_TOKEN_FILE ${error.message}`);
    if (error instanceof LoopbackError) throw new StartFailure(exitCodes.machine, error.code, error.message);
    throw error;
  }
}

function tokenExitCode({ kind }: TokenFileError): number {
  return { exposed: exitCodes.policy, content: exitCodes.config, machine: exitCodes.machine }[kind];
}
