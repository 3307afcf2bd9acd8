// Text from outside, made safe to show: nothing that moves a cursor, reorders a line or hides itself gets through.

const unsafe =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

const shortEscapes = new Map([
  ['\n', '\\n'],
  ['\t', '\\t'],
  ['\r', '\\r'],
]);

/**
 * Returns `text` with C0, C1 and DEL controls, bidirectional controls, invisible characters and lone surrogates
 * written out as `\x1b`, `\u202e`, `\u{e0041}`; newline, tab and carriage return as `\n`, `\t`, `\r`.
 * With `keepNewlines`, newline and tab stay (a carriage return never does: it overwrites the line).
 * This is for people's eyes and cannot be undone: a backslash in the text is left as it is.
 */
export function escapeControl(text: string, options: { readonly keepNewlines?: boolean } = {}): string {
  return text.replace(unsafe, (character) => {
    if (options.keepNewlines === true && (character === '\n' || character === '\t')) return character;
    return shortEscapes.get(character) ?? escapeCodePoint(character.codePointAt(0) ?? 0);
  });
}

/**
 * Returns `text` escaped by {@link escapeControl} and cut to at most `max` characters, the last of them "…" when
 * something was cut. An escape is never cut in half. Costs nothing on a huge text.
 */
export function excerpt(text: string, max = 64): string {
  const pieces: string[] = [];
  let length = 0;
  for (const character of text) {
    const piece = escapeControl(character);
    pieces.push(piece);
    length += piece.length;
    if (length > max) return `${cutTo(pieces, max - 1)}…`;
  }
  return pieces.join('');
}

function cutTo(pieces: readonly string[], max: number): string {
  let cut = '';
  for (const piece of pieces) {
    if (cut.length + piece.length > max) break;
    cut += piece;
  }
  return cut;
}

function escapeCodePoint(codePoint: number): string {
  const hex = codePoint.toString(16);
  if (codePoint <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return codePoint <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`;
}
