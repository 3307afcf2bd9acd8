// Whole numbers and durations as people type them: one spelling each, no sign, exponent or prefix slips through.
import { excerpt } from './escape.ts';
import { StrictError } from './strict-error.ts';

/**
 * Reads a plain ASCII decimal from `min` to `max`: no leading zeros, no plus, a minus only when `min` is below zero.
 * Throws `value`; the message quotes the text.
 */
export function parseInteger(text: string, range: { readonly min: number; readonly max: number }): number {
  const value = /^(?:0|-?[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < range.min || value > range.max) {
    throw new StrictError(
      'value',
      `Expected a whole number from ${range.min} to ${range.max}, found "${excerpt(text)}"`,
    );
  }
  return value;
}

const secondsPerUnit = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3_600],
  ['d', 86_400],
]);

/**
 * Reads "30s", "5m", "24h", "30d" or plain "0" and returns seconds. One number and one unit: "1h30m", "1.5h", "0s"
 * and "90" throw `value`, as does a duration outside `minSeconds` (default 0) to `maxSeconds` (default 100 years).
 */
export function parseDuration(
  text: string,
  range: { readonly minSeconds?: number; readonly maxSeconds?: number } = {},
): number {
  const { minSeconds = 0, maxSeconds = 36_525 * 86_400 } = range;
  const match = /^(?:0|([1-9][0-9]{0,9})([smhd]))$/.exec(text);
  if (match === null) {
    throw new StrictError(
      'value',
      `Expected a duration such as "30s", "5m", "24h" or "30d", found "${excerpt(text)}"`,
    );
  }
  const seconds = Number(match[1] ?? 0) * (secondsPerUnit.get(match[2] ?? 's') ?? 0);
  if (seconds < minSeconds || seconds > maxSeconds) {
    const wanted = `from ${describeDuration(minSeconds)} to ${describeDuration(maxSeconds)}`;
    throw new StrictError('value', `Expected a duration ${wanted}, found "${excerpt(text)}"`);
  }
  return seconds;
}

function describeDuration(seconds: number): string {
  if (seconds === 0) return '0';
  const [unit, size] = [...secondsPerUnit].findLast(([, size]) => seconds % size === 0) ?? ['s', 1];
  return `${seconds / size}${unit}`;
}
