// YAML: one map of double-quoted strings, which readers of YAML 1.1 and 1.2 read alike.
import { type ExportDialect, linesOf } from './export-format.ts';

export const yaml: ExportDialect = {
  setsVariables: false,
  write: ({ values }) =>
    values.size === 0 ? '{}\n' : linesOf(values, (key, value) => `"${key}": ${quoteYaml(value)}`),
};

/** What is not printable to every reader, as YAML 1.1 defines it and without what could break or hide a line. */
const unprintable = /[^\x20-\x7e\xa1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/gu;

/** A scalar between double quotes, on one line. */
export function quoteYaml(value: string): string {
  const escaped = value.replaceAll(/["\\]/g, '\\$&').replace(unprintable, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\n') return '\\n';
    return code <= 0xff
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${escaped}"`;
}
