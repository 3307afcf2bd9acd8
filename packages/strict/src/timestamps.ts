// Points in time: RFC 3339 in UTC, written one way.
import { excerpt } from './escape.ts';
import { StrictError } from './strict-error.ts';

const firstMillisecond = Date.parse('0000-01-01T00:00:00Z');
const endMillisecond = Date.parse('9999-12-31T23:59:59Z') + 1000;

/**
 * Reads an RFC 3339 timestamp in UTC with upper-case T and Z and an optional fraction of up to nine digits; returns
 * milliseconds since the epoch, smaller fractions cut off. Throws `value` on any other spelling and on dates and times
 * that do not exist (30 February, 24:00, leap seconds).
 */
export function parseTimestamp(text: string): number {
  const isWellFormed = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/.test(text);
  const seconds = isWellFormed ? Date.parse(`${text.slice(0, 19)}Z`) : Number.NaN;
  // Date.parse takes 24:00 and, in some engines, 30 February as the next day; the way back shows it.
  if (Number.isNaN(seconds) || new Date(seconds).toISOString().slice(0, 19) !== text.slice(0, 19)) {
    throw new StrictError(
      'value',
      `Expected a UTC time such as "2026-01-31T12:34:56Z", found "${excerpt(text)}"`,
    );
  }
  const fraction = text.slice(20, -1).padEnd(3, '0').slice(0, 3);
  return seconds + Number(fraction);
}

/** Whether {@link parseTimestamp} reads it. */
export function isTimestamp(text: string): boolean {
  try {
    parseTimestamp(text);
    return true;
  } catch (error) {
    if (error instanceof StrictError) return false;
    throw error;
  }
}

/** Writes milliseconds since the epoch as "2026-01-31T12:34:56Z", fractions cut off. Throws `value` outside years 0 to 9999. */
export function formatTimestamp(milliseconds: number): string {
  const isInRange = milliseconds >= firstMillisecond && milliseconds < endMillisecond;
  if (!isInRange) {
    throw new StrictError('value', 'Expected a time in the years 0 to 9999');
  }
  return `${new Date(Math.floor(milliseconds / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}
