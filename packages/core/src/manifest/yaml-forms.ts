// Values as the YAML that Clef writes: entries as lines, lists in brackets, text in quotes only where it must be.

import { isMap, type YamlValue } from './strict-yaml.ts';

/** An entry of a list as lines: `- ` and what follows. */
export function blockEntry(entry: YamlValue, indent: string): string[] {
  return blockLines(entry).map((line, index) => `${indent}${index === 0 ? '- ' : '  '}${line}`);
}

/** A value as lines: a map has one line or more for each field. */
export function blockLines(value: YamlValue): string[] {
  if (!isMap(value)) return [flowForm(value)];
  return Object.entries(value).flatMap(([key, field]) => {
    if (!isMap(field)) return [`${scalarForm(key)}: ${flowForm(field)}`];
    return [`${scalarForm(key)}:`, ...blockLines(field).map((line) => `  ${line}`)];
  });
}

/** A value on one line. */
export function flowForm(value: YamlValue): string {
  if (Array.isArray(value)) return `[${value.map(flowForm).join(', ')}]`;
  if (!isMap(value)) return scalarForm(value as null | boolean | number | string);
  return `{ ${Object.entries(value)
    .map(([key, field]) => `${scalarForm(key)}: ${flowForm(field)}`)
    .join(', ')} }`;
}

const plainText = /^[A-Za-z](?:[A-Za-z0-9_./@+=-]|:(?=[A-Za-z0-9/])| (?=[A-Za-z0-9(]))*$/;
const looksTyped = /^(true|false|null|yes|no|on|off|y|n)$/i;

/** One scalar: plain where every reader of YAML takes it for the same text. */
export function scalarForm(value: null | boolean | number | string): string {
  if (typeof value !== 'string') return String(value);
  if (plainText.test(value) && !looksTyped.test(value)) return value;
  return JSON.stringify(value).replaceAll(
    /[\x7f-\x9f\u2028\u2029\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
