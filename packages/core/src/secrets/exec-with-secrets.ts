// A command with values of cells as its environment. Values go into the child's environment and nowhere else.
import { type ChildExit, HostError, isOwnVariable, runChild } from '@clef/host';
import { readPendingKeys } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import type { Repository } from '../repository.ts';
import { type Choice, chooseValues, chosenCells } from './choose-values.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import type { RunHooks } from './run-watched.ts';

export type ExecRequest = Choice & {
  readonly command: string;
  readonly args: readonly string[];
  /** Start from PATH and HOME alone. */
  readonly pristine: boolean;
  /** Pass the variables that hold keys of Clef and SOPS on to the child. */
  readonly keepClefVariables: boolean;
  readonly allowedEnvironmentNames: readonly string[];
  /** Mask the values in the command's output, which then goes through pipes or a terminal of its own. */
  readonly redact?: boolean;
  /** Our standard streams are terminals: with `redact` the command gets one too, where the optional package is there. */
  readonly isOnTerminal?: boolean;
  /** Start the command anew when the values change. */
  readonly watch?: boolean;
};

/**
 * Runs the command to its end with our own standard streams; signals are passed on.
 * @returns the child's exit code; 128 + N where signal N ended it.
 * @throws {ClefError} `dangerous_name`, `environment_value`, `limit`, `command_not_found`, `command_not_executable`, and
 * what choosing values can give.
 */
export async function execWithSecrets(repository: Repository, request: ExecRequest): Promise<number> {
  if (request.watch === true) return watchWithSecrets(repository, request);
  const [values] = await Promise.all([valuesFor(repository, request), warnOfPending(repository, request)]);
  return (await runWith(repository, request, values)).exitCode;
}

async function watchWithSecrets(repository: Repository, request: ExecRequest): Promise<number> {
  const { runWatched } = await import('./run-watched.ts');
  const { exitCode } = await runWatched(repository, {
    choice: request,
    read: async (current) => {
      const [values] = await Promise.all([valuesFor(current, request), warnOfPending(current, request)]);
      return values;
    },
    run: (values, hooks) => runWith(repository, request, values, hooks),
  });
  return exitCode;
}

/** The chosen values, under names that a child may have. */
async function valuesFor(repository: Repository, request: ExecRequest): Promise<ReadonlyMap<string, string>> {
  const values = await chooseValues(repository, request);
  refuseDangerousNames(values.keys(), request.allowedEnvironmentNames);
  return values;
}

/** Of the keys that the child would get. */
async function warnOfPending(repository: Repository, request: ExecRequest): Promise<void> {
  const { only, except = [] } = request;
  for (const cell of chosenCells(repository, request)) {
    for (const name of await readPendingKeys(repository, cell)) {
      if (only?.includes(name) === false || except.includes(name)) continue;
      repository.world.notify({
        level: 'warning',
        message: `"${name}" in "${cell.label}" is pending: it has no value yet`,
      });
    }
  }
}

async function runWith(
  repository: Repository,
  request: ExecRequest,
  values: ReadonlyMap<string, string>,
  hooks?: RunHooks,
): Promise<ChildExit> {
  const child = {
    command: request.command,
    args: request.args,
    cwd: repository.world.cwd,
    environment: { ...inherited(repository, request), ...Object.fromEntries(values) },
    ...hooks,
  };
  try {
    if (request.redact !== true) return await runChild({ ...child, stdio: 'inherit', forwardSignals: true });
    const { runRedacted } = await import('./redaction/run-redacted.ts');
    return await runRedacted(repository, child, { values, isOnTerminal: request.isOnTerminal ?? false });
  } catch (error) {
    throw startFailure(error, request.command, values);
  }
}

function inherited(
  { world }: Repository,
  { pristine, keepClefVariables }: ExecRequest,
): Record<string, string> {
  const entries = Object.entries(world.environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      (!pristine || entry[0] === 'PATH' || entry[0] === 'HOME') &&
      (keepClefVariables || !isOwnVariable(entry[0])),
  );
  return Object.fromEntries(entries);
}

function startFailure(error: unknown, command: string, values: ReadonlyMap<string, string>): unknown {
  if (!(error instanceof HostError)) return error;
  const hint = 'leave the key out with --except, and read it with "clef get" where it is needed';
  if (error.code === 'invalid_argument')
    return new ClefError({ code: 'environment_value', message: error.message, hint, cause: error });
  if (error.code === 'argument_too_large') {
    const message = `${error.message}; ${largestOf(values)}`;
    return new ClefError({ code: 'limit', message, hint, cause: error });
  }
  return fromGroundError(error, { action: `run "${command}"` });
}

function largestOf(values: ReadonlyMap<string, string>): string {
  const sizes = [...values].map(([key, value]) => ({ key, bytes: Buffer.byteLength(value) }));
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const largest = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, 3);
  return `the ${sizes.length} values have ${total} bytes, most of them ${largest.map(({ key, bytes }) => `"${key}" (${bytes})`).join(', ')}`;
}
