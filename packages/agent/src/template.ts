// Templates: text with `{{ KEY }}` in it, and three filters. Anything else between two pairs of braces is an error with its
// place, so that nothing is written half filled in. `{{ "{{" }}` stands for the braces themselves.

export type Template = readonly Part[];

type Part = string | Placeholder;
type Placeholder = { readonly key: string; readonly filter: FilterName | undefined; readonly at: Place };
type Place = { readonly line: number; readonly column: number };
type FilterName = keyof typeof filters;

const filters = {
  json: (value: string) => JSON.stringify(value),
  base64: (value: string) => Buffer.from(value, 'utf8').toString('base64'),
  'quote-sh': (value: string) => `'${value.replaceAll("'", "'\\''")}'`,
} as const;

/** Where and why a template cannot be read or filled in. The message holds no value and, of the text, at most a name. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';

  constructor({ line, column }: Place, message: string) {
    super(`line ${line}, column ${column}: ${message}`);
  }
}

/** Throws {@link TemplateError}. */
export function parseTemplate(text: string): Template {
  const parts: Part[] = [];
  let at = 0;
  for (let open = text.indexOf('{{'); open >= 0; open = text.indexOf('{{', at)) {
    parts.push(text.slice(at, open));
    // The literal `{{ "{{" }}` holds braces of its own.
    const literal = /^\{\{\s*"\{\{"\s*\}\}/.exec(text.slice(open, open + 64))?.[0];
    const close = text.indexOf('}}', open);
    if (literal !== undefined) parts.push('{{');
    else if (close < 0) throw new TemplateError(placeOf(text, open), 'there is no "}}" to this "{{"');
    else parts.push(parsePlaceholder(text.slice(open + 2, close), placeOf(text, open)));
    at = literal === undefined ? close + 2 : open + literal.length;
  }
  parts.push(text.slice(at));
  return parts;
}

function parsePlaceholder(inside: string, at: Place): Placeholder {
  const [, key, filter] = /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\|\s*([a-z0-9-]+)\s*)?$/.exec(inside) ?? [];
  if (key === undefined)
    throw new TemplateError(at, 'between the braces goes a key, and perhaps "|" and a filter');
  if (filter === undefined) return { key, filter: undefined, at };
  if (!isFilter(filter))
    throw new TemplateError(
      at,
      `there is no filter "${filter.slice(0, 32)}"; there are ${Object.keys(filters).join(', ')}`,
    );
  return { key, filter, at };
}

function isFilter(name: string): name is FilterName {
  return Object.hasOwn(filters, name);
}

/** The text with the values in it. Throws {@link TemplateError} at the first key that is not there. */
export function fillTemplate(template: Template, values: ReadonlyMap<string, string>): string {
  return template.map((part) => (typeof part === 'string' ? part : fill(part, values))).join('');
}

function fill({ key, filter, at }: Placeholder, values: ReadonlyMap<string, string>): string {
  const value = values.get(key);
  if (value === undefined) throw new TemplateError(at, `there is no key "${key.slice(0, 128)}"`);
  return filter === undefined ? value : filters[filter](value);
}

function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: [...(before.at(-1) ?? '')].length + 1 };
}
