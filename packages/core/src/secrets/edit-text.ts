// The values of a cell as a text that a person edits: a YAML map in which every value is text. What is not touched comes
// back byte for byte.
import { quoteYaml } from './export-formats/yaml.ts';
import { looksTyped } from './import-formats/yaml.ts';

/** Lines that Clef puts on top and takes away again. */
const noteMark = '#! ';

/** The text to begin with. */
export function formatEditText(
  label: string,
  values: ReadonlyMap<string, string>,
  pending: Iterable<string>,
): string {
  const announced = [...pending];
  return [
    `# ${label}: one NAME: value below the other. Every value is text; comments are not kept.`,
    '# Save and close to store it. Delete a line to delete the key. Change nothing to change nothing.',
    ...(announced.length === 0 ? [] : [`# Announced, without a value yet: ${announced.join(', ')}`]),
    ...[...values].map(([key, value]) => `${quoteKey(key)}: ${formatValue(value)}`),
    '',
  ].join('\n');
}

/** The text with these lines on top instead of the earlier ones, and how far down that moves what follows. */
export function withNotes(
  text: string,
  notesFor: (shift: number) => readonly string[],
): { readonly text: string; readonly shift: number } {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => !line.startsWith(noteMark.trim()));
  const rest = lines.slice(first);
  const shift = notesFor(0).length - first;
  return { text: [...notesFor(shift).map((note) => noteMark + note), ...rest].join('\n'), shift };
}

function quoteKey(key: string): string {
  return looksTyped(key) ? `"${key}"` : key;
}

/** The most readable style that holds the value exactly. */
function formatValue(value: string): string {
  // What an editor or a reader of YAML could change or hide is written as escapes.
  if (/[^\n\x20-\x7e\xa0-\u2027\u202f-\ud7ff\ue000-\ufefe\uff00-\uffef\u{10000}-\u{dffff}]/u.test(value))
    return quoteYaml(value);
  if (value.includes('\n')) return isBlock(value) ? formatBlock(value) : quoteYaml(value);
  if (
    /^[A-Za-z0-9_./][A-Za-z0-9_./:@%+=?&~,;$!*()^-]*$/.test(value) &&
    !value.endsWith(':') &&
    !looksTyped(value)
  )
    return value;
  return `'${value.replaceAll("'", "''")}'`;
}

/** A literal block keeps lines as they are, unless the first is indented or one is blank but for spaces. */
function isBlock(value: string): boolean {
  return !/^[ \n]/.test(value) && !/^ +$/m.test(value) && !/[^\n]\n\n+$/.test(value);
}

function formatBlock(value: string): string {
  const isOpen = !value.endsWith('\n');
  const lines = (isOpen ? value : value.slice(0, -1)).split('\n');
  return [isOpen ? '|-' : '|', ...lines.map((line) => (line === '' ? '' : `  ${line}`))].join('\n');
}
