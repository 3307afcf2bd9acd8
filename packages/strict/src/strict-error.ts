// The one error of this package. Its message never holds more than a short, escaped excerpt of the input.

/** A place in a text; both count from 1, columns in UTF-16 code units. */
export type Position = { readonly line: number; readonly column: number };

export type StrictCode = 'limit' | 'syntax' | 'encoding' | 'value';

/**
 * Thrown by every reader of this package.
 * `limit`: larger or deeper than the caller allows. `syntax`: not the format it claims to be. `encoding`: bytes or
 * characters that are no text. `value`: well formed, but outside of what is allowed (a date that does not exist).
 */
export class StrictError extends Error {
  readonly code: StrictCode;
  readonly position?: Position;

  constructor(code: StrictCode, message: string, position?: Position) {
    super(message);
    this.name = 'StrictError';
    this.code = code;
    if (position !== undefined) this.position = position;
  }
}

/** The place of a code-unit offset in `text`. Lines end at U+000A only; an offset past the end is the end. */
export function positionAt(text: string, offset: number): Position {
  const end = Math.min(offset, text.length);
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf('\n'); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) {
    line += 1;
    lineStart = at + 1;
  }
  return { line, column: end - lineStart + 1 };
}
