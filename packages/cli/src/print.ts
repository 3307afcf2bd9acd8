// The two shapes of data on stdout: JSON for programs, aligned columns for people.
import { escapeControl } from '@clef/strict';
import type { Terminal } from './terminal.ts';

/** Prints one JSON document and returns success. */
export async function printJson(terminal: Terminal, value: unknown): Promise<number> {
  await terminal.data(`${jsonText(value, 2)}\n`);
  return 0;
}

/** JSON in which nothing acts on a terminal: what JSON itself leaves as it is stands there as an escape, which readers undo. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(
    /[\u007f-\u009f\u2028\u2029\p{Bidi_Control}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Prints text that holds values: its exact bytes, but on a terminal with control characters shown escaped, as whoever wrote a
 * value could have meant them for it.
 */
export async function printValues(terminal: Terminal, text: Uint8Array | string): Promise<void> {
  if (!terminal.outputIsTerminal) return terminal.data(text);
  const exact = Buffer.from(text);
  const shown = escapeControl(exact.toString('utf8'), { keepNewlines: true });
  if (!exact.equals(Buffer.from(shown)))
    terminal.talk('note: control characters are shown escaped; pipe the output to get the exact text');
  await terminal.data(shown);
}

/** Rows as aligned columns, control characters escaped. Empty rows print nothing. */
export function columns(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map((cell) => escapeControl(cell)));
  const widths = (shown[0] ?? []).map((_, index) =>
    Math.max(...shown.map((row) => (row[index] ?? '').length)),
  );
  return shown
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
