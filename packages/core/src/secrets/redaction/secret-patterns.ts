// The texts by which a value may be known in a program's output: itself, its lines, and what it becomes in JSON, in a URL
// and in base64.

/** Shorter values would mask half of any output. */
export const shortestMasked = 4;
/** Shorter lines and encodings are as likely to be anything else. */
const shortestPart = 8;
/** Of longer values nobody prints an encoding by accident, and each would cost its length again. */
const longestEncoded = 8 * 1024;

/** What to mask, none twice; and the keys whose values are too short to be masked. */
export function secretPatterns(values: ReadonlyMap<string, string>): {
  readonly patterns: readonly Uint8Array[];
  readonly unmasked: readonly string[];
} {
  const texts = new Set<string>();
  const unmasked: string[] = [];
  for (const [key, value] of values) {
    // Blanks at the ends give nothing away, and a mask that swallowed the end of a line would join two.
    const core = value.trim();
    if ([...core].length < shortestMasked) unmasked.push(key);
    else for (const text of [core, ...otherForms(value, core)]) texts.add(text);
  }
  return { patterns: [...texts].map((text) => Buffer.from(text)), unmasked };
}

function otherForms(value: string, core: string): readonly string[] {
  const lines = core.split(/\r\n|[\n\r]/).map((line) => line.trim());
  // A terminal ends lines with both.
  const forms = lines.length > 1 ? [...lines, lines.join('\r\n')] : [];
  if (value.length <= longestEncoded)
    forms.push(...encodings(core), ...(core === value ? [] : encodings(value)));
  return forms.filter((text) => text.length >= shortestPart);
}

function encodings(text: string): readonly string[] {
  const bytes = Buffer.from(text);
  return [
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text),
    new URLSearchParams({ v: text }).toString().slice(2),
    ...(['base64', 'base64url'] as const).flatMap((alphabet) => [
      bytes.toString(alphabet).replace(/=+$/, ''),
      ...[0, 1, 2].map((before) => insideBase64(bytes, before, alphabet)),
    ]),
  ];
}

/** What of `bytes` is certain in base64 when other bytes stand around them, as in `user:password`. */
function insideBase64(bytes: Uint8Array, before: number, alphabet: 'base64' | 'base64url'): string {
  const text = Buffer.concat([new Uint8Array(before), bytes])
    .toString(alphabet)
    .replace(/=+$/, '');
  const isEven = (before + bytes.length) % 3 === 0;
  return text.slice(before === 0 ? 0 : before + 1, isEven ? text.length : -1);
}
