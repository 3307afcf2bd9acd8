// Errors to text, JSON and an exit code: the only place.
import { ClefError, type ErrorClass, type ErrorFault, SopsOperationError } from '@clef/core';
import { escapeControl } from '@clef/strict';
import { sopsExitCodes } from './commands/sops-exit-codes.ts';
import { exitCodes, exitOfCancel } from './exit-codes.ts';
import { CancelledError, UsageError } from './usage-error.ts';

/** An error as a face shows it. */
export type RenderedError = {
  readonly exitCode: number;
  readonly body: {
    readonly class: ErrorClass;
    readonly code: string;
    readonly message: string;
    readonly hint: string;
    readonly location?: object;
    readonly faults?: readonly ErrorFault[];
  };
  /** Call frames without messages, for `--debug`. */
  readonly frames: readonly string[];
};

/** Anything thrown, as a face shows it. What is neither a ClefError nor a UsageError is a bug. */
export function renderError(error: unknown): RenderedError {
  const frames = stackFrames(error);
  if (error instanceof UsageError) {
    return {
      exitCode: error instanceof CancelledError ? exitOfCancel : exitCodes.usage,
      body: { class: 'usage', code: 'usage', message: error.message, hint: error.hint },
      frames,
    };
  }
  if (error instanceof ClefError) {
    const { errorClass, code, message, hint, location, faults } = error;
    const body = {
      class: errorClass,
      code,
      message,
      hint,
      ...(location && { location }),
      ...(faults.length > 0 && { faults }),
    };
    const exitCode =
      error instanceof SopsOperationError ? sopsExitCodes[error.outcome] : exitCodes[errorClass];
    return { exitCode, body, frames };
  }
  const kind = error instanceof Error ? error.constructor.name : typeof error;
  return {
    exitCode: exitCodes.internal,
    body: {
      class: 'internal',
      code: 'internal',
      message: `This is a bug in Clef (${kind})`,
      hint: 'report it with what "--debug" prints; no value is in it',
    },
    frames,
  };
}

/** The lines for a person: what failed, each fault, and what to do next. */
export function errorLines(rendered: RenderedError, debug: boolean): readonly string[] {
  const { body } = rendered;
  const faults = (body.faults ?? []).length > 1 ? (body.faults ?? []) : [];
  return [
    `clef: ${escapeControl(body.message)}`,
    ...faults.map((fault) => `  ${escapeControl(faultLine(fault))}`),
    `Try: ${escapeControl(body.hint)}`,
    ...(debug ? rendered.frames : []),
  ];
}

function faultLine(fault: ErrorFault): string {
  const place =
    fault.line === undefined
      ? ''
      : `line ${fault.line}${fault.column === undefined ? '' : `, column ${fault.column}`}: `;
  const path = fault.path === undefined ? '' : `${fault.path}: `;
  return `${place}${path}${fault.message}`;
}

/** Only "at …" lines: an error's message may hold what its thrower was given. */
function stackFrames(error: unknown): readonly string[] {
  if (!(error instanceof Error) || error.stack === undefined) return [];
  const own = error.stack.split('\n').filter((line) => /^\s+at /.test(line));
  return error.cause === undefined ? own : [...own, '  caused by:', ...stackFrames(error.cause)];
}
