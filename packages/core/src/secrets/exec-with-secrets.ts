// A command with a cell's values as its environment. Values go into the child's environment and nowhere else.
import { HostError, runChild } from '@clef/host';
import { findCell } from '../cells/cell.ts';
import { openCell, readPendingKeys } from '../cells/read.ts';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { checkKeyName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import { unknownKey } from './get-secret.ts';

export type ExecRequest = {
  readonly cell: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Pass only these keys. */
  readonly only?: readonly string[];
  /** Start from PATH and HOME alone. */
  readonly pristine: boolean;
  /** Pass the variables that hold keys of Clef and SOPS on to the child. */
  readonly keepClefVariables: boolean;
  readonly allowedEnvironmentNames: readonly string[];
};

/** Variables that open secrets: of no use to the child, and worth stealing (catalogue INV-94). */
const ownVariables = /^(CLEF_AGE_KEY|CLEF_SIGNING_|CLEF_AGENT_|SOPS_AGE_)/;

/**
 * Runs the command to its end with our own standard streams; signals are passed on.
 * @returns the child's exit code; 128 + N where signal N ended it.
 * @throws {ClefError} `dangerous_name`, `environment_value`, `command_not_found`, `command_not_executable`, and what
 * opening a cell can give.
 */
export async function execWithSecrets(repository: Repository, request: ExecRequest): Promise<number> {
  request.only?.forEach(checkKeyName);
  const cell = findCell(repository.manifest, request.cell);
  const [{ values }, pending] = await Promise.all([
    openCell(repository, cell),
    readPendingKeys(repository, cell),
  ]);
  for (const name of pending) {
    repository.world.notify({
      level: 'warning',
      message: `"${name}" in "${cell.label}" is pending: it has no value yet`,
    });
  }
  const chosen = chooseKeys(cell.label, values, request.only);
  refuseDangerousNames(chosen.keys(), request.allowedEnvironmentNames);
  try {
    const { exitCode } = await runChild({
      command: request.command,
      args: request.args,
      cwd: repository.world.cwd,
      environment: { ...inherited(repository, request), ...Object.fromEntries(chosen) },
      stdio: 'inherit',
      forwardSignals: true,
    });
    return exitCode;
  } catch (error) {
    throw startFailure(error, request.command);
  }
}

function chooseKeys(
  cell: string,
  values: ReadonlyMap<string, string>,
  only: readonly string[] | undefined,
): ReadonlyMap<string, string> {
  if (only === undefined) return values;
  return new Map(
    only.map((key) => {
      const value = values.get(key);
      if (value === undefined) throw unknownKey(cell, key, [...values.keys()]);
      return [key, value];
    }),
  );
}

function inherited(
  { world }: Repository,
  { pristine, keepClefVariables }: ExecRequest,
): Record<string, string> {
  const entries = Object.entries(world.environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      (!pristine || entry[0] === 'PATH' || entry[0] === 'HOME') &&
      (keepClefVariables || !ownVariables.test(entry[0])),
  );
  return Object.fromEntries(entries);
}

function startFailure(error: unknown, command: string): unknown {
  if (!(error instanceof HostError)) return error;
  if (error.code === 'argument_too_large' || error.code === 'invalid_argument') {
    return new ClefError({
      code: 'environment_value',
      message: error.message,
      hint: 'leave the key out with --only, and read it with "clef get" where it is needed',
      cause: error,
    });
  }
  return fromGroundError(error, { action: `run "${command}"` });
}
