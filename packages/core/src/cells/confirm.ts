// Asking before a change that somebody may not have meant, once for all its reasons.

import { ClefError } from '../errors.ts';
import type { Confirm } from './write.ts';

/** Why a change asks first. */
export type Doubts = {
  /** What would be done, as the beginning of a question: "Let bob read". */
  readonly what: string;
  /** Labels of protected cells and environments that it touches. */
  readonly protectedLabels: readonly string[];
  /** Other reasons, each a whole sentence without a period. */
  readonly reasons: readonly string[];
};

/**
 * Asks unless there is no reason to.
 * @param show - Called before the question, and where nobody can answer it too: what the change would do.
 * @throws {ClefError} `protected` or `not_confirmed` where the answer is no or nobody can answer.
 */
export async function askToConfirm(
  { what, protectedLabels, reasons }: Doubts,
  confirm: Confirm,
  show: () => void = () => undefined,
): Promise<void> {
  if (protectedLabels.length === 0 && reasons.length === 0) return;
  show();
  const all = [
    ...reasons,
    ...(protectedLabels.length > 0 ? [`Protected: ${protectedLabels.join(', ')}`] : []),
  ];
  if (await confirm(`${what}? ${all.join('. ')}`)) return;
  const [reason] = reasons;
  throw new ClefError({
    code: reason === undefined ? 'protected' : 'not_confirmed',
    message:
      reason === undefined
        ? `"${protectedLabels[0]}" is protected, and the change was not confirmed`
        : `${reason}, and it was not confirmed`,
    hint: 'pass --yes to confirm it',
  });
}
